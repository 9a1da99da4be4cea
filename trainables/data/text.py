"""Text files as tensors: one sentence a line, words between spaces."""

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from trainables.data.corpus import PAD
from trainables.data.files import DataError

END = "<eos>"  # ends every sentence; its token is always 0

_LABEL = re.compile(r"-?[0-9]{1,18}", re.ASCII)  # fits 64 bits


def read_lines(content: bytes, path: Path) -> list[str]:
    """Decode UTF-8 text into its lines.

    Raises `DataError`, which names `path` and the line, where bytes are not UTF-8 and where
    there is no line at all.
    """
    try:
        lines = _lines(content.decode())
    except UnicodeDecodeError as error:
        number = len(_lines(content[: error.start].decode() + "?"))
        raise DataError(
            f"{path}, line {number}: byte {content[error.start]:#04x} is not UTF-8: convert the "
            f"file to UTF-8."
        ) from error
    if not lines:
        raise DataError(f"{path} is empty: one sentence a line is expected.")
    return lines


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=None))  # whichever line ends the text has


def read_sentences(content: bytes, path: Path) -> list[str]:
    """Read text as one sentence a line.

    Raises `DataError`, which names `path` and the line, for bytes that are not UTF-8 and for a
    line that has no words or has `END` as a word.
    """
    lines = read_lines(content, path)
    return [_checked(line, path, number) for number, line in enumerate(lines, 1)]


def read_labelled(content: bytes, path: Path) -> tuple[list[str], list[int]]:
    """Read text as a whole number, a tab and a sentence a line; return sentences and labels.

    Raises `DataError`, which names `path` and the line, for bytes that are not UTF-8 and for a
    line of another form.
    """
    sentences, labels = [], []
    for number, line in enumerate(read_lines(content, path), 1):
        columns = line.rstrip("\n").split("\t")
        if len(columns) != 2:
            raise DataError(
                f"{path}, line {number}: expected 2 columns, a label, a tab and a sentence; "
                f"got {len(columns)}."
            )
        label, sentence = columns
        if not _LABEL.fullmatch(label):
            raise DataError(
                f"{path}, line {number}: expected a whole number as label before the tab; got "
                f"{label[:20]!r}."
            )
        labels.append(int(label))
        sentences.append(_checked(sentence, path, number))
    return sentences, labels


def _checked(sentence: str, path: Path, number: int) -> str:
    words = sentence.split()
    if not words:
        raise DataError(f"{path}, line {number} is empty: remove it or put a sentence there.")
    if END in words:
        raise DataError(f"{path}, line {number} holds the end symbol {END}: remove it.")
    return sentence


def build_vocabulary(
    sentences: Iterable[str], unknown: str, max_size: int | None = None
) -> dict[str, int]:
    """Number the words of `sentences`: `END` is 0, then most frequent first, ties by spelling.

    At most `max_size` tokens are numbered. `END` and `unknown` are always among them, the others
    are the most frequent words.

    >>> build_vocabulary(["the cat", "the bat"], "<unk>")
    {'<eos>': 0, 'the': 1, 'bat': 2, 'cat': 3, '<unk>': 4}
    >>> build_vocabulary(["the cat", "the bat"], "<unk>", max_size=3)
    {'<eos>': 0, 'the': 1, '<unk>': 2}
    """
    counts = Counter(chain.from_iterable(map(str.split, sentences)))
    counts[unknown] += 0
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    if max_size is not None and len(ranked) >= max_size:
        n_words = max_size - 2
        kept = {unknown, *[word for word in ranked if word != unknown][:n_words]}
        ranked = [word for word in ranked if word in kept]
    return {word: token for token, word in enumerate([END, *ranked])}


def encode(
    sentences: Iterable[str],
    vocabulary: Mapping[str, int],
    unknown: str,
    max_tokens: int | None = None,
) -> Int64[Tensor, "N T"]:
    """Turn sentences into tokens, padded on the right with `PAD` to the longest of them.

    Every sentence gets one `END` and is then cut to `max_tokens`, so a sentence that is cut has
    no `END`. Words that `vocabulary` lacks become `unknown`, which it must hold.
    """
    other, end = vocabulary[unknown], vocabulary[END]
    token = defaultdict(lambda: other, vocabulary).__getitem__
    rows = [[*map(token, sentence.split()), end][:max_tokens] for sentence in sentences]
    tokens = np.full((len(rows), max(map(len, rows), default=0)), PAD)
    for row, values in zip(tokens, rows, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(tokens)
