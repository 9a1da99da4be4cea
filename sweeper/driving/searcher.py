"""Tune's view of the work: trials handed out, and what they report taken in."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray.tune.search import Searcher

from sweeper.artefacts import Artefacts
from sweeper.driving.capacity import Capacity, Here
from sweeper.driving.failures import Deaths, likely_cause, took_its_node
from sweeper.driving.interruption import Interruption
from sweeper.errors import SweeperError
from sweeper.failures import write_log
from sweeper.rows import trial_rows
from sweeper.runs import CHECKPOINTS, MODELS, RunDirectory
from sweeper.search import PRUNED, Task
from sweeper.work import Listener, Work
from trainables import storage
from trainables.checkpoint import Checkpoints
from trainables.data.files import data_root
from trainables.trainable import Assignment

NODES = 10  # how often a trial whose node was lost is started again; it may be to blame
MANY = 10**6  # trials, more than any place has room for


class TaskSearcher(Searcher):
    """Ray's view of the work: hands out trials and takes in what they report.

    Tune pickles its searcher for a restart that never happens here; the work stays behind.
    """

    def __init__(
        self,
        work: Work,
        directory: RunDirectory,
        listener: Listener,
        interruption: Interruption,
        deaths: Deaths | None = None,
        capacity: Capacity | None = None,
    ) -> None:
        super().__init__(metric=None, mode=None)
        self.work, self.directory = work, directory
        self.listener, self.interruption = listener, interruption
        self.capacity = capacity or Here(MANY)
        self.running: dict[str, Task] = {}
        self.last_report: dict[str, Mapping[str, Any]] = {}
        self.deaths = deaths or Deaths()
        self.evaluations: dict[str, dict[int, Any]] = {}  # of what is running, by step
        self.pruned: dict[str, str] = {}  # what is to stop, and why
        self.pruned_trials: set[str] = set()  # what was stopped, by identity
        # Tune's own retries forget a trial whose worker died before it began.
        self.n_deaths: Counter[str] = Counter()
        self.n_nodes: Counter[str] = Counter()  # that went from under a trial, no fault of its own

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything behind."""
        return {}

    def set_search_properties(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Take no metric: the work knows what it maximises."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Give a trial to train, none for now, or that there will be no more."""
        self.interruption.take_signals()
        if self.interruption.requested:
            return Searcher.FINISHED
        with self._stopping_on_error():
            if len(self.running) >= self.capacity.trials_at_a_time():
                return None
            task = self.work.next()
            if task is None:  # but what is at work may come back, should its worker die
                return None if self.running else Searcher.FINISHED
            self.directory.publish()
            self.running[trial_id] = task
            self.listener.started(task)
            return self._assignment(task)._asdict()
        return None

    def judge(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Take in what a running trial has measured and say whether it is to stop here."""
        seen = self.evaluations.setdefault(trial_id, {})
        seen |= {evaluation["step"]: evaluation for evaluation in result["evaluations"]}
        reason = self.work.judge(self.running[trial_id], result)
        if reason is not None:
            self.pruned[trial_id] = reason
        return reason is not None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take in how far a trial has come."""
        self.last_report[trial_id] = result
        self._pass_on(result)
        self.listener.reported(self.running[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Take in a trial that ended, was stopped, or lost its worker."""
        task = self.running.pop(trial_id)
        last_report = self.last_report.pop(trial_id, {})
        report = result or last_report
        evaluations = list(self.evaluations.pop(trial_id, {}).values())
        reason = self.pruned.pop(trial_id, None)
        if error:
            reason = self._lost(task, self.deaths.said(trial_id))
            if not self._is_lost_for_good(task):
                self.work.give_back(task)
                return
            ending = {"status": "failed", "reason": reason}
            report = {**report, **ending, "evaluations": evaluations}
        elif reason is not None:
            self.pruned_trials.add(task.trial_id)
            report = {**report, "status": PRUNED, "reason": reason, "evaluations": evaluations}
        self._pass_on(result or {})
        if report.get("status", "running") == "running":
            return  # stopped before its end; it stays open in the journal
        with self._stopping_on_error():
            if report["status"] == "blocked":
                raise SweeperError(f"{report['reason']} Then resume the run.")
            if text := report.get("traceback"):
                where = f"{task.arm} {task.trial_id} failed on {report.get('host')}"
                write_log(self.directory.failures, task.trial_id, where, text)
            rows = trial_rows(self.work.experiment, task, report)
            # Before the rows: a trial without them is trained again, and then has its tables.
            Artefacts(self.directory.path).write(task.trial_id, report.get("evaluations", []))
            self.work.finish(task, rows)
            self.directory.publish()
            Checkpoints(self._checkpoints(task)).remove()
            self._prune_models()
            self.listener.finished(task, rows)

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Bring back nothing: the journal is the state."""

    def _lost(self, task: Task, said: str) -> str:
        """Count and log a worker that was lost; say why its trial fails, should it fail now."""
        with_node = took_its_node(said)
        deaths, allowed = (
            (self.n_nodes, NODES) if with_node else (self.n_deaths, self._max_failures)
        )
        deaths[task.trial_id] += 1
        n = deaths[task.trial_id]
        headline = f"the worker of {task.arm} {task.trial_id} was lost, time {n} of {allowed + 1}"
        reason = f"the worker process was lost {n} time{'s' * (n > 1)}, {likely_cause(said)}"
        write_log(self.directory.failures, task.trial_id, headline, f"{said}\n{reason}")
        self.listener.lost(task, said)
        return reason

    def _is_lost_for_good(self, task: Task) -> bool:
        return (
            self.n_deaths[task.trial_id] > self._max_failures
            or self.n_nodes[task.trial_id] > NODES
        )

    def _assignment(self, task: Task) -> Assignment:
        resources, policy = self.work.experiment.resources, self.work.experiment.checkpoints
        return Assignment(
            trial=task.config.resolved(),
            seed=task.seed,
            data_root=str(data_root().absolute()),
            checkpoints=self._checkpoints(task),
            device="cuda" if resources.gpu else "cpu",
            threads=max(1, int(resources.cpu)),
            checkpoint_seconds=policy.seconds,
            checkpoint_steps=policy.steps,
            model=task.model,
            keep=None if task.confirms else self.directory.shared(MODELS, f"{task.trial_id}.pt"),
        )

    def _pass_on(self, report: Mapping[str, Any]) -> None:
        for note in report.get("notes", ()):
            self.listener.noted(note)

    @property
    def _max_failures(self) -> int:
        return self.work.experiment.resources.max_failures

    def _prune_models(self) -> None:
        """Drop the models of trials that no frontier needs, now or ever again."""
        running = {task.trial_id for task in self.running.values()}
        keep = self.work.frontier() | running
        models = self.directory.shared(MODELS)
        for model in storage.files(models):
            trial, is_whole, rest = model.name.partition(".pt")  # else a worker still writes it
            if is_whole and not rest and trial not in keep:
                storage.remove(storage.below(models, model.name))

    def _checkpoints(self, task: Task) -> str:
        return self.directory.shared(CHECKPOINTS, task.trial_id)

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
                    f"cannot write below {self.directory.location}: {error.strerror or error}; "
                    "mend it and resume the run"
                )
            )
