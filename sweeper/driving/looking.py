"""What a node sees of a run: its directory, its data and the code that would train there."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from sweeper.rows import code_version
from trainables import storage
from trainables.data.corpus import DataConfig
from trainables.data.files import DataError, require


class Look(NamedTuple):
    """What to look for: a marker file by its location, its text, and data sets."""

    marker: str
    text: str
    data: Sequence[DataConfig]
    data_root: str


class Seen(NamedTuple):
    """What is wrong with the run directory and with the data, none if nothing; the code there."""

    storage: str | None
    data: str | None
    code_version: str


def look(task: Look) -> Seen:
    """Look for what a sweep needs, on the machine where this runs."""
    return Seen(_storage(task), _data(task), code_version())


def _storage(task: Look) -> str | None:
    directory = task.marker.rpartition("/")[0]
    try:
        if storage.read(task.marker).decode() != task.text:
            return f"{directory} is another directory there"
    except OSError as error:
        return f"{directory} is not there ({error.strerror or error})"
    own = f"{task.marker}-{uuid4().hex}"
    try:
        storage.write(own, b"")
        storage.remove(own)
    except OSError as error:
        return f"{directory} cannot be written ({error.strerror or error})"
    return None


def _data(task: Look) -> str | None:
    try:
        for data in task.data:
            require(data, Path(task.data_root))
    except DataError as error:
        return str(error)
    return None
