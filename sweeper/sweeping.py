"""`run` and `resume`: from a checked experiment to a stored frontier."""

import shlex
from collections.abc import Sequence

from sweeper import experiment as experiments
from sweeper.artefacts import Artefacts
from sweeper.attempt import attempt
from sweeper.corpora import data_checksums
from sweeper.driving.driver import drive
from sweeper.driving.interruption import interruptible
from sweeper.driving.session import check
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.loggers import Logger, create
from sweeper.plan import refuse_another
from sweeper.progress import Progress, progress
from sweeper.results import ResultStore
from sweeper.roots import Storage, runs_root
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from sweeper.stored import reading

DONE, TRIALS_FAILED, INTERRUPTED = 0, 1, 130  # exit codes


def run(
    experiment: Experiment,
    *,
    storage: Storage,
    workers: int | None,
    log: Sequence[str] = (),
    address: str | None = None,
) -> int:
    """Run an experiment, or continue it where a run of the same experiment exists.

    `log` names the loggers that are told of it, `address` a Ray cluster that trains instead of
    this machine. Returns the exit code. Raises `SweeperError` before anything starts where data, a
    GPU, the cluster or a logger is missing, or the run directory holds another experiment.
    """
    directory = runs_root(storage).run(experiment.name, to_drive=True)
    if directory.exists:
        directory.refuse_merged()
        refuse_another(experiment, directory)
    checksums = data_checksums(experiment)
    check(experiment, address)
    loggers = create(log, directory.logs, experiment.name)
    if not directory.exists:
        directory.create(experiment.to_yaml())
    with interruptible(), directory.driven():
        refuse_another(experiment, directory)  # which may have come to be since
        return proceed(experiment, directory, checksums, workers, loggers, address)


def resume(
    directory: RunDirectory,
    *,
    workers: int | None,
    log: Sequence[str] = (),
    address: str | None = None,
    retry_failed: bool = False,
) -> int:
    """Continue a run from its own copy of the experiment; returns the exit code.

    Trials that failed have ended, like any other, unless `retry_failed` takes their rows back.
    """
    directory.refuse_merged()
    experiment = experiments.load(directory.experiment_file)
    check(experiment, address)
    checksums = data_checksums(experiment)
    loggers = create(log, directory.logs, experiment.name)
    with interruptible(), directory.driven():
        if retry_failed:
            failed = ResultStore(directory.results).withdraw("failed")
            Artefacts(directory.path).withdraw(failed)
            print(f"{directory.location}: {len(failed)} trials that failed are trained again")
        return proceed(experiment, directory, checksums, workers, loggers, address)


def proceed(
    experiment: Experiment,
    directory: RunDirectory,
    checksums: dict[str, str],
    workers: int | None,
    loggers: Sequence[Logger],
    address: str | None = None,
) -> int:
    """Train what remains of a run whose lock the caller holds, and draw its frontier.

    What is damaged is set aside, named, and trained again. Returns the exit code.
    """
    store = ResultStore(directory.results)
    for notice in store.set_aside_damaged():
        print(f"{notice}; its trials are trained again")
    for notice in Artefacts(directory.path).set_aside_damaged():
        print(notice)
    stored = store.read(final_only=True)
    n_trials, where = directory.n_trials, directory.location
    if len(stored) < n_trials:
        print(f"{where}: {len(stored)} of {n_trials} trials are done; training the rest")
    else:
        print(f"{where}: all {n_trials} trials are done")
    display = progress(n_trials, stored, experiment.frontier.maximize)
    sweep = _open(experiment, directory, checksums)
    for notice in sweep.notices:
        print(notice)
    try:
        with attempt(directory, display, loggers, address=address) as listener:
            finished = drive(sweep, directory, listener, workers, address)
    except KeyboardInterrupt:  # a second Ctrl-C, or one before the sweep had begun
        return interrupted(display, f"sweeper resume {shlex.quote(where)}")
    if finished:
        store.compact()
        directory.finish(display.n_finished)
    if display.n_finished:
        print(reading.frontier([directory]))
    n_failed = display.statuses["failed"]
    if not finished:
        return interrupted(display, f"sweeper resume {shlex.quote(where)}")
    if n_failed > experiment.search.allowed_failures:
        print(
            f"{n_failed} trials failed, more than search.allowed_failures "
            f"({experiment.search.allowed_failures}); `sweeper status {where}` says why"
        )
        return TRIALS_FAILED
    return DONE


def _open(experiment: Experiment, directory: RunDirectory, checksums: dict[str, str]) -> Sweep:
    try:
        return Sweep(experiment, directory.journal, ResultStore(directory.results), checksums)
    except OSError as error:
        raise SweeperError(
            f"cannot write {directory.journal}: {error.strerror}; free space and resume the run"
        ) from None


def interrupted(display: Progress, command: str) -> int:
    """Say how far the work has come and what continues it; returns the exit code."""
    print(
        f"interrupted with {display.n_finished} of {display.n_trials} trials done; "
        f"continue with: {command}"
    )
    return INTERRUPTED
