import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.corpora import data_checksums
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.rows import trial_rows
from sweeper.runs import RunDirectory
from sweeper.search import Sweep, Task
from trainables.training import TrainingRun

LEARNING_RATE = {"kind": "float", "low": 1.0e-3, "high": 1.0e-1, "log": True}
TINY = {
    "name": "tiny",
    "description": "A small one",
    "trial": {
        "data": {"name": "symbols", "vocabulary": 8},
        "model": {
            "name": "symbol_mlp",
            "embedding": 3,
            "hidden": 4,
            "latents": {"kind": "categorical", "variables": 2, "categories": 3},
        },
        "objective": {"name": "kl", "estimator": "vimco", "samples": 2, "lambda": 0.5},
        "training": {"steps": 4, "batch_size": 4},
        "evaluation": {"samples": 3},
    },
    "search": {
        "space": {"training.learning_rate": LEARNING_RATE},
        "sampler": {"name": "random"},
        "trials": 3,
    },
}

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
TrainRun = Callable[..., RunDirectory]


def merged(base: Any, patch: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(patch, dict) or "kind" in patch:
        return patch
    return base | {key: merged(base.get(key), value) for key, value in patch.items()}


@pytest.fixture
def experiment_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes the smallest experiment, with `changes` merged into its sections."""

    def write(**changes: Any) -> Path:
        document = merged(TINY, changes)
        path = tmp_path / f"{document['name']}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    return write


@pytest.fixture
def experiment(experiment_file: Callable[..., Path]) -> MakeExperiment:
    """Makes the smallest experiment, with `changes` merged into its sections."""
    return lambda **changes: load(experiment_file(**changes))


@pytest.fixture
def ended() -> MakeRows:
    """Makes the rows of a trial that has ended, `nll` and `mi` by default from its seed."""

    def rows(
        experiment: Experiment, task: Task, status: str = "done", **figures: Any
    ) -> list[dict[str, Any]]:
        report: Mapping[str, Any] = {
            "status": status,
            "reason": None if status == "done" else "as the test wants it",
            "step": 4,
            "evaluations": [{"step": 4, "nll": 2.0 + task.seed, "mi": 1.0 + task.seed, **figures}],
            "cost": [{"train_seconds": 1.0}],
        }
        return trial_rows(experiment, task, report)

    return rows


@pytest.fixture
def train_run(tmp_path: Path) -> TrainRun:
    """Trains a run in this process, into `tmp_path/runs`, or the first `n_trials` of it."""

    def train(experiment: Experiment, n_trials: int | None = None) -> RunDirectory:
        directory = RunDirectory(tmp_path / "runs" / experiment.name)
        if not directory.exists:
            directory.create(experiment.to_yaml())
        store = ResultStore(directory.results)
        sweep = Sweep(experiment, directory.journal, store, data_checksums(experiment))
        for task in itertools.islice(iter(sweep.next, None), n_trials):
            run = TrainingRun(task.config, task.seed, data_root=tmp_path)
            while not run.finished:
                run.evaluate() if run.evaluation_due else run.train()
            evaluations = run.evaluations
            report = {"status": "done", "device": "cpu", "host": "h", "evaluations": evaluations}
            sweep.finish(task, trial_rows(experiment, task, report))
        return directory

    return train
