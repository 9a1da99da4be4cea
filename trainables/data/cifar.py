"""Small photographs of ten kinds of things (Krizhevsky, 2009), from the binary files.

The published files for Python are pickles, which can run any code when they are read; the binary
ones hold the same images: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of
from trainables.data.images import ImageData, Images, checked
from trainables.data.pictures import luminance

SIDE = 32  # pixels
CLASSES = 10
PLANES = 3 * SIDE**2  # bytes: all of red, then green, then blue, each row by row
MAX_BYTES = 2**26  # of a member; the published ones have 10,000 records
TRAINING = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"


class Cifar10(ImageData):
    """Photographs of ten kinds of things, 32 × 32, as grey: 45,000 to train on.

    The last 5,000 of the 50,000 published training images are the validation split, and there are
    10,000 test images. The published images are coloured; here they are their luminance, whose
    NLLs in nats of binary pixels must not be set beside bits per dimension of colours. Labels are
    0 airplane, automobile, bird, cat, deer, dog, frog, horse, ship, 9 truck.

    Licence: none is stated; the authors ask to cite Krizhevsky (2009).
    """

    licence: ClassVar[str] = (
        "no licence stated: cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny "
        "Images"
    )
    # The checksum is that of TensorFlow Datasets (url_checksums/cifar10.txt); the authors' page
    # gives the MD5 c32a1d4ab5d03f1284b67883e8d87530 for the same file.
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "cifar10/cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    )
    own_side: ClassVar[int] = SIDE
    largest_side: ClassVar[int] = SIDE
    n_validation: ClassVar[int] = 5_000

    name: Literal["cifar10"]

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the splits; the training files together hold two of them."""
        path = path_of(self.files[0], root)
        members = _read_members(path, (*TRAINING, TEST))
        train = _decode(b"".join(members[name] for name in TRAINING), path)
        n_train = max(0, len(train.grey) - self.n_validation)
        return {
            "train": Images(train.grey[:n_train], train.labels[:n_train]),
            "validation": Images(train.grey[n_train:], train.labels[n_train:]),
            "test": _decode(members[TEST], path),
        }


def _read_members(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read members of a tar archive in memory: nothing is ever written where a name says."""
    contents = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                wanted = folder == "cifar-10-batches-bin" and name in names
                if wanted and member.isreg() and member.size <= MAX_BYTES:
                    opened = archive.extractfile(member)
                    contents[name] = opened.read() if opened else b""
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be unpacked ({why}): fetch it again.") from error
    if lacking := [name for name in names if name not in contents]:
        raise DataError(
            f"{path}: expected files {', '.join(lacking)} in it: use CIFAR-10's binary version."
        )
    return contents


def _decode(content: bytes, path: Path) -> Images:
    """Turn records of a label and three planes of pixels into grey images with labels."""
    if len(content) % (1 + PLANES):
        raise DataError(
            f"{path}: expected records of {1 + PLANES} bytes; got {len(content)} bytes."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PLANES)
    labels = records[:, 0]
    if (labels >= CLASSES).any():
        raise DataError(f"{path}: expected labels from 0 to 9; got {labels.max()}.")
    planes: UInt8[ndarray, "N 3 H W"] = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
    return checked(luminance(planes), labels, path, SIDE)
