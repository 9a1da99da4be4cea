"""Pictures that were decoded once and are read as arrays from then on.

They lie below `prepared` in the data directory; that can be deleted at any time, and need not be
writable.
"""

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock

from trainables.data.arrays import read_npz
from trainables.data.files import DataError, sha256
from trainables.data.images import Images

DIRECTORY = "prepared"
_SPLITS = ("train", "validation", "test")


def prepared(
    root: Path, name: str, made_from: object, make: Callable[[], tuple[Mapping[str, Images], str]]
) -> tuple[Mapping[str, Images], str]:
    """Return what `make` gives, images by split and their sha256, from a file where there is one.

    `made_from` is all that decides what `make` gives, as plain values. Processes that want the
    same take turns, so that one of them makes it. A file that is damaged is made again.
    """
    key = sha256(json.dumps(made_from).encode())
    path = root / DIRECTORY / f"{name}-{key[:32]}.npz"
    if (stored := _read(path)) is not None:
        return stored
    try:
        path.parent.mkdir(exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire()
    except OSError:  # the data directory may be read-only; every trial decodes the pictures then
        return make()
    with lock:
        if (stored := _read(path)) is not None:  # another process may have made it meanwhile
            return stored
        made = make()
        with contextlib.suppress(OSError):  # it can be made again
            _write(path, *made)
        return made


def _read(path: Path) -> tuple[Mapping[str, Images], str] | None:
    try:
        names = [f"{split}_{what}" for split in _SPLITS for what in ("grey", "labels")]
        with path.open("rb") as file:
            arrays = read_npz(file, path, [*names, "sha256"])
    except (OSError, DataError):
        return None
    splits = {
        split: Images(arrays[f"{split}_grey"], arrays[f"{split}_labels"]) for split in _SPLITS
    }
    return splits, str(arrays["sha256"])


def _write(path: Path, splits: Mapping[str, Images], checksum: str) -> None:
    arrays = {
        f"{split}_{what}": array
        for split, images in splits.items()
        for what, array in images._asdict().items()
    }
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("wb") as out:
            np.savez(out, allow_pickle=False, sha256=np.array(checksum), **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
