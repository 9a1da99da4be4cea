"""What a sweep still has to train: Optuna proposes, the stored rows decide what is done.

Each arm has its own two-objective study in one journal. A configuration is told to its study once
all its seeds are in the result store, so that after any interruption the store is the truth: what
it holds is told, what it lacks is trained.
"""

import statistics
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from analysis.frontier import is_on_frontier
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.halving import Ladder
from sweeper.journal import ADOPTED, IDENTITY, adopted, open_journal
from sweeper.outcomes import Values, outcome
from sweeper.results import ResultStore
from sweeper.samplers import create_sampler, resolve_sampler
from trainables.trial import TrialConfig, config_hash, trial_id

REFUSALS = 100  # proposals in a row that are no valid trial, after which the space is to blame
PRUNED = "pruned"  # the status of a trial that the scheduler stopped
DIVERGED = "diverged"


class Task(NamedTuple):
    """One trial to train: a configuration with one seed."""

    arm: str
    number: int  # of the configuration in its arm's study
    seed: int
    values: Mapping[str, Any]  # of the swept knobs, by dotted path
    config: TrialConfig
    data_sha256: str
    config_hash: str
    trial_id: str
    confirms: str | None = None  # another trial, of the same configuration
    model: str | None = None  # its location, where it is trained already, to be evaluated only


class ArmStudy:
    """The study of one arm: what was proposed, and what is to be told of it.

    `open` holds the trials of every configuration that this process has not told the study, one
    for each seed, by the configuration's number. A trial that is among the `stored` keeps the
    identity that it was stored under, whatever a newer program would call it.
    """

    def __init__(
        self,
        experiment: Experiment,
        arm: str,
        storage: JournalStorage,
        data_sha256: str,
        stored: Container[str],
    ) -> None:
        self.experiment, self.arm, self.data_sha256 = experiment, arm, data_sha256
        self.study = optuna.create_study(
            study_name=arm,
            storage=storage,
            directions=["minimize", "maximize"],
            load_if_exists=True,
        )
        self.open: dict[int, list[Task]] = {}
        self._identities: set[str] = set()  # that the study knows, refused ones too
        self._adopted: set[str] = set()  # identities that it has not proposed since
        self.n_proposed = 0
        self._take_up(stored, 0)

    def missing(self, rows: Iterable[Mapping[str, Any]]) -> set[str]:
        """Of the configurations of stored rows, give those of this arm that it does not know."""
        return {row["config_hash"] for row in rows if row["arm"] == self.arm} - self._identities

    def adopt(self, rows: Iterable[Mapping[str, Any]], stored: Container[str]) -> None:
        """Let the study know of configurations that have stored `rows`, as if it had asked."""
        n_known = len(self.study.get_trials(deepcopy=False))
        space = self.experiment.arms[self.arm].space
        for identity, row in {row["config_hash"]: row for row in rows}.items():
            self.study.add_trial(adopted(identity, row, space))
        self._take_up(stored, n_known)

    def _take_up(self, stored: Container[str], first: int) -> None:
        """Open what the study has from its trial `first` on, and sample as one that has it."""
        known = self.study.get_trials(deepcopy=False)
        for trial in known[first:]:
            self._identities.add(trial.user_attrs.get(IDENTITY, ""))
            try:
                tasks = self._tasks(trial.number, trial.params)
            except SweeperError:  # refused; or a driver was killed while it asked
                if trial.state == TrialState.RUNNING:
                    self.study.tell(trial.number, state=TrialState.FAIL)
                continue
            was = trial.user_attrs.get(IDENTITY, tasks[0].config_hash)
            self.open[trial.number] = [_as_stored(task, was, stored) for task in tasks]
            self._identities |= {task.config_hash for task in self.open[trial.number]}
            self._count(was, adopted=ADOPTED in trial.user_attrs)
        search = self.experiment.search
        self.study.sampler = create_sampler(
            resolve_sampler(
                search, conditional=self.experiment.arms[self.arm].space.is_conditional
            ),
            search.sampler.seed,
            len(known),
        )

    def propose(self) -> int:
        """Ask for another configuration and return its number.

        A space can hold, between its ends, what an objective refuses, such as a Rényi order of 1:
        the study hears that this has failed, and is asked again. Raises `SweeperError` where it
        finds nothing else.
        """
        for _ in range(REFUSALS):
            trial = self.study.ask()
            values = self.experiment.arms[self.arm].space.suggest(trial)
            try:
                tasks = self._tasks(trial.number, values)
            except SweeperError as error:
                refusal = str(error)
                self.study.tell(trial.number, state=TrialState.FAIL)
                continue
            trial.set_user_attr(IDENTITY, tasks[0].config_hash)
            self.open[trial.number] = tasks
            self._count(tasks[0].config_hash)
            return trial.number
        raise SweeperError(
            f"{REFUSALS} proposals in a row are no valid trials, the last one because "
            f"{refusal}; narrow search.space"
        )

    def _count(self, identity: str, *, adopted: bool = False) -> None:
        """Count a configuration, unless it was adopted before the study proposed it again.

        A sequence of points begins anew where the journal that counted them was lost.
        """
        if adopted:
            self._adopted.add(identity)
        elif identity in self._adopted:
            self._adopted.remove(identity)
            return
        self.n_proposed += 1

    def tell(
        self, number: int, outcomes: Sequence[Values | None], statuses: Container[str] = ()
    ) -> None:
        """Tell the study the mean over seeds, or that some seed has one of the bad `statuses`.

        Samplers learn nothing of trials that failed, and a Gaussian process would propose a corner
        of the space where all trials diverge again and again. So a configuration that diverged
        counts as worse than all so far on both axes. That is for the sampler alone: as a row it
        has no values. Before any trial is done there is nothing to be worse than, and it failed.
        """
        complete = [outcome for outcome in outcomes if outcome is not None]
        if PRUNED in statuses:
            self.study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        elif len(complete) == len(outcomes):
            values = [statistics.fmean(axis) for axis in zip(*complete, strict=True)]
            self.study.tell(number, values, skip_if_finished=True)
        elif DIVERGED in statuses and (worse := self._worse_than_all()):
            self.study.tell(number, worse, skip_if_finished=True)
        else:
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        del self.open[number]

    def _worse_than_all(self) -> list[float]:
        """Give an NLL above and an MI below all that the study was told; nothing before any.

        They lie a nat beyond, so that nothing told later can be as bad and on a frontier.
        """
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            return []
        nll, mi = zip(*(trial.values for trial in complete), strict=True)
        return [max(nll) + 1.0, min(mi) - 1.0]

    def _tasks(self, number: int, values: Mapping[str, Any]) -> list[Task]:
        config = self.experiment.trial_config(self.arm, values)
        identity = config_hash(config, self.data_sha256)
        return [
            Task(
                self.arm,
                number,
                seed,
                values,
                config,
                self.data_sha256,
                identity,
                trial_id(identity, seed),
            )
            for seed in range(self.experiment.search.seeds)
        ]


class Sweep:
    """All arms of a run, between the journal and the result store.

    `next` gives the trials that remain; `finish` records one, in the order that survives a crash
    at any point: rows, then the study. Where a configuration is proposed twice, it is trained once
    and told twice. The caller holds the run's lock.

    `judge` stops trials where the experiment has a scheduler. What it knows of earlier attempts it
    has from the stored rows, those of evaluations before the end included.

    A damaged journal is made anew from the stored rows, and `notices` says so. Raises `OSError`
    where the journal cannot be used.
    """

    def __init__(
        self,
        experiment: Experiment,
        journal: Path,
        store: ResultStore,
        data_sha256: Mapping[str, str],
    ) -> None:
        self.experiment, self.store = experiment, store
        self.notices: list[str] = []  # what was damaged, and what became of it
        storage = open_journal(journal, self.notices)
        self.axis = experiment.frontier.maximize
        figures = list(dict.fromkeys(["nll", "mi", "nll_exact", "mi_exact", self.axis]))
        columns = ["trial_id", "arm", "config_hash", "status", *figures]
        stored = store.read(columns, final_only=True)
        ended: list[dict[str, Any]] = stored.to_dict("records")  # type: ignore[assignment]
        self.outcomes = {row["trial_id"]: outcome(row, self.axis) for row in ended}
        self.statuses: dict[str, str] = {row["trial_id"]: row["status"] for row in ended}
        self.arms = {row["trial_id"]: row["arm"] for row in ended}
        self.studies = {
            arm: ArmStudy(experiment, arm, storage, data_sha256[arm], self.outcomes)
            for arm in experiment.arms
        }
        self._adopt_missing(ended)
        self.ladders = self._ladders(figures)
        self.queue: deque[Task] = deque()
        self.given: set[str] = set()  # the trials that are or were in the queue
        for study in self.studies.values():
            for number in list(study.open):
                self._enqueue(study, number)

    @property
    def n_remaining(self) -> int:
        """The number of trials that are not stored yet, should no configuration come twice."""
        search = self.experiment.search
        unasked = sum(max(0, search.trials - study.n_proposed) for study in self.studies.values())
        asked = {
            task.trial_id
            for study in self.studies.values()
            for tasks in study.open.values()
            for task in tasks
        }
        return unasked * search.seeds + len(asked - self.outcomes.keys())

    def next(self) -> Task | None:
        """Give a trial to train, or none when all have been given."""
        while not self.queue:
            open_studies = [
                study
                for study in self.studies.values()
                if study.n_proposed < self.experiment.search.trials
            ]
            if not open_studies:
                return None
            study = min(open_studies, key=lambda study: study.n_proposed)
            self._enqueue(study, study.propose())
        return self.queue.popleft()

    def give_back(self, task: Task) -> None:
        """Take back a trial that was not finished; `next` gives it again."""
        self.queue.appendleft(task)

    def judge(self, task: Task, report: Mapping[str, Any]) -> str | None:
        """Say why a running trial is to stop here, none where it goes on.

        A report brings the evaluations that are new since the one before. A trial is judged by
        the report that brings the evaluation of a rung, once, and not when it is back at work
        beyond that.
        """
        ladder = self.ladders.get(task.arm)
        if ladder is None:
            return None
        for evaluation in report["evaluations"]:
            ladder.place(task.trial_id, evaluation)
        if all(evaluation["step"] != report["step"] for evaluation in report["evaluations"]):
            return None
        return ladder.verdict(task.trial_id, report["step"])

    def finish(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the rows of a finished trial; its study hears of it after its last seed.

        Raises `SweeperError` where the rows, and `OSError` where the journal cannot be written.
        """
        self.store.append(rows)
        self.outcomes[task.trial_id] = outcome(rows[-1], self.axis)
        self.statuses[task.trial_id] = rows[-1]["status"]
        self.arms[task.trial_id] = task.arm
        if ladder := self.ladders.get(task.arm):
            for row in rows:  # a sweep that resumes will know them all
                ladder.place(task.trial_id, row)
        for study in self.studies.values():
            for number in list(study.open):
                self._tell(study, number)

    def frontier(self) -> set[str]:
        """Give the stored trials that are on the frontier of their arm so far."""
        chosen: set[str] = set()
        for arm in self.studies:
            points = {
                trial: values
                for trial, values in self.outcomes.items()
                if values is not None and self.arms[trial] == arm
            }
            losses = [(values.nll, -values.mi) for values in points.values()]
            if losses:
                on = is_on_frontier(losses)
                chosen |= {trial for trial, keep in zip(points, on, strict=True) if keep}
        return chosen

    def _adopt_missing(self, ended: Sequence[Mapping[str, Any]]) -> None:
        """Let the studies know what the journal lost, or never had, of the stored trials."""
        missing = {arm: study.missing(ended) for arm, study in self.studies.items()}
        if not any(missing.values()):
            return
        rows = self.store.table(final_only=True).to_pylist()
        for arm, identities in missing.items():
            mine = [row for row in rows if row["arm"] == arm and row["config_hash"] in identities]
            self.studies[arm].adopt(mine, self.outcomes)

    def _enqueue(self, study: ArmStudy, number: int) -> None:
        """Queue what is neither stored nor queued yet of a configuration."""
        for task in study.open[number]:
            if task.trial_id not in self.outcomes and task.trial_id not in self.given:
                self.queue.append(task)
                self.given.add(task.trial_id)
        self._tell(study, number)

    def _tell(self, study: ArmStudy, number: int) -> None:
        trials = [task.trial_id for task in study.open[number]]
        if all(trial in self.outcomes for trial in trials):
            outcomes = [self.outcomes[trial] for trial in trials]
            study.tell(number, outcomes, {self.statuses[trial] for trial in trials})

    def _ladders(self, figures: Sequence[str]) -> dict[str, Ladder]:
        """Make the ladder of every arm from what is stored; none without a scheduler."""
        scheduler = self.experiment.search.scheduler
        if scheduler is None:
            return {}
        ladders = {arm: Ladder(scheduler, self.axis) for arm in self.experiment.arms}
        errors = ["nll_se", f"{self.axis}_se"]
        stored = self.store.read(["trial_id", "arm", "step", *figures, *errors])
        for record in stored.to_dict("records"):
            row = {str(column): value for column, value in record.items()}
            if row["arm"] in ladders:
                ladders[row["arm"]].place(row["trial_id"], row)
        return ladders


def _as_stored(task: Task, config_hash: str, stored: Container[str]) -> Task:
    """Give a task the identity it had, if it was stored under that."""
    was = trial_id(config_hash, task.seed)
    return task._replace(config_hash=config_hash, trial_id=was) if was in stored else task
