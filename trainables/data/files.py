"""What lies in the data directory: where it is, what it lacks, what is not as published."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Literal

from trainables.data.corpus import DataConfig, RemoteFile

Status = Literal["ok", "missing", "wrong checksum"]


class DataError(ValueError):
    """Data that cannot be had or used; its text is one line: what, where and what to do."""


def data_root() -> Path:
    """Return the data directory as an absolute path; it need not exist.

    It is `SWEEPER_DATA_DIR` where that is set, else `sweeper` in the user's cache directory.
    """
    if chosen := os.environ.get("SWEEPER_DATA_DIR"):
        return Path(chosen).expanduser().absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is to be ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "sweeper"


def missing(files: Iterable[RemoteFile], root: Path) -> list[RemoteFile]:
    """Return those of `files` that are not below `root`, whatever the others hold."""
    return [file for file in files if not path_of(file, root).is_file()]


def verify(file: RemoteFile, root: Path) -> Status:
    """Say whether `file` lies below `root` with the content its checksum names.

    Raises `DataError` where the file cannot be read.
    """
    path = path_of(file, root)
    if not path.is_file():
        return "missing"
    try:
        return "ok" if sha256_of(path) == file.sha256 else "wrong checksum"
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): make it readable.") from error


def require(data: DataConfig, root: Path) -> None:
    """Raise `DataError` unless every file of `data` is below `root` and has its checksum."""
    status = {file.name: verify(file, root) for file in data.files}
    if absent := [name for name, found in status.items() if found == "missing"]:
        raise DataError(
            f"data set {data.name} is not complete, {root} lacks {', '.join(absent)}: run "
            f"`sweeper data fetch {data.name}`, or set SWEEPER_DATA_DIR to where it lies."
        )
    if wrong := [name for name, found in status.items() if found == "wrong checksum"]:
        raise DataError(
            f"data set {data.name} is not the published one, in {root} the checksum is wrong of "
            f"{', '.join(wrong)}: run `sweeper data fetch {data.name} --force` to replace it."
        )


def digest(files: Iterable[RemoteFile]) -> str:
    """Return one sha256 for the content of several files, in their order."""
    return hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()


def path_of(file: RemoteFile, root: Path) -> Path:
    """Return where `file` lies below `root`; raise `DataError` if its name leads elsewhere."""
    # Read as a Windows path, a name shows its drive and its backslashes on every platform.
    name = PureWindowsPath(file.name)
    if name.anchor or ".." in name.parts or not name.parts:
        raise DataError(
            f"data file {file.name!r} would leave {root}: name it by a path relative to that."
        )
    return root / file.name


def sha256_of(path: Path) -> str:
    """Return the checksum of a file's content in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
