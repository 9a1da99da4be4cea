"""Arrays in numpy's files, read without ever running what a file holds."""

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from trainables.data.files import DataError

MALFORMED = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a file of another form raises, in numpy and scipy."""


def read_npz(content: bytes | BinaryIO, path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the arrays `names` of an npz file; an array of objects, a pickle, is refused.

    `content` is the file's, or the file opened. Raises `DataError`, which names `path`, where one
    is lacking or cannot be read.
    """
    try:
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        with np.load(file, allow_pickle=False) as npz:
            return {name: npz[name] for name in names}
    except MALFORMED as error:
        raise not_held(path, names, error) from error


def not_held(path: Path, names: Sequence[str], error: Exception) -> DataError:
    """Say that `path` does not hold the arrays `names`, and why."""
    why = " ".join(str(error).split())
    return DataError(
        f"{path}: expected arrays {', '.join(names)}; got {type(error).__name__}: {why}."
    )
