"""`run` and `resume`: from a checked experiment to a stored frontier."""

from pathlib import Path

import yaml

from sweeper import experiment as experiments
from sweeper import reading
from sweeper.driver import data_checksums, drive
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.progress import progress
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory, runs_root

DONE, TRIALS_FAILED, INTERRUPTED = 0, 1, 130  # exit codes


def run(experiment: Experiment, *, storage: Path | None, workers: int | None) -> int:
    """Run an experiment, or continue it where a run of the same experiment exists.

    Returns the exit code. Raises `SweeperError` before anything starts where data is missing or
    the run directory holds another experiment.
    """
    directory = RunDirectory(runs_root(storage) / experiment.name)
    if directory.exists:
        _refuse_another(experiment, directory)
    checksums = data_checksums(experiment)
    if not directory.exists:
        directory.create(experiment.to_yaml())
    return _continue(experiment, directory, checksums, workers)


def resume(directory: RunDirectory, *, workers: int | None) -> int:
    """Continue a run from its own copy of the experiment; returns the exit code."""
    experiment = experiments.load(directory.experiment_file)
    return _continue(experiment, directory, data_checksums(experiment), workers)


def _continue(
    experiment: Experiment, directory: RunDirectory, checksums: dict[str, str], workers: int | None
) -> int:
    with directory.driven():
        stored = ResultStore(directory.results).read(final_only=True)
        n_trials = len(experiment.arms) * experiment.search.trials * experiment.search.seeds
        if len(stored) < n_trials:
            print(
                f"{directory.path}: {len(stored)} of {n_trials} trials are done; training the rest"
            )
        else:
            print(f"{directory.path}: all {n_trials} trials are done")
        display = progress(n_trials, stored)
        finished = drive(experiment, directory, checksums, display, workers)
        n_failed = display.statuses["failed"]
        if display.n_finished:
            print(reading.frontier([directory]))
    if not finished:
        print(
            f"interrupted with {display.n_finished} of {n_trials} trials done; "
            f"continue with: sweeper resume {directory.path}"
        )
        return INTERRUPTED
    if n_failed > experiment.search.allowed_failures:
        print(
            f"{n_failed} trials failed, more than search.allowed_failures "
            f"({experiment.search.allowed_failures}); `sweeper status {directory.path}` says why"
        )
        return TRIALS_FAILED
    return DONE


def _refuse_another(experiment: Experiment, directory: RunDirectory) -> None:
    try:
        stored = experiments.load(directory.experiment_file)
    except (SweeperError, yaml.YAMLError) as error:
        raise SweeperError(
            f"{directory.path} holds a run that this version cannot read; choose another --name\n"
            f"{error}"
        ) from None
    changes = experiments.difference(stored, experiment)
    if changes:
        raise SweeperError(
            f"{directory.path} belongs to another experiment; choose another --name, or undo:\n"
            + "\n".join(f"  {change}" for change in changes)
        )
