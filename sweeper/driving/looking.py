"""What a node sees of a run: its directory, its data and the code that would train there."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sweeper.rows import code_version
from trainables.data.corpus import DataConfig
from trainables.data.files import DataError, require


class Look(NamedTuple):
    """What to look for: a marker file with its text in the run directory, and data sets."""

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
    marker = Path(task.marker)
    try:
        if marker.read_text("utf-8") != task.text:
            return f"{marker.parent} is another directory there"
    except OSError as error:
        return f"{marker.parent} is not there ({error.strerror})"
    return None if os.access(marker.parent, os.W_OK) else f"{marker.parent} cannot be written"


def _data(task: Look) -> str | None:
    try:
        for data in task.data:
            require(data, Path(task.data_root))
    except DataError as error:
        return str(error)
    return None
