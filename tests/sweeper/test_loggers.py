"""Logs for other programs, read back as those programs do."""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweeper.corpora import data_checksums
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.loggers import LOGGERS, Everybody, Logger, create
from sweeper.results import ResultStore
from sweeper.search import Sweep, Task

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
pytest.importorskip("mlflow", reason="mlflow is not installed")
pytest.importorskip("wandb", reason="wandb is not installed")

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def task(experiment: MakeExperiment, tmp_path: Path) -> Task:
    tiny = experiment()
    sweep = Sweep(tiny, tmp_path / "journal", ResultStore(tmp_path), data_checksums(tiny))
    task = sweep.next()
    assert task is not None
    return task


class Display:
    """The listener that is not a logger."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @contextmanager
    def shown(self, n_workers: int) -> Iterator[None]:
        self.calls.append("shown")
        yield

    def started(self, task: Task) -> None:
        self.calls.append("started")

    def reported(self, task: Task, report: Any) -> None:
        self.calls.append("reported")

    def lost(self, task: Task, said: str) -> None:
        self.calls.append("lost")

    def noted(self, message: str) -> None:
        self.calls.append("noted")

    def finished(self, task: Task, rows: Any) -> None:
        self.calls.append("finished")

    def stopping(self) -> None:
        self.calls.append("stopping")


def follow(everybody: Everybody, task: Task, rows: list[dict[str, Any]] | None) -> None:
    """Report a loss at steps 1 and 2, one of them not a number, and perhaps an end."""
    with everybody.shown(1):
        everybody.started(task)
        everybody.reported(task, {"step": 1, "train_loss": 3.5})
        everybody.reported(task, {"step": 2, "train_loss": float("nan")})
        everybody.reported(task, {"step": 2, "train_loss": None})
        if rows is not None:
            everybody.finished(task, rows)


def log(name: str, directory: Path, task: Task, rows: list[dict[str, Any]] | None) -> list[Logger]:
    loggers = create([name], directory, "tiny")
    everybody = Everybody(Display(), loggers)
    follow(everybody, task, rows)
    assert everybody.loggers == loggers  # none has failed
    return loggers


def test_tensorboard_reads_losses_and_figures(
    task: Task, experiment: MakeExperiment, ended: MakeRows, tmp_path: Path
) -> None:
    from tensorboardX.proto.event_pb2 import Event

    rows = ended(experiment(), task, nll=2.25, kl_weight=0.5, critic_bound=None)
    log("tensorboard", tmp_path / "logs", task, rows)

    [file] = (tmp_path / "logs/tensorboard" / task.arm / task.trial_id).iterdir()
    content, scalars = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        scalars += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
        content = content[16 + length :]
    assert ("train_loss", 1, 3.5) in scalars
    assert ("nll", 4, 2.25) in scalars
    assert ("kl_weight", 4, 0.5) in scalars
    assert "critic_bound" not in [tag for tag, *_ in scalars]
    assert "train_loss" not in [tag for tag, step, _ in scalars if step == 2]


@pytest.mark.parametrize(
    ("status", "theirs"), [("done", "FINISHED"), ("diverged", "FAILED"), (None, "KILLED")]
)
def test_mlflow_reads_knobs_figures_and_how_a_trial_ended(
    task: Task,
    experiment: MakeExperiment,
    ended: MakeRows,
    tmp_path: Path,
    status: str | None,
    theirs: str,
) -> None:
    rows = None if status is None else ended(experiment(), task, status, nll=2.25)
    [logger] = log("mlflow", tmp_path / "logs", task, rows)
    client = logger.client  # type: ignore[attr-defined]

    [run] = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert run.info.status == theirs
    assert run.data.tags["trial_id"] == task.trial_id
    rate = task.values["training.learning_rate"]
    assert float(run.data.params["training.learning_rate"]) == rate
    assert run.data.metrics["train_loss"] == 3.5
    if status == "done":
        assert run.data.metrics["nll"] == 2.25

    log("mlflow", tmp_path / "logs", task, ended(experiment(), task))  # it is continued
    [run] = client.search_runs([run.info.experiment_id])
    assert run.info.status == "FINISHED"


def test_wandb_writes_an_offline_run(
    task: Task, experiment: MakeExperiment, ended: MakeRows, tmp_path: Path
) -> None:
    log("wandb", tmp_path / "logs", task, ended(experiment(), task, nll=2.25))

    [run] = (tmp_path / "logs/wandb").glob("offline-run-*")
    [record] = run.glob("*.wandb")
    assert record.stem == f"run-{task.trial_id}"
    texts = (b"train_loss", b"nll", b"learning_rate", task.trial_id.encode())
    deadline = time.monotonic() + 60  # another process writes it
    while not all(text in record.read_bytes() for text in texts):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_logger_that_fails_is_told_of_once_and_left_out(
    task: Task,
    experiment: MakeExperiment,
    ended: MakeRows,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken(LOGGERS["tensorboard"]):  # type: ignore[misc]
        def _write(self, *args: object) -> None:
            raise ConnectionError("nobody answers\nand so on")

    display = Display()
    everybody = Everybody(display, [Broken(tmp_path, "tiny")])
    follow(everybody, task, ended(experiment(), task))

    assert capsys.readouterr().err == "warning: Broken logs no more: nobody answers\n"
    assert display.calls == ["shown", "started", *["reported"] * 3, "finished"]


def test_the_log_of_the_run_hears_what_the_display_hears(task: Task) -> None:
    display, log = Display(), Display()
    everybody = Everybody(display, [], log)
    follow(everybody, task, [])
    everybody.lost(task, "killed")
    everybody.noted("a checkpoint was damaged")
    everybody.stopping()

    assert display.calls == log.calls
    assert display.calls[-4:] == ["finished", "lost", "noted", "stopping"]


def test_what_goes_wrong_with_the_sweep_is_not_hidden(task: Task, tmp_path: Path) -> None:
    everybody = Everybody(Display(), create(["tensorboard"], tmp_path, "tiny"))

    def sweep() -> None:
        with everybody.shown(1):
            everybody.started(task)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sweep()


def test_unknown_loggers_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match=r"--log: unknown logger 'tensorbord'; did you mean"):
        create(["tensorbord"], tmp_path, "tiny")
    create(LOGGERS, tmp_path, "tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_logger_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)

    with pytest.raises(SweeperError, match=r"--log wandb needs wandb, which is not installed"):
        create(["wandb"], tmp_path, "tiny")
