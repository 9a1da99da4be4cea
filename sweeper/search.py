"""What a sweep still has to train: Optuna proposes, the stored rows decide what is done.

Each arm has its own two-objective study in one journal. A configuration is told to its study once
all its seeds are in the result store, so that after any interruption the store is the truth: what
it holds is told, what it lacks is trained.
"""

import math
import statistics
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pandas as pd
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from trainables.trial import TrialConfig, config_hash, trial_id

GP_TRIALS = 100  # beyond, asking a Gaussian process costs seconds and TPE is as good

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


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


class Values(NamedTuple):
    """What a study is told of a configuration."""

    nll: float
    mi: float


def resolve_sampler(name: str, n_trials: int) -> str:
    """Say what `auto` stands for: the Gaussian process up to 100 trials an arm, TPE beyond."""
    if name == "auto":
        return "gp" if n_trials <= GP_TRIALS else "tpe"
    return name


def create_sampler(name: str, seed: int, n_trials: int, n_known: int) -> BaseSampler:
    """Build the sampler that an experiment names, for `n_trials` of which `n_known` exist."""
    # A sampler that starts again must not propose what it proposed the first time.
    fresh = seed + 1_000_003 * n_known
    match resolve_sampler(name, n_trials):
        case "gp":
            return optuna.samplers.GPSampler(seed=fresh)
        case "tpe":
            return optuna.samplers.TPESampler(seed=fresh, multivariate=True, group=True)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(seed=fresh)
        case "qmc":  # counts its points in the study, so it goes on by itself
            return optuna.samplers.QMCSampler(seed=seed, warn_independent_sampling=False)
        case "random":
            return optuna.samplers.RandomSampler(seed=fresh)
        case _:
            raise ValueError(f"unknown sampler {name!r}")


class ArmStudy:
    """The study of one arm: what was proposed, what is still to train, what it was told."""

    def __init__(
        self, experiment: Experiment, arm: str, storage: JournalStorage, data_sha256: str
    ) -> None:
        self.experiment, self.arm, self.data_sha256 = experiment, arm, data_sha256
        search = experiment.search
        study = optuna.create_study(
            study_name=arm,
            storage=storage,
            directions=["minimize", "maximize"],
            load_if_exists=True,
        )
        known = study.get_trials(deepcopy=False)
        study.sampler = create_sampler(
            search.sampler.name, search.sampler.seed, search.trials, len(known)
        )
        self.study = study
        self.n_proposed = len(known)
        self.unfinished = {
            trial.number: dict(trial.params)
            for trial in known
            if trial.state == TrialState.RUNNING
        }

    def propose(self) -> int:
        """Ask for another configuration and return its number."""
        trial = self.study.ask()
        self.unfinished[trial.number] = self.experiment.arms[self.arm].space.suggest(trial)
        self.n_proposed += 1
        return trial.number

    def tasks(self, number: int) -> list[Task]:
        """List the trials of an unfinished configuration, one for each seed."""
        values = self.unfinished[number]
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

    def tell(self, number: int, outcomes: Sequence[Values | None]) -> None:
        """Tell the study the mean over seeds, or that some seed diverged or failed."""
        complete = [outcome for outcome in outcomes if outcome is not None]
        if len(complete) == len(outcomes):
            values = [statistics.fmean(axis) for axis in zip(*complete, strict=True)]
            self.study.tell(number, values, skip_if_finished=True)
        else:
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        del self.unfinished[number]


class Sweep:
    """All arms of a run, between the journal and the result store.

    `next` gives the trials that remain; `finish` records one, in the order that survives a crash
    at any point: rows, then the study.
    """

    def __init__(
        self,
        experiment: Experiment,
        journal: Path,
        store: ResultStore,
        data_sha256: Mapping[str, str],
    ) -> None:
        self.experiment, self.store = experiment, store
        storage = JournalStorage(JournalFileBackend(str(journal)))
        self.studies = {
            arm: ArmStudy(experiment, arm, storage, data_sha256[arm]) for arm in experiment.arms
        }
        self.outcomes = _stored_outcomes(store)
        self.queue: deque[Task] = deque()
        for study in self.studies.values():
            for number in list(study.unfinished):
                self._enqueue(study, number)

    @property
    def n_trials(self) -> int:
        """The number of trials the whole run is to have."""
        search = self.experiment.search
        return len(self.studies) * search.trials * search.seeds

    @property
    def n_remaining(self) -> int:
        """The number of trials that are not stored yet."""
        search = self.experiment.search
        unasked = (max(0, search.trials - study.n_proposed) for study in self.studies.values())
        return sum(unasked) * search.seeds + len(self.queue)

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

    def finish(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the rows of a finished trial; the study hears of it after its last seed."""
        self.store.append(rows)
        self.outcomes[task.trial_id] = outcome(rows[-1])
        self._tell(self.studies[task.arm], task.number)

    def _enqueue(self, study: ArmStudy, number: int) -> None:
        """Queue what is not stored yet of a configuration."""
        self.queue.extend(
            task for task in study.tasks(number) if task.trial_id not in self.outcomes
        )
        self._tell(study, number)

    def _tell(self, study: ArmStudy, number: int) -> None:
        if number not in study.unfinished:
            return
        tasks = study.tasks(number)
        if all(task.trial_id in self.outcomes for task in tasks):
            study.tell(number, [self.outcomes[task.trial_id] for task in tasks])


def outcome(row: "Mapping[str, Any] | pd.Series[Any]") -> Values | None:
    """Read off a final row what a study is told: exact values where they exist."""
    if row["status"] != "done":
        return None
    nll, mi = (
        row[estimated] if _is_missing(row.get(exact)) else row[exact]
        for estimated, exact in (("nll", "nll_exact"), ("mi", "mi_exact"))
    )
    return Values(nll, mi)


def _stored_outcomes(store: ResultStore) -> dict[str, Values | None]:
    columns = ["trial_id", "status", "nll", "mi", "nll_exact", "mi_exact"]
    rows = store.read(columns, final_only=True)
    return {str(row["trial_id"]): outcome(row) for _, row in rows.iterrows()}


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
