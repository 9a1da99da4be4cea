import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sweeper import rows
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.rows import code_version, trial_rows
from sweeper.search import Task
from trainables.trial import TrialConfig

MakeExperiment = Callable[..., Experiment]
EARLY = {"step": 2, "nll": 3.0, "mi": 0.5, "train_seconds": 1.0}
LAST = {"step": 4, "nll": 2.0, "mi": 1.0, "train_seconds": 2.0}
COST = {"train_seconds": 2.5, "eval_seconds": 0.5}
REPORT = {"host": "here", "device": "cpu", "evaluations": [EARLY, LAST], "step": 4, "cost": [COST]}


@pytest.fixture
def tiny(experiment: MakeExperiment) -> Experiment:
    return experiment()


@pytest.fixture
def task(tiny: Experiment) -> Task:
    values = {"training.learning_rate": 0.01}
    config = tiny.trial_config("tiny", values)
    return Task("tiny", 0, 1, values, config, "5a", "c0ffee", "c0ffee-1")


def test_every_evaluation_is_a_row_and_the_last_is_final(tiny: Experiment, task: Task) -> None:
    first, last = trial_rows(tiny, task, {**REPORT, "status": "done"})

    assert first.items() >= {**EARLY, "final": False, "status": "running"}.items()
    assert last.items() >= {**LAST, "final": True, "status": "done"}.items()


def test_tables_of_an_evaluation_are_no_part_of_its_row(tiny: Experiment, task: Task) -> None:
    last = {**LAST, "collapsed_share": 0.5, "tables": {"curves": {"epsilon": [0.1]}}}
    row = trial_rows(tiny, task, {**REPORT, "evaluations": [last], "status": "done"})[-1]

    assert row["collapsed_share"] == 0.5
    assert "tables" not in row
    assert "tables" in last


def test_a_row_says_what_trained_and_where_it_comes_from(tiny: Experiment, task: Task) -> None:
    before = datetime.now(UTC)
    row = trial_rows(tiny, task, {**REPORT, "status": "done"})[-1]

    assert row["training.learning_rate"] == 0.01
    assert (row["arm"], row["seed"], row["trial_id"]) == ("tiny", 1, "c0ffee-1")
    assert (row["host"], row["device"], row["data_sha256"]) == ("here", "cpu", "5a")
    assert row["code_version"] == code_version()
    assert before <= row["created_at"] <= datetime.now(UTC)
    assert TrialConfig.model_validate(json.loads(row["trial"])) == task.config


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_trial_that_did_not_end_well_keeps_what_it_had_measured(
    tiny: Experiment, task: Task, status: str
) -> None:
    report = {**REPORT, "status": status, "reason": "why", "step": 6}
    *evaluated, end = trial_rows(tiny, task, report)

    assert [row["nll"] for row in evaluated] == [3.0, 2.0]
    assert end.items() >= {"status": status, "reason": "why", "step": 6, "final": True}.items()
    assert end["train_seconds"] == 2.5
    assert "nll" not in end


def test_a_trial_has_one_row_for_the_step_at_which_it_ended_badly(
    tiny: Experiment, task: Task
) -> None:
    rows = trial_rows(tiny, task, {**REPORT, "status": "diverged", "reason": "why"})

    assert [row["step"] for row in rows] == [2, 4]
    assert rows[-1]["status"] == "diverged"


@pytest.mark.parametrize(
    "report",
    [
        {**REPORT, "status": "done"},
        {**REPORT, "status": "diverged", "reason": "why", "step": 6},
        {"status": "failed", "reason": "lost before its first report"},
    ],
)
def test_what_a_trial_leaves_can_be_stored(
    tiny: Experiment, task: Task, report: dict[str, Any], tmp_path: Path
) -> None:
    store = ResultStore(tmp_path)
    store.append(trial_rows(tiny, task, report))

    [stored] = store.read(final_only=True).to_dict("records")
    assert stored["status"] == report["status"]
    assert stored["trial_id"] == "c0ffee-1"


def test_the_commit_is_that_of_our_own_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = code_version().partition("+")[0]
    (tmp_path / ".git").mkdir()  # somebody's project, with this package installed in it
    monkeypatch.setattr(rows, "__file__", str(tmp_path / "site-packages/sweeper/rows.py"))
    code_version.cache_clear()
    try:
        assert code_version() == release
    finally:
        code_version.cache_clear()
