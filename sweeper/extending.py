"""`sweeper extend`: more configurations for every arm of a run, from where its studies are."""

from collections.abc import Sequence

from sweeper import experiment as experiments
from sweeper.corpora import data_checksums
from sweeper.driving.interruption import interruptible
from sweeper.driving.session import check
from sweeper.experiment import Experiment
from sweeper.loggers import create
from sweeper.runs import RunDirectory
from sweeper.samplers import GP_TRIALS, resolve_sampler
from sweeper.sweeping import proceed


def extend(
    directory: RunDirectory,
    n_more: int,
    *,
    workers: int | None,
    log: Sequence[str] = (),
    address: str | None = None,
) -> int:
    """Give every arm `n_more` configurations and train what the run then lacks.

    Returns the exit code, as `sweeper.sweeping.resume` does. The studies know what they were told
    and go on. Raises `SweeperError` before anything is changed where the run was merged or is
    being driven, where data, a GPU or a logger is missing, and where nothing is swept.
    """
    directory.refuse_merged()
    with interruptible(), directory.driven():
        before = experiments.load(directory.experiment_file)
        n_trials = before.search.trials + n_more
        extended = experiments.load(directory.experiment_file, trials=n_trials)
        check(extended, address)
        checksums = data_checksums(extended)
        loggers = create(log, directory.logs, extended.name)
        directory.extend(extended.to_yaml())
        directory.publish()
        print(
            f"{directory.location}: {before.search.trials} + {n_more} = {n_trials} configurations "
            "an arm from now on"
        )
        for line in _other_samplers(before, extended):
            print(line)
        return proceed(extended, directory, checksums, workers, loggers, address)


def _other_samplers(before: Experiment, after: Experiment) -> list[str]:
    """Tell where `auto` stands for another sampler now; a study takes any."""
    lines = []
    for name, arm in after.arms.items():
        was, now = (
            resolve_sampler(experiment.search, conditional=arm.space.is_conditional)
            for experiment in (before, after)
        )
        if was != now:
            lines.append(
                f"{name}: beyond {GP_TRIALS} configurations the sampler `auto` is {now}, no "
                f"longer {was}; it learns from all trials so far"
            )
    return lines
