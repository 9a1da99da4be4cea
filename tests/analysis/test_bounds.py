"""Statements about a bound along training, built so that the answer is known."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from analysis.bounds import StaysBelow
from analysis.checking import check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm
from analysis.frontier import frontier_points
from analysis.orders import Below
from analysis.papers.paper import Claim, answer
from analysis.seeds import MODEL_MI
from analysis.training import training_curves

A = Arm("room/experiment", "a")
STATEMENT = StaysBelow(A, MODEL_MI)
MakeCurves = Callable[..., pd.DataFrame]


@pytest.fixture
def curves(rows: Callable[..., pd.DataFrame]) -> MakeCurves:
    """Makes the evaluations of three seeds: MI 1, 2, 4 and a bound, each by step."""

    def make(bound: list[list[float]], mi: list[float], **columns: Any) -> pd.DataFrame:
        n = len(mi)
        stored = rows(
            [(90.0, value) for _ in bound for value in mi],
            config_hash="c",
            trial_id=[f"t{seed}" for seed in range(len(bound)) for _ in mi],
            seed=[seed for seed in range(len(bound)) for _ in mi],
            step=list(range(1, n + 1)) * len(bound),
            final=[step == n for step in range(1, n + 1)] * len(bound),
            nll_mi_covariance=math.nan,
            train_seconds=100.0,
            critic_bound=[value for of_seed in bound for value in of_seed],
            critic_ceiling=math.log(256),
            **columns,
        )
        return training_curves(stored, frontier_points(stored))

    return make


@pytest.mark.parametrize(
    ("bound", "estimate", "verdict"),
    [
        # Nearest to MI at the first step, the second and the last.
        ([[0.8, 1.0, 3.0], [0.5, 1.7, 3.0], [0.1, 1.0, 3.75]], -0.25, HOLDS),
        # Above in the middle alone, by 1, 1.1 and 0.9.
        ([[0.5, 3.0, 3.0], [0.5, 3.1, 3.0], [0.5, 2.9, 3.0]], 1.0, FAILS),
        ([[0.5, 1.0, 5.0], [0.5, 1.0, 3.0], [0.5, 1.0, 3.9]], 0.4 / 3, UNDECIDED),
    ],
)
def test_a_bound_is_below_at_every_step_or_not(
    curves: MakeCurves, bound: list[list[float]], estimate: float, verdict: str
) -> None:
    found = check(STATEMENT, {A: curves(bound, [1.0, 2.0, 4.0])}, "observation")

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(estimate)
    assert found.n_seeds == {A: 3}


def test_the_last_evaluation_alone_says_nothing_of_training(curves: MakeCurves) -> None:
    found = check(STATEMENT, {A: curves([[0.5]] * 3, [1.0])}, "observation")

    assert found.verdict == UNDECIDED
    assert found.reason.endswith("at several steps; set evaluation.every")


def test_a_trial_with_a_single_evaluation_does_not_count(curves: MakeCurves) -> None:
    three = [[0.8, 1.0, 3.0], [0.5, 1.7, 3.0], [0.1, 1.0, 3.75]]
    found = check(
        STATEMENT,
        {A: curves([*three, [math.nan, math.nan, 9.0]], [1.0, 2.0, 4.0])},
        "observation",
    )

    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(-0.25)


def test_a_bound_near_its_ceiling_is_pointed_out(curves: MakeCurves) -> None:
    def cautions(bound: float, **columns: Any) -> tuple[str, ...]:
        points = {A: curves([[0.5, bound]] * 3, [6.0, 6.0], **columns)}
        return check(STATEMENT, points, "observation").cautions

    assert cautions(4.9) == ()
    [caution] = cautions(5.1)
    assert caution.startswith("the bound cannot exceed 5.55 nats and reads up to 5.1")
    [caution] = cautions(1.0, ess=2.0)
    assert caution.endswith("their MI of the model is too high")


def test_a_claim_about_training_is_answered_from_training(curves: MakeCurves) -> None:
    rows = curves([[0.5, 3.0, 3.0]] * 3, [1.0, 2.0, 4.0])
    points = rows[rows["final"]]
    claim = Claim("bound", "text", "setting", (STATEMENT, Below(A, A)))
    found = answer(claim, {A: points}, "observation", {A: rows})

    assert [evidence.verdict for evidence in found.evidence] == [FAILS, UNDECIDED]
    [without, _] = answer(claim, {A: points}, "observation").evidence
    assert without.reason == f"no finished trial of {A}"
