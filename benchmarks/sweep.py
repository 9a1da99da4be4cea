"""How much of a sweep's time its workers train and evaluate: the quickstart, start to end."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import line
from sweeper.corpora import data_checksums
from sweeper.driving.driver import drive
from sweeper.experiment import load
from sweeper.progress import Progress
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep, Task


class Stopwatch(Progress):
    """Notes when the first trial began to work and when the last one ended."""

    first: float | None = None
    last = 0.0

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        super().reported(task, report)
        [cost] = report["cost"]
        work = cost["train_seconds"] + cost["eval_seconds"]
        self.first = self.first or time.monotonic() - work  # when that trial began to work

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        super().finished(task, rows)
        self.last = time.monotonic()


def main() -> None:
    experiment = load("quickstart")
    with tempfile.TemporaryDirectory() as name:
        directory = RunDirectory(Path(name) / experiment.name)
        directory.create(experiment.to_yaml())
        store = ResultStore(directory.results)
        watch = Stopwatch(0, store.read(final_only=True))
        checksums = data_checksums(experiment)
        drive(Sweep(experiment, directory.journal, store, checksums), directory, watch)
        rows = store.read(final_only=True)
    assert watch.first is not None
    busy = rows["train_seconds"].sum() + rows["eval_seconds"].sum()
    wall = watch.last - watch.first
    line(
        "quickstart: training and evaluating / wall x workers",
        busy / (wall * watch.n_workers),
        ">= 0.85",
        f"{len(rows)} trials, {busy:.0f} s of work in {wall:.0f} s on {watch.n_workers} workers",
    )


if __name__ == "__main__":
    main()
