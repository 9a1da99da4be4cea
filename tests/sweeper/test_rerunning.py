"""A trial trained again; what it is compared with is stored by the tests."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeper import rerunning
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.points import Point, find_point
from sweeper.rerunning import AGREES, DIFFERS, INTERRUPTED, compare, rerun
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from trainables.training import DivergedError, TrainingRun

MakeExperiment = Callable[..., Experiment]
TrainRun = Callable[..., RunDirectory]

FIGURES = {"nll": 2.0, "nll_se": 0.03, "mi": 1.0, "mi_se": 0.04}
EXACT = {"nll_exact": 2.0, "mi_exact": 1.0}


@pytest.fixture
def point(experiment: MakeExperiment, train_run: TrainRun) -> Point:
    """A trained trial of the smallest experiment."""
    run = train_run(experiment(), 1)
    [trial] = ResultStore(run.results).finished()
    return find_point(trial, storage=run.path.parent)


def changed(point: Point, **row: Any) -> Point:
    return point._replace(row={**point.row, **row})


def conclusion(stored: Mapping[str, Any], **new: Any) -> tuple[bool, bool, str]:
    stored = {"status": "done", "reason": None, **stored}
    agreement = compare(stored, {**stored, **new})
    return agreement.agrees, agreement.to_the_bit, agreement.lines[-1]


def test_a_trial_that_is_trained_again_agrees_to_the_bit(
    point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in point.run.path.rglob("*") if path.is_file()}

    assert rerun(point) == AGREES
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{point.trial_id} of {point.run.path}: arm tiny, seed 0"
    assert lines[1] == "training 4 steps on cpu"
    assert lines[2] == "step 4/4: evaluating"
    figures = {line.split()[0]: line.split() for line in lines[5:11]}
    assert set(figures) == {"nll", "mi", "mi_q", "mi_q_batch", "nll_exact", "mi_exact"}
    for name, (_, stored, new, difference, *_) in figures.items():
        assert stored == new == f"{point.row[name]:.9g}"
        assert float(difference) == 0
    assert lines[11:] == ["it agrees to the bit"]
    after = {path: path.read_bytes() for path in point.run.path.rglob("*") if path.is_file()}
    assert after == before


def test_a_pruned_trial_is_trained_to_the_end_and_compared_with_nothing(
    point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    nll = point.row["nll_exact"]
    lacks = dict.fromkeys(("nll", "mi", "nll_exact", "mi_exact"))

    assert rerun(changed(point, status="pruned", reason="at step 2: dominated", **lacks)) == AGREES
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "it was pruned at step 2: dominated"
    assert lines[-2].startswith("trained to the end: nll ")
    assert f"nll_exact {nll:.6g}" in lines[-2]
    assert lines[-1] == "it ended early then, so nothing compares"


def test_it_is_the_stored_configuration_that_is_trained(
    point: Point, experiment: MakeExperiment
) -> None:
    point.run.experiment_file.write_text(
        experiment(trial={"training": {"steps": 9}}).to_yaml(), encoding="utf-8"
    )

    assert rerun(point) == AGREES


def test_other_figures_do_not_agree_and_what_was_otherwise_is_named(
    point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = json.loads(point.row["trial"])
    del trial["evaluation"]["limit"]
    other = changed(
        point,
        nll_exact=point.row["nll_exact"] + 0.1,
        code_version="0.0.9",
        data_sha256="5a",
        device="NVIDIA H100",
        host="elsewhere",
        trial=json.dumps(trial),
    )

    assert rerun(other) == DIFFERS
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("it does not agree")
    assert lines[start + 1] == "possible reasons:"
    assert lines[start + 2].startswith("  the code version was 0.0.9, now it is 0.1.0")
    assert lines[start + 3].startswith("  the data checksum was 5a, now it is ")
    assert lines[start + 4].startswith("  the device was NVIDIA H100, now it is ")
    assert lines[start + 5].startswith("  the host was elsewhere, now it is ")
    assert lines[start + 6] == "  this version fills in other defaults"


@pytest.mark.parametrize(
    ("new", "agrees", "to_the_bit", "told"),
    [
        ({}, True, True, "it agrees to the bit"),
        ({"nll": 2.0 + 1e-9}, True, False, "it agrees to rounding"),
        ({"nll": 2.12}, True, False, "it agrees within error"),  # 0.05 * 3 = 0.15 is the limit
        ({"nll": 2.16}, False, False, "it does not agree"),
        ({"mi": 0.7}, False, False, "it does not agree"),
        ({"mi": None}, False, False, "it does not agree"),
        ({"mi": math.nan}, False, False, "it does not agree"),
    ],
)
def test_estimates_agree_within_three_standard_errors_of_their_difference(
    new: dict[str, Any], agrees: bool, to_the_bit: bool, told: str
) -> None:
    new = {"nll_se": 0.04, "mi_se": 0.03, **new}  # of the difference: 0.05 for both

    assert conclusion(FIGURES, **new) == (agrees, to_the_bit, told)


@pytest.mark.parametrize(
    ("nll", "told"),
    [
        (2.0, "it agrees to the bit"),
        (2.0 + 1e-6, "it agrees to rounding"),
        (2.0 + 5e-6, "it does not agree"),
    ],
)
def test_exact_values_agree_to_rounding_or_not_at_all(nll: float, told: str) -> None:
    assert conclusion({**FIGURES, **EXACT}, nll_exact=nll)[2] == told


def test_estimates_without_an_error_agree_to_rounding_or_not_at_all() -> None:
    unknown = {**FIGURES, "nll_se": None}

    assert conclusion(unknown, nll=2.001)[2] == "it does not agree"
    assert conclusion(unknown, nll=2.0 + 1e-9)[2] == "it agrees to rounding"
    [table, _] = compare({"status": "done", **unknown}, {"status": "done", **unknown}).lines
    assert "unknown" in table.splitlines()[1]


def test_accuracies_on_the_latents_are_compared_where_they_were_measured() -> None:
    probed = {**FIGURES, "probe_accuracy": 0.8, "probe_accuracy_se": 0.01}

    assert conclusion(probed, probe_accuracy=0.84) == (True, False, "it agrees within error")
    assert conclusion(probed, probe_accuracy=0.9) == (False, False, "it does not agree")
    assert conclusion(probed, probe_accuracy=None)[0] is False


def test_what_was_not_measured_then_is_not_compared() -> None:
    assert conclusion(FIGURES, mi_q=3.0, mi_q_se=0.1)[2] == "it agrees to the bit"
    stored = {**FIGURES, "mi_q": 3.0, "mi_q_se": 0.1}
    assert conclusion(stored, mi_q=3.1)[2] == "it agrees within error"
    assert conclusion(stored, mi_q=4.0)[2] == "it does not agree"
    assert conclusion(stored, mi_q=None)[2] == "it does not agree"


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_trial_that_ends_badly_again_agrees(status: str) -> None:
    stored = {"status": status, "reason": "at step 3"}

    assert compare(stored, stored) == (
        True,
        True,
        [f"stored: {status}: at step 3", f"new:    {status}: at step 3", "it ends the same way"],
    )
    assert compare(stored, {**stored, "reason": "at step 4"})[:2] == (True, False)


@pytest.mark.parametrize(("was", "now"), [("done", "failed"), ("diverged", "done")])
def test_a_trial_that_ends_otherwise_does_not_agree(was: str, now: str) -> None:
    agreement = compare({"status": was, "reason": None}, {"status": now, "reason": None})

    assert agreement == (
        False,
        False,
        [f"stored: {was}", f"new:    {now}", "it does not agree"],
    )


def test_a_divergence_is_told_with_its_reason(
    point: Point, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(run: TrainingRun, seconds: float) -> None:
        raise DivergedError("the loss is not finite at step 1")

    monkeypatch.setattr(TrainingRun, "train", diverge)
    reason = "the loss is not finite at step 1"
    assert rerun(changed(point, status="diverged", reason=reason)) == AGREES
    assert rerun(point) == DIFFERS
    assert f"new:    diverged: {reason}" in capsys.readouterr().out


def test_a_failure_shows_where_it_happened(
    point: Point, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run: TrainingRun, seconds: float) -> None:
        raise RuntimeError("no memory\nleft")

    monkeypatch.setattr(TrainingRun, "train", fail)
    assert rerun(changed(point, status="failed", reason="RuntimeError: no memory")) == AGREES
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "it ends the same way"
    assert err.startswith("Traceback")


def test_an_interruption_says_that_nothing_was_changed(
    point: Point, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(run: TrainingRun, seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingRun, "train", interrupt)
    assert rerun(point) == INTERRUPTED
    assert capsys.readouterr().out.endswith("interrupted; nothing was stored or changed\n")


def test_missing_data_is_one_line_before_training(
    point: Point,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "data"))
    trial = json.loads(point.row["trial"])
    trial["data"] = {"name": "ptb"}
    trial["model"] = {"name": "sentence_lstm", "latents": trial["model"]["latents"]}

    with pytest.raises(SweeperError, match="run `sweeper data fetch ptb`") as error:
        rerun(changed(point, trial=json.dumps(trial)))
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("trial", ['{"data": {}}', "{}", "none", None])
def test_a_configuration_that_this_version_does_not_know_is_one_line(
    point: Point, trial: str | None
) -> None:
    with pytest.raises(SweeperError, match="is none that this version trains") as error:
        rerun(changed(point, trial=trial, code_version="9.0"))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("use the version 9.0")


def test_a_terminal_sees_a_bar(
    point: Point, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rerunning.sys.stdout, "isatty", lambda: True)
    assert rerun(point) == AGREES
    assert "evaluating" not in capsys.readouterr().out
