"""Bytes kept by name: below a directory of this machine, or in an object store by its address.

A location is a path, or an address such as `s3://bucket/prefix/name` or `gs://bucket/name`. A
reader sees all that was written or nothing of it. What a store refuses for now, or a network that
fails, is tried again for `PATIENCE` seconds; what it refuses for good is an error at once.
Credentials come from where the store's own tools look for them, and are never part of a location.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from random import uniform
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

PARTIAL = ".partial"  # ends the name of what is not whole yet, or will never be
SCHEMES = ("s3", "gs")
PATIENCE = 300.0  # seconds for which a store may be out of reach
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0  # seconds between two tries, doubling

# What the AWS SDK and Google's client say where trying again is of no use.
_FINAL = (
    *("ACCESS_DENIED", "AccessDenied", "NO_SUCH_BUCKET", "NoSuchBucket", "InvalidAccessKeyId"),
    *("INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "SignatureDoesNotMatch"),
    *("INVALID_CLIENT_TOKEN_ID", "UNRECOGNIZED_CLIENT", "MISSING_AUTHENTICATION_TOKEN"),
    *("PERMISSION_DENIED", "UNAUTHENTICATED", "HTTP status 403", "HTTP status 401"),
    *("HTTP status 301", "ExpiredToken", "EXPIRED_TOKEN"),
)

T = TypeVar("T")


class StorageError(OSError):
    """A store that cannot be used; the text is one line and says what to do."""


class File(NamedTuple):
    """A file below a directory: its path from there, its size in bytes and when it was written.

    `stamp` differs where the content does, as far as size and time of writing can tell.
    """

    name: str
    size: int
    stamp: str


def is_remote(location: str | os.PathLike[str]) -> bool:
    """Say whether a location is an address in an object store."""
    return "://" in os.fspath(location)


def check(location: str) -> str:
    """Give an address without a trailing slash.

    Raises `ValueError` for a scheme that is not supported, an address without a bucket, and one
    that holds credentials or a query, which would end up in logs.
    """
    parts = urlsplit(location)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(f"{parts.scheme}:// is not supported; name a path, or one of {known}")
    if "@" in parts.netloc or ":" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"an address is {parts.scheme}://bucket/prefix; credentials and endpoints come from "
            "the environment"
        )
    if not parts.netloc:
        raise ValueError(f"{parts.scheme}:// names no bucket; an address is s3://bucket/prefix")
    if any(
        part in ("", ".", "..")
        for part in parts.path[1:].rstrip("/").split("/")
        if parts.path.strip("/")
    ):
        raise ValueError("an address has no empty part, '.' or '..'")
    return location.rstrip("/")


def below(location: str, *names: str) -> str:
    """Give the location of something in a directory."""
    return "/".join([location.rstrip("/"), *names]) if names else location


def read(location: str) -> bytes:
    """Read a whole file.

    Raises `FileNotFoundError` where there is none, other `OSError`s where it cannot be read.
    """
    if not is_remote(location):
        return Path(location).read_bytes()
    store, path = _opened(location)

    def get() -> bytes:
        with store.open_input_stream(path) as stream:
            content: bytes = stream.read()
        return content

    return _patiently(get, location)


def write(location: str, content: bytes | memoryview) -> None:
    """Write a whole file, making the directories above it; whoever reads sees all or nothing.

    Raises `OSError` where it cannot be written; then what was there before is intact.
    """
    if not is_remote(location):
        return _write_here(Path(location), content)
    store, path = _opened(location)

    def put() -> None:
        # An upload appears when the stream is closed, and not before.
        with store.open_output_stream(path) as stream:
            stream.write(content)

    return _patiently(put, location)


def remove(location: str) -> None:
    """Remove a file; it does not matter where there is none.

    Raises `OSError` where that cannot be done.
    """
    if not is_remote(location):
        return Path(location).unlink(missing_ok=True)
    store, path = _opened(location)
    with contextlib.suppress(FileNotFoundError):
        _patiently(partial(store.delete_file, path), location)
    return None


def prune(directory: str) -> None:
    """Remove a directory that is empty; object stores have none."""
    if not is_remote(directory):
        with contextlib.suppress(OSError):
            Path(directory).rmdir()


def move(location: str, name: str) -> str:
    """Give a file another name in its directory, and return where it lies now.

    Raises `OSError` where that cannot be done.
    """
    if not is_remote(location):
        return str(Path(location).replace(Path(location).with_name(name)))
    target = below(location.rpartition("/")[0], name)
    write(target, read(location))
    remove(location)
    return target


def files(directory: str) -> list[File]:
    """List all files below a directory, at any depth, by name; none where it does not exist.

    Raises `OSError` where that cannot be seen.
    """
    if not is_remote(directory):
        return sorted(_files_here(Path(directory)))
    from pyarrow import fs

    store, path = _opened(directory)
    selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
    return sorted(
        File(info.path[len(path) + 1 :], info.size, f"{info.size} {info.mtime_ns}")
        for info in _patiently(partial(store.get_file_info, selector), directory)
        if info.type == fs.FileType.File
    )


def directories(directory: str) -> list[str]:
    """List the names of the directories right below one; none where it does not exist.

    Raises `OSError` where that cannot be seen.
    """
    if not is_remote(directory):
        found = Path(directory).iterdir() if Path(directory).is_dir() else iter(())
        return sorted(path.name for path in found if path.is_dir())
    from pyarrow import fs

    store, path = _opened(directory)
    selector = fs.FileSelector(path, recursive=False, allow_not_found=True)
    return sorted(
        info.base_name
        for info in _patiently(partial(store.get_file_info, selector), directory)
        if info.type == fs.FileType.Directory
    )


def exists(location: str) -> bool:
    """Say whether there is a file.

    Raises `OSError` where that cannot be seen.
    """
    if not is_remote(location):
        return Path(location).is_file()
    from pyarrow import fs

    store, path = _opened(location)
    kind = _patiently(partial(store.get_file_info, path), location).type
    return bool(kind == fs.FileType.File)


def _write_here(path: Path, content: bytes | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.{uuid4().hex}{PARTIAL}")
    try:
        with partial_path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # or a power cut could undo the renaming
    finally:
        os.close(directory)


def _files_here(directory: Path) -> Iterator[File]:

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for above, _, names in os.walk(directory, onerror=refuse):
        for name in names:
            path = Path(above, name)
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                found = path.stat()
                stamp = f"{found.st_size} {found.st_mtime_ns}"
                yield File(str(path.relative_to(directory)), found.st_size, stamp)


def _opened(location: str) -> tuple[Any, str]:
    """Give the file system of an address, and the path in it."""
    scheme, _, path = check(location).partition("://")
    return _filesystem(scheme), path


@cache
def _filesystem(scheme: str) -> Any:
    from pyarrow import fs

    if scheme == "gs":
        from datetime import timedelta

        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=10))
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region or ("us-east-1" if endpoint else None),
        connect_timeout=10,
        request_timeout=60,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
    )


def _patiently(act: Callable[[], T], location: str) -> T:
    """Do something with a store, again and again while that may help."""
    start, wait = time.monotonic(), FIRST_WAIT
    while True:
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            what = str(error).splitlines()[0]
            if any(sign in what for sign in _FINAL):
                raise StorageError(f"{location} cannot be used: {_brief(what)}") from None
            if time.monotonic() - start + wait > PATIENCE:
                raise StorageError(
                    f"{location} has been out of reach for {PATIENCE:.0f} s: {_brief(what)}"
                ) from None
        time.sleep(wait * uniform(0.5, 1.0))  # so that many do not come back at once
        wait = min(2 * wait, LONGEST_WAIT)


def _brief(problem: str) -> str:
    return problem if len(problem) <= 300 else f"{problem[:300]}…"
