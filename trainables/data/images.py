"""What the data sets of images share: grey values to train on, one fixed binarisation of each."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from torch import Tensor

from trainables.config import Count
from trainables.data.corpus import Corpus, DataConfig
from trainables.data.files import DataError, digest, require
from trainables.data.splitting import divide

SIDE = 28  # pixels
BINARISATION_SEEDS = {"train": 1, "validation": 2, "test": 3}


class Images(NamedTuple):
    """Grey values, uint8 `[N, 28, 28]` with 255 = ink, and a label for each image."""

    grey: UInt8[ndarray, "N H W"]
    labels: Int64[ndarray, " N"]

    def select(self, indices: Int64[ndarray, " n"]) -> "Images":
        """Return the images at `indices` with their labels."""
        return Images(self.grey[indices], self.labels[indices])


def checked(images: ndarray, labels: ndarray, path: Path) -> Images:
    """Return images and their labels, which must be whole numbers, one for each image.

    Raises `DataError`, which names `path`, for arrays of other shapes or types.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise DataError(
            f"{path}: expected images of uint8 [N, {SIDE}, {SIDE}]; got {images.dtype} "
            f"{list(images.shape)}."
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: expected a whole number as label for each of {len(images)} images; got "
            f"{labels.dtype} {list(labels.shape)}."
        )
    return Images(images, labels.astype(np.int64))


class ImageData(DataConfig):
    """The base of the data sets of 28 × 28 grey images, read as probabilities of ink.

    `Corpus.grey` holds the training images' grey values. Each split is one draw of its pixels from
    Bernoulli(grey / 255), the same for every trial: see `binarise` and `BINARISATION_SEEDS`.
    `train_limit` keeps that many training images, a fixed random subset of them.
    """

    kind: ClassVar[str] = "images"

    train_limit: Count | None = None

    def load(self, root: Path) -> Corpus:
        """Return uint8 images `[N, 28, 28]` of zeros and ones, with grey values and labels.

        Raises `DataError` where a file below `root` is missing, is not the published one or
        is malformed.
        """
        require(self, root)
        splits = dict(self.read(root))
        if self.train_limit is not None:
            kept, _ = divide(len(splits["train"].grey), self.train_limit)
            splits["train"] = splits["train"].select(kept)
        if empty := [split for split, images in splits.items() if len(images.grey) == 0]:
            raise DataError(f"data set {self.name} has too few images: none for {empty[0]}.")
        grey = {split: torch.from_numpy(images.grey) for split, images in splits.items()}
        return Corpus(
            splits={split: binarise(grey[split], BINARISATION_SEEDS[split]) for split in splits},
            vocabulary=2,
            sha256=digest(self.files, root),
            shape=(SIDE, SIDE),
            grey=grey["train"],
            labels={split: torch.from_numpy(images.labels) for split, images in splits.items()},
        )

    @abstractmethod
    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the images of the splits "train", "validation" and "test" from below `root`."""


def binarise(grey: UInt8[Tensor, "N H W"], seed: int) -> UInt8[Tensor, "N H W"]:
    """Draw each pixel once from Bernoulli(grey / 255), the same pixels for the same seed.

    A pixel is one where its grey value exceeds a whole number drawn uniformly from 0 to 254, which
    has that probability exactly.
    """
    generator = torch.Generator().manual_seed(seed)
    thresholds = torch.randint(255, grey.shape, dtype=torch.uint8, generator=generator)
    return (thresholds < grey).to(torch.uint8)
