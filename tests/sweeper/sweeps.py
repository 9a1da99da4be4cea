"""Sweeps that follow each other over one run, as a driver would lead them but without Ray."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import TrialState

from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.search import Sweep, Task

MakeRows = Callable[..., list[dict[str, Any]]]

TWO_ARMS = {"many": {}, "one": {"objective": {"estimator": "reinforce", "samples": 1}}}


class Run:
    """A run's directory, and the sweeps that follow each other over it."""

    def __init__(self, directory: Path, rows: MakeRows) -> None:
        self.directory, self.rows = directory, rows
        self.journal = directory / "study.journal"
        self.store = ResultStore(directory / "results")
        directory.mkdir(exist_ok=True)

    def sweep(self, experiment: Experiment) -> Sweep:
        return Sweep(experiment, self.journal, self.store, dict.fromkeys(experiment.arms, "5a"))

    def finish(self, sweep: Sweep, task: Task, status: str = "done", **figures: Any) -> None:
        sweep.finish(task, self.rows(sweep.experiment, task, status, **figures))

    def complete(self, sweep: Sweep) -> list[Task]:
        """Train what is left, one trial after the other."""
        done = []
        while task := sweep.next():
            self.finish(sweep, task)
            done.append(task)
        return done

    def stored(self) -> pd.DataFrame:
        return self.store.read(final_only=True)


def states(sweep: Sweep, arm: str = "tiny") -> list[TrialState]:
    return [trial.state for trial in sweep.studies[arm].study.get_trials()]


def rest(sweep: Sweep) -> list[Task]:
    """All that `next` still gives, none of it trained."""
    return list(iter(sweep.next, None))


def ids(tasks: Iterable[Task]) -> list[str]:
    return [task.trial_id for task in tasks]
