"""What the driver trains, and whom it tells."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sweeper.experiment import Experiment
from sweeper.search import Task


class Work(Protocol):
    """Trials to train, and a place for what they leave; `sweeper.search.Sweep` is one."""

    experiment: Experiment

    @property
    def n_remaining(self) -> int:
        """The number of trials that have not ended."""

    def next(self) -> Task | None:
        """Give a trial to train, or none when all have been given."""

    def judge(self, task: Task, report: Mapping[str, Any]) -> str | None:
        """Say why a running trial is to be stopped, none where it goes on."""

    def give_back(self, task: Task) -> None:
        """Take back a trial that was not finished."""

    def finish(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the rows of a finished trial."""

    def frontier(self) -> set[str]:
        """Give the trials whose models are worth keeping."""


class Listener(Protocol):
    """What is told of a sweep while it runs."""

    def shown(self, n_workers: int) -> AbstractContextManager[None]:
        """The sweep runs while this lasts."""

    def started(self, task: Task) -> None:
        """A worker takes a trial."""

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        """A trial has come further."""

    def lost(self, task: Task, said: str) -> None:
        """The worker of a trial was lost; `said` is what is known of why."""

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """A trial has ended and its rows are stored, the final one last."""

    def noted(self, message: str) -> None:
        """Something happened that a person should know of; it did not end the sweep."""

    def stopping(self) -> None:
        """The sweep is to end early; running trials save their state."""
