import itertools
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from soak.machine import Machine, wait_until
from sweeper import cli
from sweeper.corpora import data_checksums
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.rows import trial_rows
from sweeper.runs import RunDirectory
from sweeper.search import Sweep, Task
from tests.sweeper.sweeps import Run
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
        "evaluation": {"split": "train", "samples": 3},
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


FIGURES = {"tokens": 1.0, "nll_se": 0.01, "mi_se": 0.01, "ess": 50.0}


class Answer:
    """What a command line led to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def is_one_error(self) -> str:
        """Check that it is a mistake told in one line, and give that."""
        assert (self.code, self.out) == (2, "")
        assert re.fullmatch(r"error: [^\n]+\n", self.err), self.err
        return self.err.removeprefix("error: ").rstrip("\n")


@pytest.fixture
def sweeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs a command line in an empty directory, without any data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "no-data"))

    def command(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["sweeper", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        code = end.value.code or 0
        assert isinstance(code, int)
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture
def trained(
    experiment: MakeExperiment, ended: MakeRows, tmp_path: Path
) -> Callable[..., RunDirectory]:
    """Stores a run of three trials of which some have ended, by status."""

    def store(*statuses: str, name: str = "tiny") -> RunDirectory:
        tiny = experiment(name=name)
        run = RunDirectory(tmp_path / "runs" / name)
        run.create(tiny.to_yaml())
        store = ResultStore(run.results)
        sweep = Sweep(tiny, run.journal, store, {name: "5a"})
        for status in statuses:
            task = sweep.next()
            assert task is not None
            sweep.finish(task, ended(tiny, task, status, **FIGURES))
        return run

    return store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an empty directory the current one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """The empty result store of a run."""
    return ResultStore(tmp_path / "run" / "results")


@pytest.fixture
def run(tmp_path: Path, ended: MakeRows) -> Run:
    """A run over which sweeps can follow each other."""
    return Run(tmp_path / "run", ended)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Runs commands in processes of their own, which must all be gone in the end."""
    machine = Machine(tmp_path)
    try:
        yield machine
        wait_until(lambda: not machine.processes())  # Ray's daemons watch their parents
        assert list(machine.ray.iterdir()) == []
    finally:
        machine.clear()
        shutil.rmtree(machine.ray, ignore_errors=True)
