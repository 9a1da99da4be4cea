"""What every data set hands to a training run: splits of observations as tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from trainables.config import Config

PAD = -1  # fills a sentence up to the length of its batch; it never has a likelihood


class Corpus(NamedTuple):
    """A data set in memory.

    `splits` maps "train", "validation" and "test" to observations: int64 `[N]` for symbols and
    `[N, T]` for sentences, which are padded on the right with `PAD`; uint8 `[N, H, W]` of zeros
    and ones for images. Tokens and pixels lie in `[0, vocabulary)`. `sha256` identifies the
    content. `nll_floor` is the entropy of the data source in nats per observation, the lowest
    possible NLL, where it is known.

    `grey`, uint8 `[N, H, W]`, holds the training images' grey values: 255 times the probability
    of a one, drawn anew for every batch that is trained on. The "train" split is one such draw,
    to evaluate on. `shape` is that of an image. `labels` map a split to int64 `[N]`.
    """

    splits: Mapping[str, Tensor]
    vocabulary: int
    sha256: str
    nll_floor: float | None = None
    shape: tuple[int, ...] = ()
    grey: Tensor | None = None
    labels: Mapping[str, Tensor] | None = None

    def mean_image(self) -> Tensor:
        """Give each pixel's probability of a one among the training images, float64 `[H, W]`."""
        images, largest = self.splits["train"], 1
        if self.grey is not None:
            images, largest = self.grey, 255
        ones = torch.stack([part.sum(dim=0) for part in torch.split(images, 1024)]).sum(dim=0)
        return ones.double() / (largest * len(images))


class RemoteFile(NamedTuple):
    """A file of a data set, its usual public home and what is known of its content.

    The checksum is `sha256` or, where that is not known, `md5` or git's blob id. A file without
    any is taken as it lies. The checksum of a file named `*.gz` is that of what it holds, since
    the same bytes can be packed in many ways; an archive, `*.tar.gz` too, counts as it lies.
    Where there is no such file, `directory` may stand in for it, which is taken as it lies.
    """

    name: str  # where it lies below the data directory, e.g. "ptb/ptb.train.txt"
    url: str  # "" where it has no public home
    size: int | None  # bytes as it is fetched, where that is known
    sha256: str = ""
    git_blob: str = ""
    md5: str = ""
    directory: str = ""  # relative to the data directory, as `name` is


class DataConfig(Config, ABC):
    """The base of a data set's configuration, which is also how it is loaded.

    `name` is the data set's key in the registry. `kind` says what an observation is; a model
    accepts one kind. `files` are what can be read below the data directory, and `licence` is
    what a person should know before using them. It is `labelled` where its training observations
    have labels, and `held_out` where there are others than these to evaluate on. `source` tells
    where a person finds the files of a data set that has no public home to fetch them from.
    """

    kind: ClassVar[str]  # "symbols", "sentences" or "images"
    files: ClassVar[tuple[RemoteFile, ...]] = ()
    licence: ClassVar[str] = ""
    source: ClassVar[str] = ""
    labelled: ClassVar[bool] = False
    held_out: ClassVar[bool] = True

    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image, before anything is read; () for other kinds."""
        return ()

    @property
    def needed(self) -> tuple[RemoteFile, ...]:
        """Those of `files` that `load` reads."""
        return self.files

    @property
    def fetched_as(self) -> str:
        """What `sweeper data fetch` calls the files that are needed."""
        return self.name

    @abstractmethod
    def load(self, root: Path) -> Corpus:
        """Read the data set below `root`, the data directory.

        Raises `DataError` where a file is missing or is not what its checksum says.
        """
