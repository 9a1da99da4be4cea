"""Workers that were lost: what Ray says of it, and what that probably means."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.tune import Callback

NOTHING_SAID = "Ray says nothing of how its worker ended."

_NODE = ("node has died", "node was terminated", "NODE_DIED", "node failure")

# What Ray's text holds, and what it means; the first that fits counts.
_CAUSES = (
    (
        ("OutOfMemoryError", "OUT_OF_MEMORY", "low on memory"),
        "for lack of memory on its node; try fewer --workers or smaller batches",
    ),
    (
        _NODE,
        "with its node; look after that machine, then resume the run",
    ),
)
_GUESSES = ("potential root causes", "common causes include")  # of anything, says Ray
_PERHAPS = "perhaps for lack of memory; try fewer --workers or smaller batches"
# Ray lists who uses how much memory: process, gigabytes, program, and then its arguments, which
# may be anybody's and hold anything.
_COMMAND = re.compile(r"^(\d+\t[\d.]+\t\S+).*$", re.MULTILINE)


class Deaths(Callback):
    """Overhears what Tune writes of trials whose worker was lost.

    A searcher is told only that there was an error.
    """

    def __init__(self) -> None:
        self.trials: Sequence[Any] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything behind: Tune's restart, for which it pickles, never happens here."""
        return {"trials": ()}

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:  # noqa: ARG002
        """Remember Tune's trials, which is a list that it goes on to change."""
        self.trials = trials

    def said(self, trial_id: str) -> str:
        """Give what Ray said when the worker of a trial was lost."""
        trial = next(
            (trial for trial in reversed(self.trials) if trial.trial_id == trial_id), None
        )
        file = getattr(trial, "error_file", None)
        if file:
            with suppress(OSError):
                said = Path(file).read_text("utf-8", errors="replace").strip()
                return _COMMAND.sub(r"\1", said) or NOTHING_SAID
        return NOTHING_SAID


def likely_cause(said: str) -> str:
    """Say in half a sentence what ended a worker, by what Ray says, and what to do."""
    known = _known(said)
    for signs, cause in _CAUSES:
        if any(sign in known for sign in signs):
            return cause
    return _PERHAPS


def took_its_node(said: str) -> bool:
    """Say whether a worker was lost with its whole node, by what Ray says."""
    return any(sign in _known(said) for sign in _NODE)


def _known(said: str) -> str:
    """Give what Ray says, less what it guesses."""
    for guesses in _GUESSES:
        said = said.partition(guesses)[0]
    return said
