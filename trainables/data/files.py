"""What lies in the data directory: where it is, what it lacks, what is not as published."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Literal

from trainables.data.corpus import DataConfig, RemoteFile

Status = Literal["ok", "missing", "wrong checksum", "unchecked"]


class DataError(ValueError):
    """Data that cannot be had or used; its text is one line: what, where and what to do."""


class PackingError(DataError):
    """A file that should be a gzip file and cannot be unpacked."""


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
    return [file for file in files if _place(file, root) is None]


def _place(file: RemoteFile, root: Path) -> Path | None:
    """Return where the file or the directory in its stead is, if either is there."""
    path = path_of(file, root)
    if path.is_file():
        return path
    if file.directory:
        directory = path_of(file._replace(name=file.directory), root)
        return directory if directory.is_dir() else None
    return None


def verify(file: RemoteFile, root: Path) -> Status:
    """Say whether `file` lies below `root` with the content its checksum names.

    It is "unchecked" where it is there and no checksum is known, as for a directory in its stead.
    Raises `DataError` where the file cannot be read.
    """
    path = _place(file, root)
    if path is None:
        return "missing"
    if path.is_dir():
        return "unchecked"
    known, found = checksums(file, path)
    if not known:
        return "unchecked"
    return "ok" if found == known else "wrong checksum"


def require(data: DataConfig, root: Path) -> None:
    """Raise `DataError` unless every file that `data` needs is below `root` with its checksum."""
    status = {file.name: verify(file, root) for file in data.needed}
    if absent := [name for name, found in status.items() if found == "missing"]:
        remedy = (
            f"get them from {data.source} and put them there, or set SWEEPER_DATA_DIR to where "
            f"they lie."
            if data.source
            else f"run `sweeper data fetch {data.fetched_as}`, or set SWEEPER_DATA_DIR to where "
            f"it lies."
        )
        raise DataError(
            f"data set {data.name} is not complete, {root} lacks {', '.join(absent)}: {remedy}"
        )
    if wrong := [name for name, found in status.items() if found == "wrong checksum"]:
        remedy = (
            f"get it from {data.source}."
            if data.source
            else f"run `sweeper data fetch {data.fetched_as} --force` to replace it."
        )
        raise DataError(
            f"data set {data.name} is not the published one, in {root} the checksum is wrong of "
            f"{', '.join(wrong)}: {remedy}"
        )


def digest(files: Iterable[RemoteFile], root: Path) -> str:
    """Return one sha256 for the content of several files, in their order.

    A file whose sha256 is not known beforehand counts with the one it has below `root`.
    """
    sums = (file.sha256 or _checksum(file, path_of(file, root), "sha256") for file in files)
    return sha256("".join(sums).encode())


def read_content(file: RemoteFile, path: Path) -> bytes:
    """Return what `path` holds of `file`, unpacked where `file` is a gzip file and no archive.

    Raises `DataError` where it cannot be read, `PackingError` where it cannot be unpacked.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if _is_packed(file) else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PackingError(f"cannot unpack {path} ({error}): put a gzip file there.") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_packed(file: RemoteFile) -> bool:
    return file.name.endswith(".gz") and not file.name.endswith(".tar.gz")


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot read {path} ({error.strerror or error}): make it readable.")


def checksums(file: RemoteFile, path: Path) -> tuple[str, str]:
    """Return the known checksum of `file`, "" without one, and that of what `path` holds.

    Each is its kind and its value. Raises `DataError` where `path` cannot be read.
    """
    kind, known = next(
        (
            (kind, known)
            for kind, known in (("md5", file.md5), ("git blob id", file.git_blob))
            if known and not file.sha256
        ),
        ("sha256", file.sha256),
    )
    try:
        found = f"{kind} {_checksum(file, path, kind)}"
    except PackingError:
        found = "a broken gzip file"
    return known and f"{kind} {known}", found


def _checksum(file: RemoteFile, path: Path, kind: str) -> str:
    """Return one kind of checksum of what `path` holds; archives can be larger than memory."""
    if kind == "git blob id":
        return git_blob(read_content(file, path))
    compute = partial(hashlib.new, kind, usedforsecurity=False)
    if _is_packed(file):
        return compute(read_content(file, path)).hexdigest()
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, compute).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def path_of(file: RemoteFile, root: Path) -> Path:
    """Return where `file` lies below `root`; raise `DataError` if its name leads elsewhere."""
    # Read as a Windows path, a name shows its drive and its backslashes on every platform.
    name = PureWindowsPath(file.name)
    if name.anchor or ".." in name.parts or not name.parts:
        raise DataError(
            f"data file {file.name!r} would leave {root}: name it by a path relative to that."
        )
    return root / file.name


def sha256(content: bytes) -> str:
    """Return the checksum of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    """Return the id that git gives to a file with this content.

    >>> git_blob(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
