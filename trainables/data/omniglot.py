"""Handwritten characters of fifty alphabets (Lake et al., 2015), 28 × 28.

https://github.com/brendenlake/omniglot
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy import ndarray

from trainables.data.arrays import MALFORMED, not_held, read_npz
from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of, read_content
from trainables.data.images import SIDE, ImageData, Images, checked
from trainables.data.splitting import divide


class Omniglot(ImageData):
    """Omniglot as Burda et al. (2016) rendered it: 22,345 training images, as published.

    There are 2,000 validation and 8,070 test images. The validation images are a fixed random
    choice from the file's 24,345 training images, see `divide`. The split and the binarisation of
    the publications that use these numbers were not seeded, and neither is recreated. Grey values
    are rounded to 256 levels. Labels are the alphabets, numbered from 0.
    https://arxiv.org/abs/1509.00519

    Licence: the drawings are under MIT, copyright 2015 Brenden Lake.
    """

    licence: ClassVar[str] = "MIT: copyright 2015 Brenden Lake; rendered by Burda et al."
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "omniglot/chardata.mat",
            "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/chardata.mat",
            None,
            git_blob="016a3536ffe5e1d38e42563a18d7a78bfaf643ec",
        ),
    )
    n_validation: ClassVar[int] = 2_000

    name: Literal["omniglot"]

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the splits; the file's training part holds two of them."""
        path = path_of(self.files[0], root)
        names = ("data", "target", "testdata", "testtarget")
        arrays = _mat_arrays(read_content(self.files[0], path), path, names)
        both = _columns(arrays["data"], arrays["target"], path)
        train, validation = divide(len(both.grey), max(0, len(both.grey) - self.n_validation))
        return {
            "train": both.select(train),
            "validation": both.select(validation),
            "test": _columns(arrays["testdata"], arrays["testtarget"], path),
        }


def _mat_arrays(content: bytes, path: Path, names: Sequence[str]) -> dict[str, Any]:
    # Takes a third of a second, which other data sets need not wait.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        arrays = loadmat(io.BytesIO(content), variable_names=names)
        return {name: arrays[name] for name in names}
    except (*MALFORMED, NotImplementedError, MatReadError) as error:
        raise not_held(path, names, error) from error


def _columns(pixels: ndarray, alphabets: ndarray, path: Path) -> Images:
    """Turn columns of pixels in [0, 1] and of one-hot labels into images and labels."""
    if pixels.ndim != 2 or len(pixels) != SIDE**2 or alphabets.ndim != 2:
        raise DataError(
            f"{path}: expected images as columns of {SIDE**2} pixels and labels as columns; got "
            f"{list(pixels.shape)} and {list(alphabets.shape)}."
        )
    if pixels.dtype.kind not in "fiu" or not ((pixels >= 0) & (pixels <= 1)).all():
        raise DataError(f"{path}: expected pixels between 0 and 1.")
    # An image's pixels follow one another down its columns, as in Matlab.
    images = np.rint(255 * pixels).T.reshape(-1, SIDE, SIDE).transpose(0, 2, 1)
    return checked(images.astype(np.uint8, order="C"), alphabets.argmax(axis=0), path)


class Omniglot28(ImageData):
    """Omniglot scaled down from 105 × 105 by area: NLLs are not the published ones.

    There are 22,345 training, 2,000 validation and 8,070 test images, in the split that the file
    stores. Strokes look different from those of `omniglot` and the split is another, so NLLs must
    not be set beside the published ones near 89 nats. Labels are the characters, 1 to 1,623.

    Licence: the drawings are under MIT, copyright 2015 Brenden Lake.
    """

    licence: ClassVar[str] = (
        "MIT: copyright 2015 Brenden Lake; NLLs are not the published ones: derived images"
    )
    source: ClassVar[str] = (
        "the maintainers (made from github.com/brendenlake/omniglot by area averaging, no public "
        "home)"
    )
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "omniglot/omniglot28_area.npz",
            "",
            4_146_719,
            "edc02667867b34c4ecb501cc4ef3063604dc9bdf1b6491e8b0300637e74e548e",
        ),
    )

    name: Literal["omniglot28"]

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the splits that the file tells, 0, 1 and 2; it leaves out some images."""
        path = path_of(self.files[0], root)
        names = ("images", "char_id", "split")
        arrays = read_npz(read_content(self.files[0], path), path, names)
        images = checked(arrays["images"], arrays["char_id"], path)
        split = checked(arrays["images"], arrays["split"], path).labels
        return {
            name: images.select(np.flatnonzero(split == number))
            for number, name in enumerate(("train", "validation", "test"))
        }
