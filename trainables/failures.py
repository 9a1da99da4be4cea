"""Why a trial failed: one line for its row, and the whole traceback for whoever must mend it."""

import re
import traceback
from pathlib import Path
from typing import NamedTuple

from trainables.masking import mask

REASON_CHARACTERS = 400
TRACEBACK_CHARACTERS = 64 * 1024
_PLACE = re.compile(r" \(at \S+:\d+ in \S+\)$")
_ROOT = Path(__file__).parents[1]


class Failure(NamedTuple):
    """An error as text without secrets."""

    reason: str  # one line: type, message, and where it was raised
    traceback: str


def describe(error: BaseException) -> Failure:
    """Say what an error is, from within the `except` that caught it.

    The reason is the error's type, the first line of its message, and the last frame of its
    traceback, e.g. `ValueError: no such mode (at losses.py:12 in forward)`.
    """
    known = traceback.TracebackException.from_exception(error)  # copes with any `__str__`
    message = str(known).strip().partition("\n")[0]
    name = type(error).__name__
    reason = mask(shortened(f"{name}: {message}" if message else name, REASON_CHARACTERS))
    if known.stack:
        last = known.stack[-1]
        reason += f" (at {_place(last.filename)}:{last.lineno} in {last.name})"
    return Failure(reason, shortened(mask("".join(known.format())), TRACEBACK_CHARACTERS))


def without_place(reason: str) -> str:
    """Give a reason without where the error was raised.

    >>> without_place("ValueError: no such mode (at losses.py:12 in forward)")
    'ValueError: no such mode'
    """
    return _PLACE.sub("", reason)


def shortened(text: str, n_characters: int) -> str:
    """Leave out the middle of a text that is too long; an error's ends say most."""
    if len(text) <= n_characters:
        return text
    half = max(1, (n_characters - 60) // 2)
    left_out = len(text) - 2 * half
    return f"{text[:half]} ... {left_out} characters left out ... {text[-half:]}"


def _place(filename: str) -> str:
    """Name a file of ours from the top of the tree, any other by its name alone."""
    path = Path(filename)
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name
