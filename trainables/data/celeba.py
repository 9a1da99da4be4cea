"""Faces of celebrities, aligned, with forty attributes (Liu et al., 2015)."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of, read_content
from trainables.data.picture_files import Listed, Open, PictureData
from trainables.data.pictures import MAX_BYTES

_DIRECTORY = "img_align_celeba"
_NAME = re.compile(r"[0-9]{1,9}\.jpg", re.ASCII)


class CelebA(PictureData):
    """Faces of celebrities as grey, 64 × 64: 162,770 to train on; you supply the files.

    There are 19,867 validation and 19,962 test images, the published splits. Of the aligned
    pictures, 178 × 218, the middle 148 × 148 is scaled down to `side`, 64 by default. The label
    is 1 where a face has the `attribute`, one of forty, and else 0. Decoding all takes minutes,
    once; `train_limit` spares most of it. https://arxiv.org/abs/1411.7766

    Licence: the authors limit it to non-commercial research.
    """

    licence: ClassVar[str] = "non-commercial research only, by the terms of its authors"
    source: ClassVar[str] = (
        "mmlab.ie.cuhk.edu.hk/projects/CelebA.html (the archive may lie unpacked beside the "
        f"lists, as celeba/{_DIRECTORY})"
    )
    # The checksums are those of TensorFlow Datasets (url_checksums/celeb_a.txt).
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            f"celeba/{_DIRECTORY}.zip",
            "",
            1_443_490_838,
            "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
            directory=f"celeba/{_DIRECTORY}",
        ),
        RemoteFile(
            "celeba/list_eval_partition.txt",
            "",
            2_836_386,
            "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
        ),
        RemoteFile(
            "celeba/list_attr_celeba.txt",
            "",
            26_721_026,
            "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
        ),
    )
    own_side: ClassVar[int] = 64
    largest_side: ClassVar[int] = 148
    crop: ClassVar[int | None] = 148

    name: Literal["celeba"]
    attribute: str = "Male"

    def list_files(self, root: Path) -> Mapping[str, Listed]:
        """Return the pictures of the splits in the order of the list."""
        _, partition, attributes = self.files
        split_of = _read_partition(read_content(partition, path_of(partition, root)), root)
        path = path_of(attributes, root)
        label_of = _read_attribute(read_content(attributes, path), path, self.attribute)
        if lacking := [name for name in split_of if name not in label_of]:
            raise DataError(f"{path}: expected every picture's attributes; not so {lacking[0]}.")
        sizes = _sizes(*self._images(root))
        if lacking := [name for name in split_of if name not in sizes]:
            raise DataError(f"{self._images(root)[0]} lacks {lacking[0]}: it is not complete.")
        names = {
            split: [name for name, number in split_of.items() if number == wanted]
            for wanted, split in enumerate(("train", "validation", "test"))
        }
        return {
            split: Listed(
                some,
                np.array([label_of[name] for name in some], np.int64),
                [sizes[name] for name in some],
            )
            for split, some in names.items()
        }

    def _images(self, root: Path) -> tuple[Path, bool]:
        """Return where the pictures are, and whether that is an archive."""
        archive = path_of(self.files[0], root)
        return (archive, True) if archive.is_file() else (archive.with_suffix(""), False)

    @contextmanager
    def opened(self, root: Path) -> Iterator[Open]:
        """Give the way to read a picture by its name, from the archive or the directory.

        A member of the archive is read in memory: nothing is ever written where a name says.
        """
        path, is_archive = self._images(root)
        archive = zipfile.ZipFile(path) if is_archive else None

        def read(name: str) -> bytes:
            try:
                if archive is None:
                    with (path / name).open("rb") as file:
                        return file.read(MAX_BYTES + 1)
                with archive.open(f"{_DIRECTORY}/{name}") as member:
                    return member.read(MAX_BYTES + 1)
            except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
                raise DataError(f"{path}: cannot read {name} ({error}).") from error

        try:
            yield read
        finally:
            if archive is not None:
                archive.close()


def _read_partition(content: bytes, root: Path) -> dict[str, int]:
    """Read lines of a picture's name and 0, 1 or 2 for training, validation and test."""
    rows = [line.split() for line in content.decode("ascii", "replace").splitlines()]
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not _NAME.fullmatch(row[0]) or row[1] not in ("0", "1", "2"):
            raise DataError(
                f"{root / 'celeba/list_eval_partition.txt'}, line {number}: expected a picture's "
                f"name and 0, 1 or 2; got {' '.join(row)[:40]!r}."
            )
    return {name: int(split) for name, split in rows}


def _read_attribute(content: bytes, path: Path, attribute: str) -> dict[str, int]:
    """Read a column of the attributes: a count, a line of names, then lines of 1 and -1."""
    lines = content.decode("ascii", "replace").splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    if attribute not in names:
        raise DataError(
            f"{path} has no attribute {attribute!r}: set data.attribute to one of "
            f"{', '.join(names) or 'those it should list in its second line'}."
        )
    column, labels = 1 + names.index(attribute), {}
    for number, line in enumerate(lines[2:], 3):
        row = line.split()
        if len(row) != 1 + len(names) or row[column] not in ("1", "-1"):
            raise DataError(
                f"{path}, line {number}: expected a picture's name and {len(names)} times 1 or -1."
            )
        labels[row[0]] = int(row[column] == "1")
    return labels


def _sizes(path: Path, is_archive: bool) -> dict[str, tuple[int, ...]]:
    """Return each picture's size and what else changes with it: its CRC, or its time."""
    try:
        if not is_archive:
            stats = {file.name: file.stat() for file in path.iterdir()}
            return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename.removeprefix(f"{_DIRECTORY}/"): (info.file_size, info.CRC)
                for info in archive.infolist()
            }
    except (OSError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())
        raise DataError(f"cannot read {path} ({why}).") from error
