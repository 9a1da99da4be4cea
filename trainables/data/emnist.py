"""Handwritten letters and digits in MNIST's format (Cohen et al., 2017), six arrangements."""

import gzip
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of
from trainables.data.images import ImageData, Images, checked
from trainables.data.mnist import read_idx
from trainables.data.splitting import divide

MAX_BYTES = 2**30  # of an unpacked file; the largest has 697,932 images, 0.55 GB


class Emnist(ImageData):
    """Handwritten letters and digits of NIST, 28 × 28; `subset` says which and how arranged.

    `balanced`, the default, has 47 classes, 112,800 training and 18,800 test images; `letters` 26
    (labels 1 to 26, upper and lower case alike), `digits` and `mnist` 10, `byclass` 62 and
    `bymerge` 47. As many of the training images as there are test images become the validation
    split, a fixed random choice, see `divide`. The published files hold every image on its side,
    rows for columns; here they stand upright, as MNIST's do. https://arxiv.org/abs/1702.05373

    Licence: NIST publishes it without a statement; made from its Special Database 19.
    """

    licence: ClassVar[str] = (
        "no licence stated: NIST, from its Special Database 19; cite Cohen et al. 2017"
    )
    # The checksum is that of TensorFlow Datasets (url_checksums/emnist.txt), which torchvision's
    # MD5, 58c8d27c78d21e728a6bc7b3cc06412e, agrees with in file and size.
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "emnist/gzip.zip",
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            561_753_746,
            "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
        ),
    )

    name: Literal["emnist"]
    subset: Literal["balanced", "byclass", "bymerge", "letters", "digits", "mnist"] = "balanced"

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the splits; the training file holds two of them."""
        path = path_of(self.files[0], root)
        both, test = (self._read_pair(path, part) for part in ("train", "test"))
        train, validation = divide(len(both.grey), max(0, len(both.grey) - len(test.grey)))
        return {
            "train": both.select(train),
            "validation": both.select(validation),
            "test": test,
        }

    def _read_pair(self, path: Path, part: str) -> Images:
        arrays = []
        for what, n_dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            member = f"gzip/emnist-{self.subset}-{part}-{what}-ubyte.gz"
            arrays.append(read_idx(_unpacked(path, member), path / member, n_dimensions))
        images, labels = arrays
        return checked(images.transpose(0, 2, 1).copy(), labels, path)


def _unpacked(path: Path, member: str) -> bytes:
    """Read a gzip file in a zip archive, in memory: nothing is ever written where a name says."""
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(member) as packed,
            gzip.open(packed) as unpacked,
        ):
            content = unpacked.read(MAX_BYTES + 1)
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path}: cannot unpack {member} ({why}): fetch it again.") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: {member} unpacks to more than {MAX_BYTES} bytes.")
    return content
