"""One driver at a time of a run in an object store, which knows no locks.

The driver writes a lease and beats: it writes it again and again, each time another. Who finds a
lease that changes stays away; one that has stayed the same for a while is a dead driver's. No
clocks are compared. Between two that come in the same instant, the one that wrote last has it, and
the other sees so before it begins.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from sweeper.errors import SweeperError
from sweeper.lock import being_driven
from trainables import storage

BEAT_SECONDS = 15.0
DEAD_SECONDS = 60.0  # without a beat
SETTLED_SECONDS = 3.0  # between writing a lease and trusting it
_LOOK_SECONDS = 2.0

Say = Callable[[str], None]


@contextmanager
def leased(
    location: str, run: str, *, beat: Callable[[], None], lost: Callable[[], None], say: Say
) -> Iterator[None]:
    """Hold the lease at a location of an object store.

    `run` is how the run is called. `beat` is called at every beat and at the end, `lost` once
    where another has taken the lease, which happens to a driver that could not reach the store for
    long, both by another thread; `say` tells a person what is waited for.

    Raises `SweeperError` while another driver beats, and where the store cannot be used.
    """
    mine = uuid4().hex
    try:
        _wait_for_silence(location, run, say)
        _write(location, mine, 0)
        time.sleep(SETTLED_SECONDS)
        found = _read(location)
    except OSError as error:
        raise SweeperError(f"{error}; mend the access, then resume the run") from None
    if found.get("driver") != mine:
        raise being_driven(run, _owner(found))
    end = threading.Event()
    thread = threading.Thread(
        target=_keep, args=(location, mine, end, beat, lost), name="lease", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        with suppress(OSError, SweeperError):
            if _read(location).get("driver") == mine:
                beat()
                storage.remove(location)


def _wait_for_silence(location: str, run: str, say: Say) -> None:
    first = _read(location)
    if not first or _is_dead_here(first):
        return
    say(
        f"{run} was being driven by {_owner(first)}; watching for up to {DEAD_SECONDS:.0f} s "
        "whether it still is"
    )
    start = time.monotonic()
    while time.monotonic() - start < DEAD_SECONDS:
        time.sleep(_LOOK_SECONDS)
        now = _read(location)
        if not now:
            return
        if now != first:
            raise being_driven(run, _owner(now))


def _keep(
    location: str,
    mine: str,
    end: threading.Event,
    beat: Callable[[], None],
    lost: Callable[[], None],
) -> None:
    for number in range(1, 2**62):
        if end.wait(BEAT_SECONDS):
            return
        with suppress(OSError, SweeperError):  # the driver itself will notice
            if _read(location).get("driver", mine) != mine:
                lost()
                return
            _write(location, mine, number)
            beat()


def _write(location: str, driver: str, beat: int) -> None:
    content = {
        "driver": driver,
        "beat": beat,
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "machine": _machine(),
    }
    storage.write(location, json.dumps(content).encode())


def _read(location: str) -> Mapping[str, Any]:
    """Give a lease; empty where there is none, or none that can be read."""
    with suppress(FileNotFoundError, ValueError):
        content = json.loads(storage.read(location))
        if isinstance(content, dict):
            return content
    return {}


def _owner(lease: Mapping[str, Any]) -> str:
    return f"process {lease.get('pid', '?')} on {lease.get('host', '?')}"


def _machine() -> str:
    """Give what tells where process ids mean the same: machines and containers share names."""
    known = [os.uname().nodename]
    with suppress(OSError):  # but on Linux
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(known)


def _is_dead_here(lease: Mapping[str, Any]) -> bool:
    """Say whether the driver was one of this machine and is no more."""
    pid = lease.get("pid")
    if lease.get("machine") != _machine() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return pid == os.getpid()
