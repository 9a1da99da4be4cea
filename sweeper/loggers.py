"""Opt-in logs of a sweep for TensorBoard, MLflow and Weights & Biases, beside the stored rows.

One run of theirs for every trial, named by its identity: the training loss while it trains, then
the figures of each evaluation, with the swept knobs as parameters. They are copies: a logger that
fails is told of once and left out, and the sweep goes on.
"""

import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.columns import COLUMNS
from sweeper.errors import SweeperError
from sweeper.located import unknown
from sweeper.search import Task
from sweeper.work import Listener
from trainables.masking import mask

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Nothing leaves this machine unless the person says so.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else it wants a database
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

_FIGURES = {column.name for column in COLUMNS if str(column.type) == "double"}


class Logger(ABC):
    """Writes one log for each trial, below `directory`."""

    def __init__(self, directory: Path, experiment: str) -> None:
        self.directory, self.experiment = directory, experiment
        self.logs: dict[str, Any] = {}

    @abstractmethod
    def _open(self, task: Task) -> Any:
        """Begin the log of a trial, or go on with it."""

    @abstractmethod
    def _write(self, log: Any, figures: Mapping[str, float], step: int) -> None:
        """Log figures at a training step."""

    @abstractmethod
    def _close(self, log: Any, status: str) -> None:
        """End the log of a trial that is done, pruned, diverged, failed or interrupted."""

    def started(self, task: Task) -> None:
        """Begin the log of a trial."""
        self.logs[task.trial_id] = self._open(task)

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        """Log the training loss."""
        if (log := self.logs.get(task.trial_id)) is not None:
            self._write(log, _numbers({"train_loss": report["train_loss"]}), report["step"])

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log all evaluations of a trial, and how it ended."""
        log = self.logs.pop(task.trial_id, None)
        if log is None:
            return
        for row in rows:
            self._write(log, _numbers({k: row[k] for k in row if k in _FIGURES}), row["step"])
        self._close(log, rows[-1]["status"])

    def close(self) -> None:
        """End the logs of the trials that are still at work."""
        for trial in list(self.logs):
            self._close(self.logs.pop(trial), "interrupted")


class TensorBoard(Logger):
    """Event files below `logs/tensorboard`, a directory for every trial."""

    def _open(self, task: Task) -> Any:
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(str(self.directory / "tensorboard" / task.arm / task.trial_id))
        writer.add_text("knobs", "\n".join(f"- {k}: {v}" for k, v in _parameters(task).items()))
        return writer

    def _write(self, log: Any, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            log.add_scalar(name, value, step)

    def _close(self, log: Any, status: str) -> None:
        log.add_text("status", status)
        log.close()


class Mlflow(Logger):
    """A file store below `logs/mlruns`, or the server that `MLFLOW_TRACKING_URI` names."""

    @cached_property
    def client(self) -> "MlflowClient":
        """What talks to the store, which it makes if need be."""
        from mlflow import MlflowClient

        local = (self.directory / "mlruns").absolute().as_uri()
        return MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", local))

    def _open(self, task: Task) -> Any:
        known = self.client.get_experiment_by_name(self.experiment)
        owner = known.experiment_id if known else self.client.create_experiment(self.experiment)
        earlier = self.client.search_runs([owner], f"tags.trial_id = '{task.trial_id}'")
        if earlier:
            self.client.update_run(earlier[0].info.run_id, "RUNNING")
            return earlier[0].info.run_id
        tags = {"trial_id": task.trial_id, "arm": task.arm, "seed": str(task.seed)}
        run = self.client.create_run(owner, tags=tags, run_name=f"{task.arm} {task.trial_id}")
        for name, value in _parameters(task).items():
            self.client.log_param(run.info.run_id, name, value)
        return run.info.run_id

    def _write(self, log: Any, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self.client.log_metric(log, name, value, step=step)

    def _close(self, log: Any, status: str) -> None:
        self.client.set_tag(log, "status", status)
        self.client.set_terminated(log, _MLFLOW_STATUS.get(status, "FINISHED"))


_MLFLOW_STATUS = {
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "KILLED",
    "pruned": "KILLED",
}


class Wandb(Logger):
    """Runs below `logs/wandb`, offline unless `WANDB_MODE` says otherwise; see `wandb sync`."""

    def _open(self, task: Task) -> Any:
        import wandb

        self.directory.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self.experiment,
            name=f"{task.arm} {task.trial_id}",
            id=task.trial_id,
            group=task.arm,
            config=_parameters(task),
            dir=str(self.directory),
            reinit="create_new",
            resume="allow",
            settings=wandb.Settings(
                console="off", disable_git=True, x_disable_meta=True, x_disable_stats=True
            ),
        )
        run.define_metric("*", step_metric="step")
        return run

    def _write(self, log: Any, figures: Mapping[str, float], step: int) -> None:
        log.log({**figures, "step": step})

    def _close(self, log: Any, status: str) -> None:
        log.summary["status"] = status
        log.finish(exit_code=0 if status not in ("diverged", "failed") else 1)


LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "mlflow": Mlflow, "wandb": Wandb}
_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


def create(names: Iterable[str], directory: Path, experiment: str) -> list[Logger]:
    """Make the loggers of these names.

    Raises `SweeperError` for one that does not exist or is not installed.
    """
    loggers = []
    for name in dict.fromkeys(names):
        if name not in LOGGERS:
            raise SweeperError(f"--log: {unknown('logger', name, LOGGERS)}")
        try:
            __import__(_PACKAGES[name])
        except ModuleNotFoundError:
            raise SweeperError(
                f"--log {name} needs {_PACKAGES[name]}, which is not installed; "
                "pip install 'sweeper[log]'"
            ) from None
        loggers.append(LOGGERS[name](directory, experiment))
    return loggers


class Everybody:
    """Tells a sweep to its display, to its structured log and to its loggers."""

    def __init__(
        self, display: Listener, loggers: Sequence[Logger], log: Listener | None = None
    ) -> None:
        self.listeners = [display] if log is None else [display, log]
        self.loggers = list(loggers)

    @contextmanager
    def shown(self, n_workers: int) -> Iterator[None]:
        """Everybody listens while this lasts."""
        with ExitStack() as stack:
            for listener in self.listeners:
                stack.enter_context(listener.shown(n_workers))
            try:
                yield
            finally:
                self._tell(lambda logger: logger.close())

    def started(self, task: Task) -> None:
        """A worker takes a trial."""
        for listener in self.listeners:
            listener.started(task)
        self._tell(lambda logger: logger.started(task))

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        """A trial has come further."""
        for listener in self.listeners:
            listener.reported(task, report)
        self._tell(lambda logger: logger.reported(task, report))

    def lost(self, task: Task, said: str) -> None:
        """The worker of a trial was lost."""
        for listener in self.listeners:
            listener.lost(task, said)

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """A trial has ended."""
        for listener in self.listeners:
            listener.finished(task, rows)
        self._tell(lambda logger: logger.finished(task, rows))

    def noted(self, message: str) -> None:
        """Something happened that a person should know of."""
        for listener in self.listeners:
            listener.noted(message)

    def stopping(self) -> None:
        """The sweep is to end early."""
        for listener in self.listeners:
            listener.stopping()

    def _tell(self, call: Callable[[Logger], None]) -> None:
        for logger in list(self.loggers):
            try:
                call(logger)
            except Exception as error:  # whatever it is, the sweep is worth more
                self.loggers.remove(logger)
                first_line = str(error).strip().partition("\n")[0]
                name = type(logger).__name__
                print(f"warning: {name} logs no more: {mask(first_line)}", file=sys.stderr)


def _parameters(task: Task) -> dict[str, Any]:
    return {**task.values, "arm": task.arm, "seed": task.seed}


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
