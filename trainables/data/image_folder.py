"""Pictures of one's own in a directory, one sub-directory for each class."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from trainables.config import Config
from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of
from trainables.data.images import LARGEST, SIDE, SMALLEST
from trainables.data.picture_files import Listed, Open, PictureData
from trainables.data.pictures import MAX_BYTES, SUFFIXES
from trainables.data.splitting import divide

_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_DEFAULT = "images"

_Share = Annotated[float, Field(gt=0, lt=1)]


class Shares(Config):
    """How much of one directory of classes validates and tests, drawn by a seed."""

    validation: _Share = 0.1
    test: _Share = 0.1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _leave_a_rest(self) -> "Shares":
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave nothing to train on"
            )
        return self


class ImageFolder(PictureData):
    """Pictures of your own: `folder` has a directory for each class, below those of the splits.

    The splits are directories `train`, `validation` (`valid`, `val`) and `test` in `folder`, with
    those of the classes in each. With `shares` there are no such directories: `folder` has those
    of the classes, and the splits are drawn from all pictures together, for good by its seed.
    Labels number the classes in the order of their names. Of every picture the middle square is
    taken, `side` pixels a side, as grey. Files that are no pictures by their names, and hidden
    ones, are left out; a picture that cannot be read is an error.

    Licence: your own.
    """

    licence: ClassVar[str] = "your own pictures: you know their licence"
    source: ClassVar[str] = "any collection of pictures in one directory for each class"
    files: ClassVar[tuple[RemoteFile, ...]] = (RemoteFile(_DEFAULT, "", None, directory=_DEFAULT),)

    name: Literal["image_folder"]
    folder: str = _DEFAULT
    shares: Shares | None = None
    side: Annotated[int, Field(ge=SMALLEST, le=LARGEST)] = SIDE

    @field_validator("folder")
    @classmethod
    def _is_below_the_data(cls, folder: str) -> str:
        name = PureWindowsPath(folder)  # which knows drives and backslashes on every platform
        if name.anchor or ".." in name.parts or not name.parts:
            raise ValueError(
                f"a path within the data directory is expected (SWEEPER_DATA_DIR); got {folder!r}"
            )
        return folder

    @property
    def needed(self) -> tuple[RemoteFile, ...]:
        """The directory."""
        return (RemoteFile(self.folder, "", None, directory=self.folder),)

    def list_files(self, root: Path) -> Mapping[str, Listed]:
        """Return the pictures of the splits, each in the order of their names."""
        top = path_of(self.needed[0], root)
        if self.shares is None:
            found = {split: _classes(_split_directory(top, split)) for split in _SPLITS}
        else:
            found = {"all": _classes(top)}
            if found["all"].keys() <= set().union(*_SPLITS.values()):
                raise DataError(
                    f"{top} has a directory for each split, not for each class: leave data.shares "
                    "out."
                )
        numbers = {name: n for n, name in enumerate(sorted(set().union(*found.values())))}
        listed = {split: _listed(classes, numbers, top) for split, classes in found.items()}
        return listed if self.shares is None else _drawn(listed["all"], self.shares)

    @contextmanager
    def opened(self, root: Path) -> Iterator[Open]:
        """Give the way to read a picture by its path within the folder."""
        top = path_of(self.needed[0], root)

        def read(name: str) -> bytes:
            path = top / name
            try:
                with path.open("rb") as file:
                    return file.read(MAX_BYTES + 1)
            except OSError as error:
                raise DataError(f"cannot read {path} ({error.strerror}).") from error

        yield read


def _split_directory(top: Path, split: str) -> Path:
    there = [top / name for name in _SPLITS[split] if (top / name).is_dir()]
    if not there:
        raise DataError(
            f"{top} has no directory {' or '.join(_SPLITS[split])}: make one for each split, or "
            "set data.shares to draw the splits."
        )
    return there[0]


def _classes(directory: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class, in the order of their paths, at any depth."""
    try:
        entries = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
        classes = {
            path.name: sorted(file for file in path.rglob("*") if _is_picture(file, path))
            for path in entries
            if path.is_dir()
        }
    except OSError as error:
        raise DataError(f"cannot read {error.filename} ({error.strerror}).") from error
    if loose := [path for path in entries if _is_picture(path, directory)]:
        raise DataError(f"{loose[0]} is in no class: put every picture in the directory of one.")
    if empty := [name for name, files in classes.items() if not files]:
        raise DataError(f"{directory / empty[0]} has no pictures: remove it, or put some there.")
    if not classes:
        raise DataError(f"{directory} has no directories: put a class's pictures in one each.")
    return classes


def _is_picture(file: Path, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(below).parts)
    return not hidden and file.suffix.lower() in SUFFIXES and file.is_file()


def _listed(classes: Mapping[str, list[Path]], numbers: Mapping[str, int], top: Path) -> Listed:
    files = [(file, numbers[name]) for name, group in classes.items() for file in group]
    states = [(stat.st_size, stat.st_mtime_ns) for stat in (file.stat() for file, _ in files)]
    names = [PurePosixPath(file.relative_to(top)).as_posix() for file, _ in files]
    return Listed(names, np.array([label for _, label in files], np.int64), states)


def _drawn(listed: Listed, shares: Shares) -> dict[str, Listed]:
    """Draw the splits by one permutation: first what tests, then what validates."""
    n = len(listed.names)
    n_test, n_validation = round(shares.test * n), round(shares.validation * n)
    test, rest = divide(n, n_test, shares.seed)
    validation, train = divide(len(rest), n_validation, shares.seed)
    return {
        "train": listed.select(rest[train]),
        "validation": listed.select(rest[validation]),
        "test": listed.select(test),
    }
