"""One driver at a time on this machine, or on all that share a file system with locks."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sweeper.errors import SweeperError


@contextmanager
def locked(path: Path, run: str) -> Iterator[None]:
    """Hold a lock; the kernel lets go when the process ends, however it ends.

    `run` is how the run is called. Raises `SweeperError` while another process holds it, and
    where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+", buffering=0)  # what does not fit must not come up again later
    except OSError as error:
        raise SweeperError(
            f"cannot write {path}: {error.strerror}; make the run writable"
        ) from None
    with file:
        try:
            _lock(file)
        except BlockingIOError:
            file.seek(0)
            owner = (file.read() or b"").decode().strip() or "another process"
            raise being_driven(run, owner) from None
        except OSError as error:  # as of a network drive without locks
            raise SweeperError(
                f"cannot lock {path}: {error.strerror}; choose a --storage that has locks"
            ) from None
        with contextlib.suppress(OSError):  # a full disk; the lock itself is the kernel's
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}".encode())
        yield


def is_locked(path: Path) -> bool:
    """Say whether a process holds the lock."""
    try:
        with path.open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def being_driven(run: str, owner: str) -> SweeperError:
    """Give the error that refuses a second driver."""
    return SweeperError(
        f"{run} is being driven by {owner}; wait for it, stop it with Ctrl-C, or choose another "
        "--name"
    )


def _lock(file: IO[Any]) -> None:
    for _ in range(20):  # whoever looks at the run holds the lock too, for an instant
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.01)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
