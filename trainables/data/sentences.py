"""What the data sets of sentences share: their settings, and a vocabulary from training text."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import torch
from jaxtyping import Int64
from numpy import ndarray
from pydantic import Field

from trainables.config import Count
from trainables.data.corpus import Corpus, DataConfig, RemoteFile
from trainables.data.files import DataError, digest, path_of, read_content, require
from trainables.data.splitting import divide
from trainables.data.text import build_vocabulary, encode, read_sentences


class Text(NamedTuple):
    """Sentences of words between spaces, and a label for each where there are labels."""

    sentences: list[str]
    labels: list[int] | None = None

    def select(self, indices: Int64[ndarray, " n"]) -> "Text":
        """Return the sentences at `indices` with their labels."""
        labels = self.labels and [self.labels[i] for i in indices]
        return Text([self.sentences[i] for i in indices], labels)


class TextData(DataConfig):
    """The base of the data sets of sentences that a person may make smaller.

    `max_tokens` cuts sentences, counting the end symbol; null leaves them whole. `train_limit`
    keeps that many training sentences, a fixed random subset of them. `max_vocabulary` keeps the
    most frequent words of the training sentences, ties by spelling, so that with the end symbol
    and `unknown` there are so many tokens; all other words become `unknown`. Without it the
    vocabulary is every training word, and `unknown` may never occur in training.
    """

    kind: ClassVar[str] = "sentences"
    unknown: ClassVar[str] = "_UNK"  # the word that stands for any that the vocabulary lacks

    max_tokens: Count | None = None
    max_vocabulary: Annotated[int, Field(ge=3, lt=2**31)] | None = None
    train_limit: Count | None = None

    def load(self, root: Path) -> Corpus:
        """Return int64 sentences `[N, T]`, T the longest of the split after the cut.

        Raises `DataError` where a file below `root` is missing, is not the published one or
        is malformed: its text then names the file and the line.
        """
        require(self, root)
        splits = self.read(root)
        if self.train_limit is not None:
            train = splits["train"]
            kept, _ = divide(len(train.sentences), self.train_limit)
            splits = {**splits, "train": train.select(kept)}
        vocabulary = build_vocabulary(splits["train"].sentences, self.unknown, self.max_vocabulary)
        labels = {
            split: torch.tensor(text.labels)
            for split, text in splits.items()
            if text.labels is not None
        }
        return Corpus(
            splits={
                split: encode(text.sentences, vocabulary, self.unknown, self.max_tokens)
                for split, text in splits.items()
            },
            vocabulary=len(vocabulary),
            sha256=digest(self.files, root),
            labels=labels or None,
        )

    @abstractmethod
    def read(self, root: Path) -> Mapping[str, Text]:
        """Return the text of the splits "train", "validation" and "test" from below `root`."""


class ThreeFiles(TextData):
    """The base of data sets whose `files` are the training, validation and test split."""

    def read(self, root: Path) -> Mapping[str, Text]:
        """Return one split a file."""
        train, validation, test = (
            self.read_file(file, path_of(file, root)) for file in self.files
        )
        return {"train": train, "validation": validation, "test": test}

    def read_file(self, file: RemoteFile, path: Path) -> Text:
        """Return the sentences of one file, one a line."""
        return Text(read_sentences(read_content(file, path), path))


class WithoutTrainingFile(TextData):
    """The base of data sets whose `files` are only a validation and a test split.

    A fixed random choice of `n_train` lines of the validation file becomes the training split,
    see `divide`, and the others stay the validation split. A random one, because the files are in
    order of topic or of sentiment.
    """

    n_train: ClassVar[int] = 9_000

    def read(self, root: Path) -> Mapping[str, Text]:
        """Return two splits from the first file, and one from the second."""
        paths = [path_of(file, root) for file in self.files]
        divided, test = (
            Text(read_sentences(read_content(file, path), path))
            for file, path in zip(self.files, paths, strict=True)
        )
        n = len(divided.sentences)
        if n <= self.n_train:
            raise DataError(f"{paths[0]}: expected more than {self.n_train} lines; got {n}.")
        train, validation = divide(n, self.n_train)
        return {
            "train": divided.select(train),
            "validation": divided.select(validation),
            "test": test,
        }
