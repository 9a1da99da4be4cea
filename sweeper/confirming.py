"""`sweeper confirm`: the frontier of a run, measured again by what played no part in choosing it.

A frontier is chosen for its figures, so they are better than the truth: of several noisy ones the
luckiest stand out. Fresh looks tell by how much. The models that were chosen are evaluated with
other samples of z, as many and then more, which shows the luck of the evaluation and the bias of
few samples. Their configurations are trained with other seeds: the luck of the training.
"""

import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pandas as pd

from analysis.axes import AXES, MODEL, on_axis
from analysis.confirmation import Confirmation, confirmation
from analysis.frontier import Frontier, frontier_points
from analysis.membership import AMBIGUOUS
from analysis.plots.confirmation import save_confirmation
from analysis.tables import confirmation_table, to_text
from sweeper import experiment as experiments
from sweeper.attempt import attempt
from sweeper.corpora import data_checksums
from sweeper.driving.driver import drive
from sweeper.driving.interruption import interruptible
from sweeper.driving.session import check
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.heartbeat import CONFIRM
from sweeper.progress import progress
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.stored.choices import unit_of, writable
from sweeper.sweeping import DONE, interrupted
from trainables.trial import TrialConfig, config_hash, trial_id

EVALUATION_SEED = 1  # any but that of the sweep, which is 0


class Confirmations:
    """The work of a confirmation: a fixed list of trials, less those that are stored."""

    def __init__(self, experiment: Experiment, tasks: Sequence[Task], store: ResultStore) -> None:
        self.experiment, self.tasks, self.store = experiment, tasks, store
        self.finished = store.finished()
        self.queue = deque(task for task in tasks if task.trial_id not in self.finished)

    @property
    def n_remaining(self) -> int:
        """The number of trials that have not ended."""
        return sum(task.trial_id not in self.finished for task in self.tasks)

    def next(self) -> Task | None:
        """Give a trial to train, or none when all have been given."""
        return self.queue.popleft() if self.queue else None

    def give_back(self, task: Task) -> None:
        """Take back a trial that was not finished."""
        self.queue.appendleft(task)

    def judge(self, task: Task, report: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Stop nothing: what is confirmed was chosen."""
        return None

    def finish(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the rows of a finished trial."""
        self.store.append(rows)
        self.finished.add(task.trial_id)

    def frontier(self) -> set[str]:
        """Give the trials whose models are worth keeping: those that are confirmed."""
        return {task.confirms for task in self.tasks if task.confirms}


def confirm(
    directory: RunDirectory,
    *,
    samples: int,
    seeds: int,
    workers: int | None,
    address: str | None = None,
) -> int:
    """Measure the frontier of a run again; returns the exit code.

    `samples` is K of the fresh evaluations, `seeds` the number of new trainings of each
    configuration. What an earlier confirmation stored is not done again.

    Raises `SweeperError` before anything starts where there is no frontier, data or a GPU is
    missing, or another process drives the run.
    """
    experiment = experiments.load(directory.experiment_file)
    checksums = data_checksums(experiment)
    check(experiment, address)
    with interruptible(), directory.driven():
        chosen, rows = _chosen(directory, experiment.frontier.maximize)
        tasks = _tasks(experiment, chosen, rows, checksums, directory, samples, seeds)
        store = ResultStore(directory.confirmation)
        for notice in store.set_aside_damaged():
            print(f"{notice}; its trials are trained again")
        work = Confirmations(experiment, tasks, store)
        n_done = len(tasks) - work.n_remaining
        print(
            f"{directory.location}: {len(chosen.points)} points that are or may be on the "
            f"frontier, {len(tasks)} fresh trials of which {n_done} are done"
        )
        stored = store.read(final_only=True)
        ours = stored[stored["trial_id"].isin(task.trial_id for task in tasks)]
        display = progress(len(tasks), ours, experiment.frontier.maximize)
        try:
            with attempt(directory, display, command=CONFIRM, address=address) as listener:
                finished = drive(work, directory, listener, workers, address)
        except KeyboardInterrupt:
            finished = False
        if not finished:
            options = f"--samples {samples} --seeds {seeds}"
            where = shlex.quote(directory.location)
            return interrupted(display, f"sweeper confirm {where} {options}")
        fresh = store.read(final_only=True)
    wanted = fresh[fresh["trial_id"].isin([task.trial_id for task in tasks])]
    found = confirmation(chosen, on_axis(wanted, experiment.frontier.maximize))
    print(describe(found))
    with writable(directory.frontier):
        paths = save_confirmation(found, directory.frontier)
    print("\n".join(["", *map(str, paths)]))
    return DONE


def describe(found: Confirmation) -> str:
    """Say what the fresh figures are and by how much the chosen ones were too good."""
    return "\n".join(
        [
            f"The frontier, chosen and confirmed, nats per {found.unit}",
            *[f"MI: {found.mi}"] * (found.mi != AXES[MODEL].long),
            "",
            to_text(confirmation_table(found.points)),
            "",
            *found.findings,
            *(f"warning: {warning}" for warning in found.warnings),
        ]
    )


def _chosen(directory: RunDirectory, axis: str) -> tuple[Frontier, pd.DataFrame]:
    """Give the points that are on the frontier for all that is known, and the rows behind them."""
    store = ResultStore(directory.results)
    rows = on_axis(store.read(final_only=True), axis)
    if not (rows["status"] == "done").any():
        raise SweeperError(f"{directory.location}: no trial is done, so there is no frontier")
    trials = store.read(["trial_id", "trial"], final_only=True).set_index("trial_id")
    found = frontier_points(rows, unit_of(rows))
    may_be = found.points["on_frontier"] | (found.points["membership"] == AMBIGUOUS)
    on = found.points[may_be].reset_index(drop=True)
    return found._replace(points=on), rows.join(trials, on="trial_id").set_index("trial_id")


def _tasks(
    experiment: Experiment,
    chosen: Frontier,
    rows: pd.DataFrame,
    checksums: Mapping[str, str],
    directory: RunDirectory,
    samples: int,
    seeds: int,
) -> list[Task]:
    tasks: dict[str, Task] = {}
    first_fresh = 1 + int(rows["seed"].max())
    for number, point in enumerate(chosen.points.to_dict("records")):
        trial, arm = point["trial_id"], point["arm"]
        stored = TrialConfig.model_validate_json(str(rows.loc[trial, "trial"]))
        values, data = _swept(experiment, arm, stored), checksums[arm]
        model = directory.shared("models", f"{trial}.pt")
        looks: list[tuple[int, int, str | None]] = [
            (samples, seed, None) for seed in range(first_fresh, first_fresh + seeds)
        ]
        if not point["exact"]:  # what enumeration found is not chance: nothing to draw again
            seed = int(point["seed"])
            looks += [(stored.evaluation.samples, seed, model), (samples, seed, model)]
        for K, seed, path in looks:
            config = _evaluated_afresh(stored, K)
            identity = config_hash(config, data)
            name = trial_id(identity, seed)
            shared = (arm, number, seed, values, config, data, identity, name)
            tasks.setdefault(name, Task(*shared, confirms=trial, model=path))
    return list(tasks.values())


def _swept(experiment: Experiment, arm: str, config: TrialConfig) -> dict[str, Any]:
    """Give the values of the swept knobs in a configuration, by dotted path."""
    plain = config.resolved()
    space = experiment.arms[arm].space
    values: dict[str, Any] = {path: reduce(_at, path.split("."), plain) for path in space}
    return {path: value for path, value in space.active(values).items() if value is not None}


def _at(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else None


def _evaluated_afresh(config: TrialConfig, samples: int) -> TrialConfig:
    # Meters say nothing of NLL and MI, which a confirmation is about.
    fresh = {"samples": samples, "seed": EVALUATION_SEED, "every": None, "meters": None}
    return config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update=fresh)},
    )
