"""Runs what a sweep still has to train as Ray Tune trials, until done or interrupted.

Tune starts, places and stops the workers; it keeps no state that matters. Every start or resume is
a fresh Tune run over the same journal and result store.
"""

import logging
import math
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.rows import trial_rows
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.work import Listener, Work
from trainables.data.files import data_root

# Read by Ray when it is imported.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_FORCE_TRIAL_CLEANUP_S="5",
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
)

import ray
import torch
from ray import tune
from ray.tune import (
    CheckpointConfig,
    PlacementGroupFactory,
    RunConfig,
    TuneConfig,
    Tuner,
)
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from trainables.trainable import Assignment, LatentVariableTrial

OBJECT_STORE_BYTES = 100 * 2**20  # trials exchange nothing but small reports
DEATHS = 2  # how often a trial whose worker died (out of memory, say) is started again


class Interruption:
    """Whether the sweep is to stop, and why."""

    def __init__(self) -> None:
        self.requested = False
        self.error: SweeperError | None = None


def drive(
    work: Work, directory: RunDirectory, listener: Listener, workers: int | None = None
) -> bool:
    """Train what remains of some work; say whether it was finished (and not interrupted).

    The caller holds the run's lock. `workers` bounds the trials at a time; by default they fill
    the machine. Raises `SweeperError` where results cannot be stored.
    """
    experiment = work.experiment
    if work.n_remaining == 0:
        return True
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the rows say what went wrong
    torch.set_num_threads(1)  # a sampler that thinks must not take the trials' cores
    interruption = Interruption()
    with (
        _signals(interruption, listener),
        _ray(experiment, workers) as n_workers,
        _signals(interruption, listener),  # again: Ray has put its own for SIGTERM
    ):
        searcher = _Searcher(work, directory, listener, interruption)
        tuner = _tuner(searcher, interruption, experiment, directory, n_workers)
        with listener.shown(n_workers):
            try:
                tuner.fit()
            except Exception:
                if interruption.error is None:  # else that is where it began
                    raise
    shutil.rmtree(directory.ray, ignore_errors=True)
    if interruption.error is not None:
        raise interruption.error
    if interruption.requested:
        return False
    _tidy(directory.checkpoints)
    return True


def _tidy(checkpoints: Path) -> None:
    """Remove the states that nobody needs any more, but not the logs of trials that failed."""
    for state in checkpoints.glob("*.pt*"):
        state.unlink(missing_ok=True)
    with suppress(OSError):
        checkpoints.rmdir()


class _Searcher(Searcher):
    """Ray's view of the work: hands out trials and takes in what they report.

    Tune pickles its searcher for a restart that never happens here; the work stays behind.
    """

    def __init__(
        self,
        work: Work,
        directory: RunDirectory,
        listener: Listener,
        interruption: Interruption,
    ) -> None:
        super().__init__(metric=None, mode=None)
        self.work, self.directory = work, directory
        self.listener, self.interruption = listener, interruption
        self.running: dict[str, Task] = {}
        self.last_report: dict[str, Mapping[str, Any]] = {}
        # Tune's own retries forget a trial whose worker died before it began.
        self.deaths: Counter[str] = Counter()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def set_search_properties(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.interruption.requested:
            return Searcher.FINISHED
        with self._stopping_on_error():
            task = self.work.next()
            if task is None:  # but what is at work may come back, should its worker die
                return None if self.running else Searcher.FINISHED
            self.running[trial_id] = task
            self.listener.started(task)
            return self._assignment(task)._asdict()
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.last_report[trial_id] = result
        self.listener.reported(self.running[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        task = self.running.pop(trial_id)
        last_report = self.last_report.pop(trial_id, {})
        report = result or last_report
        if error:
            self.deaths[task.trial_id] += 1
            if self.deaths[task.trial_id] <= DEATHS:
                self.work.give_back(task)
                return
            report = {**report, "status": "failed", "reason": _DIED, "evaluations": []}
        if report.get("status", "running") == "running":
            return  # stopped before its end; it stays open in the journal
        with self._stopping_on_error():
            if report["status"] == "blocked":
                raise SweeperError(f"{report['reason']} Then resume the run.")
            rows = trial_rows(self.work.experiment, task, report)
            self.work.finish(task, rows)
            self._checkpoint(task).unlink(missing_ok=True)
            self._prune_models()
            self.listener.finished(task, rows)

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Bring back nothing: the journal is the state."""

    def _assignment(self, task: Task) -> Assignment:
        resources = self.work.experiment.resources
        return Assignment(
            trial=task.config.resolved(),
            seed=task.seed,
            data_root=str(data_root().absolute()),
            checkpoint=str(self._checkpoint(task).absolute()),
            device="cuda" if resources.gpu else "cpu",
            threads=max(1, int(resources.cpu)),
            model=str(task.model.absolute()) if task.model else None,
            keep=None if task.confirms else str((self._models / f"{task.trial_id}.pt").absolute()),
        )

    @property
    def _models(self) -> Path:
        return self.directory.models

    def _prune_models(self) -> None:
        """Drop the models of trials that no frontier needs, now or ever again."""
        running = {task.trial_id for task in self.running.values()}
        keep = self.work.frontier() | running
        for model in self._models.glob("*.pt"):
            if model.stem not in keep:
                model.unlink(missing_ok=True)

    def _checkpoint(self, task: Task) -> Path:
        return self.directory.checkpoints / f"{task.trial_id}.pt"

    @contextmanager
    def _stopping_on_error(self) -> Iterator[None]:
        """End the sweep in good order when what is known cannot be kept any more."""
        try:
            yield
        except (OSError, SweeperError) as error:
            self.interruption.requested = True
            self.interruption.error = (
                error
                if isinstance(error, SweeperError)
                else SweeperError(
                    f"cannot write below {self.directory.path}: {error.strerror or error}; "
                    "mend it and resume the run"
                )
            )


_DIED = (
    f"the worker process was lost {DEATHS + 1} times, perhaps for lack of memory; "
    "try fewer --workers or smaller batches"
)


class _StopOnInterruption(Stopper):
    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self.interruption.requested


class _Silent(ProgressReporter):
    def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        """Say nothing: `sweeper.progress` does."""


def _tuner(
    searcher: _Searcher,
    interruption: Interruption,
    experiment: Experiment,
    directory: RunDirectory,
    n_workers: int,
) -> Tuner:
    bundle = {"CPU": experiment.resources.cpu, "GPU": experiment.resources.gpu}
    shutil.rmtree(directory.ray, ignore_errors=True)
    return Tuner(
        tune.with_resources(LatentVariableTrial, PlacementGroupFactory([bundle])),
        tune_config=TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=n_workers,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.trial_id,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="attempt",
            storage_path=str(directory.ray.absolute()),
            verbose=0,
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            stop=_StopOnInterruption(interruption),
            progress_reporter=_Silent(),
        ),
    )


def fitting_trials(experiment: Experiment) -> int:
    """Say how many trials this machine can train at a time.

    Raises `SweeperError` where it has not the GPUs for one.
    """
    cpu, gpu = experiment.resources.cpu, experiment.resources.gpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fit = max(1, int((cores or 1) / cpu))
    if not gpu:
        return fit
    gpus = torch.cuda.device_count()
    if gpus < gpu:
        raise SweeperError(
            f"resources.gpu is {gpu:g} but this machine has {gpus} usable GPUs; run where there "
            "are enough, or start a new run with --set resources.gpu=0"
        )
    return min(fit, int(gpus / gpu))


@contextmanager
def _ray(experiment: Experiment, workers: int | None) -> Iterator[int]:
    """Start Ray on this machine for as many trials at a time as `workers`, or as fit."""
    n_workers = workers or fitting_trials(experiment)
    cpu, gpus = experiment.resources.cpu, 0
    if experiment.resources.gpu:
        gpus = torch.cuda.device_count()
    with _scratch() as scratch:
        try:
            _start_ray(math.ceil(n_workers * cpu), gpus, scratch)
            yield n_workers
        finally:
            ray.shutdown()


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give Ray a directory of its own, and leave nothing of it."""
    root = os.environ.get("RAY_TMPDIR", "/tmp")  # noqa: S108
    try:
        path = tempfile.mkdtemp(prefix="sweeper-", dir=root)
    except OSError as error:
        raise _cannot_start(root, error) from None
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _start_ray(cpus: int, gpus: int, scratch: Path) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(scratch),
        )
    except OSError as error:  # such as too long a path for its sockets
        raise _cannot_start(scratch.parent, error) from None


def _cannot_start(root: str | Path, error: OSError) -> SweeperError:
    return SweeperError(
        f"Ray cannot work in {root}: {error.strerror or error}; free space, or set RAY_TMPDIR to "
        "another directory with a short path"
    )


@contextmanager
def _signals(interruption: Interruption, listener: Listener) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the sweep in good order; a second one ends it at once."""

    def stop(signum: int, frame: Any) -> None:  # noqa: ARG001
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True
        listener.stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
