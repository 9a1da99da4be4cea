"""What the data sets of images share: grey values to train on, one fixed binarisation of each.

Every image is grey. Pixels are binary for the models there are: three bits a pixel would be other
pictures than the published ones, and a decoder of colours a family of its own. Colours count by
their luminance (`trainables.data.pictures`).
"""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from pydantic import Field, field_validator
from torch import Tensor

from trainables.config import Count
from trainables.data.corpus import Corpus, DataConfig
from trainables.data.files import DataError, digest, require
from trainables.data.pictures import resize
from trainables.data.splitting import divide

SIDE = 28  # pixels
SMALLEST, LARGEST = 4, 1024  # pixels, the sides that a file may ask for
BINARISATION_SEEDS = {"train": 1, "validation": 2, "test": 3}


class Images(NamedTuple):
    """Grey values, uint8 `[N, H, W]` with 255 = ink or white, and a label for each image."""

    grey: UInt8[ndarray, "N H W"]
    labels: Int64[ndarray, " N"]

    def select(self, indices: Int64[ndarray, " n"]) -> "Images":
        """Return the images at `indices` with their labels."""
        return Images(self.grey[indices], self.labels[indices])


def checked(images: ndarray, labels: ndarray, path: Path, side: int = SIDE) -> Images:
    """Return images of `side` and their labels, which must be whole numbers, one for each image.

    Raises `DataError`, which names `path`, for arrays of other shapes or types.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (side, side):
        raise DataError(
            f"{path}: expected images of uint8 [N, {side}, {side}]; got {images.dtype} "
            f"{list(images.shape)}."
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: expected a whole number as label for each of {len(images)} images; got "
            f"{labels.dtype} {list(labels.shape)}."
        )
    return Images(images, labels.astype(np.int64))


class ImageData(DataConfig):
    """The base of the data sets of square grey images, read as probabilities of ink, or of white.

    `Corpus.grey` holds the training images' grey values. Each split is one draw of its pixels from
    Bernoulli(grey / 255), the same for every trial: see `binarise` and `BINARISATION_SEEDS`.
    `train_limit` keeps that many training images, a fixed random subset of them. `side` makes the
    images smaller; their own are `own_side`, and `largest_side` is what there is to choose from.
    """

    kind: ClassVar[str] = "images"
    own_side: ClassVar[int] = SIDE
    largest_side: ClassVar[int] = SIDE
    labelled: ClassVar[bool] = True

    train_limit: Count | None = None
    # Left out where it is not set: trials that were stored before there was a choice stay equal.
    side: Annotated[int, Field(ge=SMALLEST, le=LARGEST)] | None = Field(
        default=None, exclude_if=lambda side: side is None
    )

    @field_validator("side")
    @classmethod
    def _is_not_larger(cls, side: int | None) -> int | None:
        if side is not None and side > cls.largest_side:
            raise ValueError(
                f"images of {cls.largest_side} pixels a side are not enlarged; got {side}"
            )
        return side

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width of an image."""
        side = self.side or self.own_side
        return side, side

    def load(self, root: Path) -> Corpus:
        """Return uint8 images `[N, side, side]` of zeros and ones, with grey values and labels.

        Raises `DataError` where a file below `root` is missing, is not the published one or
        is malformed.
        """
        require(self, root)
        splits = dict(self.read(root))
        if self.train_limit is not None:
            kept, _ = divide(len(splits["train"].grey), self.train_limit)
            splits["train"] = splits["train"].select(kept)
        side, _ = self.shape
        small = {
            split: Images(resize(images.grey, side), images.labels)
            for split, images in splits.items()
        }
        return self.corpus(small, digest(self.needed, root))

    def corpus(self, splits: Mapping[str, Images], sha256: str) -> Corpus:
        """Draw the pixels of every split; raises `DataError` where a split has no images."""
        if empty := [split for split, images in splits.items() if len(images.grey) == 0]:
            raise DataError(f"data set {self.name} has too few images: none for {empty[0]}.")
        grey = {split: torch.from_numpy(images.grey) for split, images in splits.items()}
        return Corpus(
            splits={split: binarise(grey[split], BINARISATION_SEEDS[split]) for split in splits},
            vocabulary=2,
            sha256=sha256,
            shape=self.shape,
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
