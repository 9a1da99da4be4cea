"""Tune's scheduler and a whole sweep that prunes; most of this plays Tune, one test starts it."""

import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from soak.machine import Machine, wait_until
from sweeper.driving.interruption import Interruption
from sweeper.driving.scheduler import Pruning
from sweeper.driving.searcher import TaskSearcher
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from sweeper.sections import ParetoHalving
from tests.sweeper.test_driver import Told

HALVING = {"name": "pareto_halving", "first": 2, "reduction": 2}


class Tune:
    """A searcher and its scheduler, asked in the order in which Tune does."""

    def __init__(self, experiment: Experiment, path: Path) -> None:
        self.directory = RunDirectory(path)
        self.directory.create(experiment.to_yaml())
        self.store = ResultStore(self.directory.results)
        sweep = Sweep(experiment, self.directory.journal, self.store, {"tiny": "5a"})
        self.told = Told()
        self.searcher = TaskSearcher(sweep, self.directory, self.told, Interruption())
        self.scheduler = Pruning(self.searcher)

    def start(self, trial: str) -> None:
        assert isinstance(self.searcher.suggest(trial), dict)

    def report(self, trial: str, step: int, *evaluations: tuple[int, float]) -> str:
        """Pass on a running report; gives what Tune is to do."""
        result: dict[str, Any] = {
            "status": "running",
            "reason": None,
            "step": step,
            "train_loss": 1.0,
            "evaluations": [{"step": at, "nll": nll, "mi": 1.0} for at, nll in evaluations],
            "cost": [{"updates": step}],
        }
        decision = self.scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial), result)
        if decision == Pruning.STOP:
            self.searcher.on_trial_complete(trial, {**result, "done": True})
        else:
            self.searcher.on_trial_result(trial, result)
        return decision


@pytest.fixture
def tune(experiment: Callable[..., Experiment], tmp_path: Path) -> Tune:
    search = {"scheduler": HALVING, "trials": 3}
    return Tune(experiment(trial={"evaluation": {"every": 1}}, search=search), tmp_path / "run")


def test_a_dominated_trial_is_stopped_and_stored_with_all_it_measured(tune: Tune) -> None:
    tune.start("good")
    tune.start("bad")

    assert tune.report("good", 1, (1, 3.0)) == Pruning.CONTINUE
    assert tune.report("good", 2, (2, 2.0)) == Pruning.CONTINUE
    assert tune.report("bad", 1, (1, 1.0)) == Pruning.CONTINUE  # no rung
    assert tune.report("bad", 1) == Pruning.CONTINUE
    assert tune.report("bad", 2, (2, 2.5)) == Pruning.STOP

    rows = tune.store.read()
    assert list(rows["step"]) == [1, 2, 2]
    assert list(rows["status"]) == ["running", "running", "pruned"]
    assert list(rows["nll"].fillna(0.0)) == [1.0, 2.5, 0.0]
    assert list(rows["reason"])[-1].startswith("at step 2: dominated by 1 of 1 trials with MI ")
    assert tune.told.calls[-1] == ("pruned", rows["trial_id"][0])
    assert list(tune.searcher.running) == ["good"]


def test_a_pruned_trial_leaves_neither_state_nor_model(tune: Tune) -> None:
    tune.start("good")
    tune.start("bad")
    task = tune.searcher.running["bad"]
    state = tune.directory.checkpoints / task.trial_id / "000000000002.pt"
    model = tune.directory.models / f"{task.trial_id}.pt"
    for file in (state, model):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    tune.report("good", 2, (2, 2.0))
    tune.report("bad", 2, (2, 2.5))

    assert not state.parent.exists()
    assert not model.exists()
    assert tune.searcher.pruned_trials == {task.trial_id}


def test_a_model_that_a_worker_still_writes_is_left_alone(tune: Tune) -> None:
    tune.start("good")
    tune.start("bad")
    partial = tune.directory.models / "another-0.pt.0123.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
    tune.report("good", 2, (2, 2.0))
    tune.report("bad", 2, (2, 2.5))

    assert partial.exists()


def test_a_trial_that_lost_its_worker_is_judged_by_the_next_one(tune: Tune) -> None:
    tune.start("good")
    tune.start("bad")
    tune.report("bad", 1, (1, 3.0))
    tune.searcher.on_trial_complete("bad", error=True)
    tune.start("bad again")
    tune.report("good", 2, (2, 2.0))

    assert tune.report("bad again", 2, (1, 3.0), (2, 3.0)) == Pruning.STOP
    assert list(tune.store.read()["step"]) == [1, 2, 2]


def test_tune_keeps_nothing_of_it(tune: Tune) -> None:
    assert pickle.loads(pickle.dumps(tune.scheduler)).__dict__ == {}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
        wait_until(lambda: not machine.processes())
    finally:
        machine.clear()
        shutil.rmtree(machine.ray, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_sweep_prunes_and_what_it_pruned_is_on_no_frontier_and_not_trained_again(
    machine: Machine, experiment_file: Callable[..., Path]
) -> None:
    # Where little is learnt, trials differ by their seeds alone, and the worst are pruned.
    space = {"training.learning_rate": {"kind": "float", "low": 1e-6, "high": 0.1, "log": True}}
    path = experiment_file(
        trial={
            "training": {"steps": 40, "batch_size": 8},
            "objective": {"lambda": 0.0},
            "evaluation": {"every": 10, "split": "train"},
        },
        search={
            "trials": 4,
            "seeds": 2,
            "space": space,
            "sampler": {"name": "qmc"},
            "scheduler": {"name": "pareto_halving", "first": 10, "reduction": 2},
        },
    )

    code, lines, err = machine.sweeper("run", str(path), "--workers", "1")

    assert (code, err) == (0, "")
    final = machine.final("tiny")
    assert set(final["status"]) == {"done", "pruned"}
    pruned = final[final["status"] == "pruned"]
    assert pruned["step"].isin([10, 20]).all()
    assert pruned["nll"].isna().all()
    assert f"left out: {len(pruned)} pruned" in lines
    assert any(f"pruned: {reason}" in line for line in lines for reason in pruned["reason"])
    rows = ResultStore(machine.run("tiny").results).read()
    judged = rows[rows["trial_id"].isin(pruned.index) & ~rows["final"]]
    assert set(judged.groupby("trial_id")["step"].max()) <= {10, 20}
    assert not list(machine.run("tiny").checkpoints.glob("*/*.pt"))

    code, lines, err = machine.sweeper("run", str(path), "--workers", "1")

    assert (code, err) == (0, "")
    assert lines[0].endswith("all 8 trials are done")
    pd.testing.assert_frame_equal(machine.final("tiny"), final)
    code, lines, _ = machine.sweeper("status", "tiny")
    assert (code, lines[0]) == (
        0,
        f"runs/tiny: finished; 8 of 8 trials have ended, {8 - len(pruned)} done, "
        f"{len(pruned)} pruned",
    )


def test_the_file_says_which_scheduler_there_is(tune: Tune) -> None:
    stored = tune.directory.document()["search"]

    assert stored["scheduler"] == {**HALVING, "mi_window": 0.5}
    assert ParetoHalving.model_validate(stored["scheduler"]) == ParetoHalving(first=2, reduction=2)
