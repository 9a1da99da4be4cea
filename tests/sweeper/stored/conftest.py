from collections.abc import Callable
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
