"""Runs what a sweep still has to train as Ray Tune trials, until done or interrupted.

Tune starts, places and stops the workers; it keeps no state that matters. Every start or resume is
a fresh Tune run over the same journal and result store.
"""

import logging
import shutil
from collections.abc import Container, Sequence
from typing import Any

import torch
from ray.tune import (
    Callback,
    CheckpointConfig,
    PlacementGroupFactory,
    RunConfig,
    TuneConfig,
    Tuner,
    with_resources,
)
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.stopper import Stopper

from sweeper.driving.capacity import bundle
from sweeper.driving.failures import Deaths
from sweeper.driving.interruption import Interruption, signals
from sweeper.driving.scheduler import Pruning
from sweeper.driving.searcher import MANY, TaskSearcher
from sweeper.driving.session import session
from sweeper.experiment import Experiment
from sweeper.runs import CHECKPOINTS, RunDirectory
from sweeper.work import Listener, Work
from trainables import storage
from trainables.checkpoint import Checkpoints
from trainables.trainable import LatentVariableTrial


def drive(
    work: Work,
    directory: RunDirectory,
    listener: Listener,
    workers: int | None = None,
    address: str | None = None,
) -> bool:
    """Train what remains of some work; say whether it was finished (and not interrupted).

    The caller holds the run's lock. `workers` bounds the trials at a time; by default they fill
    the machine, or the Ray cluster at `address`. Raises `SweeperError` where results cannot be
    stored or the cluster is unfit.
    """
    experiment = work.experiment
    if work.n_remaining == 0:
        return True
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the rows say what went wrong
    torch.set_num_threads(1)  # a sampler that thinks must not take the trials' cores
    interruption = Interruption()
    with (
        signals(interruption, listener),
        session(experiment, directory, workers, address) as capacity,
        signals(interruption, listener),  # again: Ray has put its own for SIGTERM
    ):
        searcher = TaskSearcher(work, directory, listener, interruption, Deaths(), capacity)
        tuner = _tuner(searcher, interruption, experiment, directory)
        with listener.shown(capacity.n_workers):
            try:
                tuner.fit()
            except Exception:
                if interruption.error is None:  # else that is where it began
                    raise
    shutil.rmtree(directory.ray, ignore_errors=True)
    if interruption.error is not None:
        raise interruption.error
    # Tune itself may have been told to stop.
    finished = not interruption.requested and work.n_remaining == 0
    # A worker that ends keeps the state of its last trial, even where that was pruned.
    _tidy(directory.shared(CHECKPOINTS), None if finished else searcher.pruned_trials)
    return finished


def _tidy(checkpoints: str, trials: Container[str] | None) -> None:
    """Remove the states of some trials, or of all, but neither logs nor what was set aside."""
    for trial in storage.directories(checkpoints):
        if trials is None or trial in trials:
            Checkpoints(storage.below(checkpoints, trial)).remove()
    storage.prune(checkpoints)


class _StopOnInterruption(Stopper):
    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self.interruption.requested


class _LettingGo(Callback):
    """Drops what Tune would keep of every trial that has ended, for as long as a sweep lasts."""

    def on_trial_complete(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Trial],  # noqa: ARG002
        trial: Trial,
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Leave no more of a trial than that it is done: its rows are stored."""
        for kept in (trial.last_result, trial.metric_analysis, trial.metric_n_steps):
            kept.clear()
        trial.last_result["done"] = True
        trial.evaluated_params.clear()
        trial.invalidate_json_state()


class _Silent(ProgressReporter):
    def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        """Say nothing: `sweeper.progress` does."""


def _tuner(
    searcher: TaskSearcher,
    interruption: Interruption,
    experiment: Experiment,
    directory: RunDirectory,
) -> Tuner:
    shutil.rmtree(directory.ray, ignore_errors=True)
    return Tuner(
        with_resources(LatentVariableTrial, PlacementGroupFactory([bundle(experiment.resources)])),
        tune_config=TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            scheduler=Pruning(searcher),
            max_concurrent_trials=MANY,  # the searcher bounds them
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.trial_id,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="attempt",
            storage_path=str(directory.ray.absolute()),
            verbose=0,
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            callbacks=[searcher.deaths, _LettingGo()],
            stop=_StopOnInterruption(interruption),
            progress_reporter=_Silent(),
        ),
    )
