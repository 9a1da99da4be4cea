"""Brings the files of a data set to the data directory, whole and checked, or says what to do."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from filelock import FileLock

from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, checksums, missing, path_of, verify

PAUSES = (0.5, 2.0)  # seconds between the attempts at one download
_CHUNK = 1 << 16  # bytes
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class _DownloadError(Exception):
    """A download that failed; `passing` where another attempt may succeed."""

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.passing = passing


def fetch(
    file: RemoteFile,
    root: Path,
    *,
    siblings: Sequence[RemoteFile] = (),
    force: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    timeout: float = 20.0,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Download `file` to its place below `root` and return the path; a good file is left alone.

    The body goes to `<name>.partial`, where an interrupted download is resumed, and takes its
    final name only once its size and checksum are right. Processes that fetch the same file
    take turns. `on_progress` is told (bytes so far, bytes in all). `timeout` is in seconds,
    for each wait on the server; passing faults are tried again after `wait(seconds)`.

    Raises `DataError` where the download fails, the file there is another, or the directory
    cannot be written. Its text says how to supply by hand what is missing of `file` and
    `siblings`, the rest of its data set. A file already there with a wrong checksum is replaced
    only with `force`.
    """
    target = path_of(file, root)
    _check_url(file.url)
    try:
        if _is_good(file, root, force):  # before anything is written: `root` may be read-only
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(".lock")):
            if not _is_good(file, root, force):  # another process may have fetched it meanwhile
                partial = target.with_name(f"{target.name}.partial")
                _download(file, partial, on_progress or _silent, timeout, wait)
                partial.replace(target)
    except _DownloadError as fault:
        again = "run the command again to resume, or " if fault.passing else ""
        names = dict.fromkeys(part.name for part in (file, *missing(siblings, root)))
        raise DataError(
            f"{fault}: {again}put these files below {root}: {', '.join(names)}."
        ) from fault
    except OSError as error:
        raise DataError(
            f"cannot write {error.filename or target} ({error.strerror or error}): free space or "
            f"make it writable, or set SWEEPER_DATA_DIR to another directory."
        ) from error
    return target


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise DataError(f"{url} may not be fetched from: use an https:// URL.")


def _is_good(file: RemoteFile, root: Path, force: bool) -> bool:
    status = verify(file, root)
    if status == "wrong checksum" and not force:
        path = path_of(file, root)
        known, _ = checksums(file, path)
        raise DataError(
            f"{path} is not the published file, which has {known}: move it away, or replace it "
            f"with --force."
        )
    return status in ("ok", "unchecked")


def _silent(done: int, total: int) -> None:
    pass


def _download(
    file: RemoteFile,
    partial: Path,
    on_progress: Callable[[int, int], None],
    timeout: float,
    wait: Callable[[float], None],
) -> None:
    for pause in PAUSES:
        try:
            return _attempt(file, partial, on_progress, timeout)
        except _DownloadError as fault:
            if not fault.passing:
                raise
            wait(pause)
    return _attempt(file, partial, on_progress, timeout)


def _attempt(
    file: RemoteFile, partial: Path, on_progress: Callable[[int, int], None], timeout: float
) -> None:
    """Bring `partial` from where it ends to the whole, checked file, or raise `_DownloadError`."""
    start = partial.stat().st_size if partial.exists() else 0
    if file.size is not None and start >= file.size:
        start = 0
    with _open(file.url, start, timeout) as response:
        resumed = start > 0 and response.status == 206
        done = start if resumed else 0
        size = _size(file, response, done)
        with partial.open("ab" if resumed else "wb") as out:
            on_progress(done, size)
            for chunk in _chunks(response):
                out.write(chunk)
                done += len(chunk)
                if done > size:  # the checksum is wrong already; do not fill the disk
                    break
                on_progress(done, size)
            out.flush()
            os.fsync(out.fileno())
    if done < size:
        raise _DownloadError(f"{file.url} broke off after {done} of {size} bytes", passing=True)
    known, found = checksums(file, partial)
    if known != found:
        partial.unlink()
        # The fault may lie in the part that was already there: start over then.
        raise _DownloadError(
            f"{file.url} has the wrong checksum, expected {known}, got {found}",
            passing=resumed,
        )


def _size(file: RemoteFile, response: HTTPResponse, done: int) -> int:
    """Return how many bytes `file` has, of which `response` leaves out the first `done`."""
    told = None if response.length is None else done + response.length
    size = told if file.size is None else file.size
    if size is None:  # nothing would show that the body broke off, or has no end
        raise _DownloadError(f"{file.url} does not tell its length", passing=False)
    if told not in (None, size):
        raise _DownloadError(f"{file.url} has {told} bytes, not {size}", passing=False)
    return size


def _open(url: str, start: int, timeout: float) -> HTTPResponse:
    """Request `url` from byte `start` on; a server may answer with the whole file instead."""
    headers = {"User-Agent": "sweeper"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = Request(url, headers=headers)  # noqa: S310 - `fetch` has checked the scheme
    try:
        return build_opener(_CheckedRedirects).open(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # the partial file does not fit the one on the server
            return _open(url, 0, timeout)
        passing = error.code >= 500 or error.code in (408, 429)
        raise _DownloadError(
            f"{url} answered {error.code} {error.reason}", passing=passing
        ) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)  # urllib wraps what went wrong
        raise _DownloadError(f"could not reach {url} ({reason})", passing=True) from error


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    with suppress(OSError, HTTPException):  # a body that breaks off shows by its length
        while chunk := response.read(_CHUNK):
            yield chunk


class _CheckedRedirects(HTTPRedirectHandler):
    """Follows a redirect only to where a download may start."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
