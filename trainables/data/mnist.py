"""MNIST and data sets in its format: idx files, packed by gzip."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of, read_content
from trainables.data.images import ImageData, Images, checked

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"


class IdxImages(ImageData):
    """The base of data sets of four idx files: training images and labels, test images and labels.

    The last `n_validation` training images are the validation split.
    """

    n_validation: ClassVar[int] = 10_000

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the splits; the training file holds two of them."""
        train, test = (_read_pair(self.files[i], self.files[i + 1], root) for i in (0, 2))
        n_train = max(0, len(train.grey) - self.n_validation)
        return {
            "train": Images(train.grey[:n_train], train.labels[:n_train]),
            "validation": Images(train.grey[n_train:], train.labels[n_train:]),
            "test": test,
        }


class Mnist(IdxImages):
    """Handwritten digits: 50,000 training, 10,000 validation and 10,000 test images.

    The validation images are the last of the published training file. Labels are the digits.

    Licence: usually listed as CC BY-SA 3.0; LeCun, Cortes and Burges, from NIST's databases.
    """

    licence: ClassVar[str] = "CC BY-SA 3.0, as it is usually listed: LeCun, Cortes and Burges"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "mnist/train-images-idx3-ubyte.gz",
            f"{_MNIST}/train-images-idx3-ubyte.gz",
            9_912_422,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        RemoteFile(
            "mnist/train-labels-idx1-ubyte.gz",
            f"{_MNIST}/train-labels-idx1-ubyte.gz",
            28_881,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        RemoteFile(
            "mnist/t10k-images-idx3-ubyte.gz",
            f"{_MNIST}/t10k-images-idx3-ubyte.gz",
            1_648_877,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        RemoteFile(
            "mnist/t10k-labels-idx1-ubyte.gz",
            f"{_MNIST}/t10k-labels-idx1-ubyte.gz",
            4_542,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    )

    name: Literal["mnist"]


class FashionMnist(IdxImages):
    """Pictures of clothing in MNIST's format and numbers (Xiao et al., 2017).

    The validation images are the last 10,000 of the published training file. Labels are the ten
    kinds of clothing. https://arxiv.org/abs/1708.07747

    Licence: MIT, copyright 2017 Zalando SE.
    """

    licence: ClassVar[str] = "MIT: copyright 2017 Zalando SE"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "fashion-mnist/train-images-idx3-ubyte.gz",
            f"{_FASHION}/train-images-idx3-ubyte.gz",
            26_421_880,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        RemoteFile(
            "fashion-mnist/train-labels-idx1-ubyte.gz",
            f"{_FASHION}/train-labels-idx1-ubyte.gz",
            29_515,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        RemoteFile(
            "fashion-mnist/t10k-images-idx3-ubyte.gz",
            f"{_FASHION}/t10k-images-idx3-ubyte.gz",
            4_422_102,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        RemoteFile(
            "fashion-mnist/t10k-labels-idx1-ubyte.gz",
            f"{_FASHION}/t10k-labels-idx1-ubyte.gz",
            5_148,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    )

    name: Literal["fashion_mnist"]


def _read_pair(images: RemoteFile, labels: RemoteFile, root: Path) -> Images:
    paths = path_of(images, root), path_of(labels, root)
    return checked(
        read_idx(read_content(images, paths[0]), paths[0], 3),
        read_idx(read_content(labels, paths[1]), paths[1], 1),
        paths[0],
    )


def read_idx(content: bytes, path: Path, n_dimensions: int) -> UInt8[ndarray, "..."]:
    """Read an idx file of unsigned bytes: http://yann.lecun.com/exdb/mnist.

    Raises `DataError`, which names `path`, where it is not one or is cut short.
    """
    header = 4 * (1 + n_dimensions)
    if content[:4] != bytes([0, 0, 8, n_dimensions]) or len(content) < header:
        raise DataError(
            f"{path}: expected an idx file of bytes with {n_dimensions} dimensions; it begins "
            f"with {content[:4].hex()!r}."
        )
    shape = [int(n) for n in np.frombuffer(content[4:header], ">u4")]
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path}: expected {math.prod(shape)} bytes for its shape {shape}; got "
            f"{len(content) - header}."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()
