"""What data sets of many picture files share: only those that are used are decoded, and once."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from trainables.data.corpus import Corpus
from trainables.data.files import require
from trainables.data.images import LARGEST, ImageData, Images
from trainables.data.pictures import read_picture
from trainables.data.prepared import prepared
from trainables.data.splitting import divide

Open = Callable[[str], bytes]
"""Gives what a picture's file holds, by its name; raises `DataError` where it cannot."""


class Listed(NamedTuple):
    """The picture files of a split: names, labels, and what changes when a file does."""

    names: Sequence[str]
    labels: Int64[ndarray, " N"]
    states: Sequence[tuple[int, ...]]

    def select(self, indices: Int64[ndarray, " n"]) -> "Listed":
        """Return the files at `indices` with their labels and states."""
        return Listed(
            [self.names[i] for i in indices],
            self.labels[indices],
            [self.states[i] for i in indices],
        )


class PictureData(ImageData):
    """The base of the data sets whose images are one file each.

    With `train_limit` the other training pictures are never opened. The first trial decodes what
    is used and keeps it in the data directory, see `prepared`; later ones read that, as long as
    the files are the same. `Corpus.sha256` is of the used files' names, labels and content.
    """

    largest_side: ClassVar[int] = LARGEST
    crop: ClassVar[int | None] = None  # the middle square's side; None for the shorter side

    def load(self, root: Path) -> Corpus:
        """Return uint8 images `[N, side, side]` of zeros and ones, with grey values and labels.

        Raises `DataError` where a file below `root` is missing, is not the published one or
        cannot be read.
        """
        require(self, root)
        splits = dict(self.list_files(root))
        if self.train_limit is not None:
            kept, _ = divide(len(splits["train"].names), self.train_limit)
            splits["train"] = splits["train"].select(kept)
        used = {
            split: [listed.names, listed.labels.tolist(), listed.states]
            for split, listed in splits.items()
        }
        made_from = [self.shape, self.crop, [file.name for file in self.needed], used]
        images, sha256 = prepared(root, self.name, made_from, lambda: self._decode(root, splits))
        return self.corpus(images, sha256)

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the images of all splits, decoded anew."""
        images, _ = self._decode(root, self.list_files(root))
        return images

    def _decode(
        self, root: Path, splits: Mapping[str, Listed]
    ) -> tuple[Mapping[str, Images], str]:
        side, _ = self.shape
        content_sum, images = hashlib.sha256(), {}
        above = self.needed[0].directory
        with self.opened(root) as read:
            for split, listed in splits.items():
                grey = np.empty((len(listed.names), side, side), np.uint8)
                for i, (name, label) in enumerate(zip(listed.names, listed.labels, strict=True)):
                    content = read(name)
                    grey[i] = read_picture(content, f"{above}/{name}", side, self.crop)
                    own = hashlib.sha256(content).hexdigest()
                    content_sum.update(f"{split}\t{name}\t{label}\t{own}\n".encode())
                images[split] = Images(grey, listed.labels)
        return images, content_sum.hexdigest()

    @abstractmethod
    def list_files(self, root: Path) -> Mapping[str, Listed]:
        """Return the files of the splits "train", "validation" and "test" below `root`."""

    @abstractmethod
    def opened(self, root: Path) -> AbstractContextManager[Open]:
        """Give, while the context lasts, the way to read a file by its listed name."""
