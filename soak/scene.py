"""What a fault is given to play out, and the row that comes of it."""

import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from soak.machine import Machine, wait_until


class UnavailableError(Exception):
    """This machine has not what a fault needs; the text says what."""


class Fault(NamedTuple):
    """Something that goes wrong, and what must come of it.

    `inject` makes it happen, raises `AssertionError` unless all is as expected, and gives what was
    observed, in figures. `UnavailableError` says that it cannot happen on this machine.
    """

    name: str  # on the command line
    what: str
    expected: str
    inject: "Callable[[Scene], str]"
    long: bool = False  # takes minutes, and had better begin early
    alone: bool = False  # measures speed, which others at work would spoil


class Scene:
    """A machine of its own for one fault, and how much to do with it.

    `quick` is for the tests of every change: the same fault, few times.
    """

    def __init__(self, machine: Machine, quick: bool) -> None:
        self.machine, self.quick = machine, quick

    @property
    def directory(self) -> Path:
        """Where the command line runs."""
        return self.machine.directory

    @property
    def small(self) -> "Scene":
        """The same machine, for a fault to which the size of a sweep is nothing."""
        return Scene(self.machine, quick=True)

    def times(self, full: int, quick: int) -> int:
        """Choose how often something happens."""
        return quick if self.quick else full


class Row(NamedTuple):
    """A line of the table."""

    fault: Fault
    outcome: str  # "ok", "not run" or "FAILED"
    observed: str
    seconds: float

    def __str__(self) -> str:
        """Write it as Markdown."""
        observed = self.observed if self.outcome == "ok" else f"{self.outcome}: {self.observed}"
        cells = (
            self.fault.what,
            self.fault.expected,
            observed,
            f"{self.seconds:.0f}",
            f"`python -m soak {self.fault.name}`",
        )
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "/") for cell in cells) + " |"


HEAD = """\
| fault | expected | observed | seconds | command |
|---|---|---|---|---|"""


@contextmanager
def scene(quick: bool) -> Iterator[Scene]:
    """Set up a scene in a directory of its own, and clear it away."""
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        machine = Machine(Path(directory))
        try:
            yield Scene(machine, quick)
        finally:
            machine.clear()
            wait_until(lambda: not machine.processes())
            shutil.rmtree(machine.ray, ignore_errors=True)


def play(fault: Fault, quick: bool) -> Row:
    """Inject one fault, and say what came of it."""
    start = time.monotonic()
    try:
        with scene(quick) as stage:
            outcome, observed = "ok", fault.inject(stage)
    except UnavailableError as error:
        outcome, observed = "not run", str(error)
    except Exception as error:  # the other faults are played all the same
        traceback.print_exc()
        outcome, observed = "FAILED", str(error)[:300] or type(error).__name__
    return Row(fault, outcome, observed, time.monotonic() - start)
