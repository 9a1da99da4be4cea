import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from trainables.trial import config_hash, trial_id

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
StoreRun = Callable[..., RunDirectory]
StoreArms = Callable[..., RunDirectory]

POINT = {"nll": 2.0, "mi": 1.0, "nll_se": 0.01, "mi_se": 0.02, "tokens": 1.0, "ess": 50.0}


@pytest.fixture
def store_run(
    tmp_path: Path, experiment: MakeExperiment, ended: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> StoreRun:
    """Stores a run of three trials of which some have ended, by status, with given figures."""
    monkeypatch.chdir(tmp_path)

    def store(*statuses: str, name: str = "tiny", **figures: Any) -> RunDirectory:
        tiny = experiment(name=name)
        run = RunDirectory(Path("runs") / name)
        run.create(tiny.to_yaml())
        for number, status in enumerate(statuses):
            values = {"training.learning_rate": 0.01 + 0.001 * number}
            config = tiny.trial_config(name, values)
            identity = config_hash(config, "5a")
            task = Task(name, number, 0, values, config, "5a", identity, trial_id(identity, 0))
            point = {**POINT, "nll": 2.0 - 0.1 * number, "mi": 1.0 - 0.1 * number}
            ResultStore(run.results).append(ended(tiny, task, status, **{**point, **figures}))
        return run

    return store


@pytest.fixture
def store_arms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreArms:
    """Stores a run with arms of `(nll, mi)` pairs, none for a failed trial; keywords override."""
    monkeypatch.chdir(tmp_path)
    for module in ("comparing", "comparing_many"):
        monkeypatch.setattr(f"sweeper.stored.{module}.N_REPLICATES", 200)

    def store(
        name: str,
        arms: dict[str, list],
        sampler: str = "random",
        lost: str = "failed",
        **columns: Any,
    ):
        run = RunDirectory(Path("runs") / name)
        run.create(
            f"name: {name}\nsearch: {{sampler: {{name: {sampler}}}}}\n"
            f"arms: {json.dumps({arm: {} for arm in arms})}\n"
        )
        trial = {"objective": {"samples": 2}, "training": {"batch_size": 5}}
        for arm, pairs in arms.items():
            for number, pair in enumerate(pairs):
                identity = f"{name}-{arm}-{number}".replace(":", "_").replace("$", "_")
                row: dict[str, Any] = {
                    "experiment": name,
                    "arm": arm,
                    "trial_id": identity,
                    "config_hash": identity,
                    "seed": 0,
                    "step": 100,
                    "final": True,
                    "status": "done" if pair else lost,
                    "split": "train",
                    "samples": 100,
                    "tokens": 1.0,
                    "ess": 50.0,
                    "train_seconds": 1.0,
                    "eval_seconds": 0.5,
                    "data_sha256": "5a",
                    "created_at": datetime(2026, 1, 1, 0, number, tzinfo=UTC),
                    "trial": json.dumps(trial),
                }
                if pair:
                    row |= {"nll": pair[0], "mi": pair[1], "nll_se": 0.0, "mi_se": 0.0}
                ResultStore(run.results).append([row | columns])
        return run

    return store
