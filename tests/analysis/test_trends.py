"""Statements about swept knobs, built so that the answer is known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.checking import check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm
from analysis.frontier import frontier_points
from analysis.seeds import KL, MODEL_MI
from analysis.trends import MIN_CONFIGURATIONS, Trend, configurations

A = Arm("room/experiment", "a")
KNOB = "objective.gamma"
GAMMA = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]
RISES, FALLS = Trend(A, KL, KNOB), Trend(A, KL, KNOB, rises=False)
MakeArm = Callable[..., pd.DataFrame]


@pytest.fixture
def arm(rows: Callable[..., pd.DataFrame]) -> MakeArm:
    """Makes an arm's points from a KL for each value of gamma, each with two seeds ±0.5 apart."""

    def make(kl: list[float], gamma: list[float] = GAMMA, **columns: Any) -> pd.DataFrame:
        n = len(kl)
        common: dict[str, Any] = {
            "config_hash": [f"c{i}" for i in range(n) for _ in range(2)],
            "seed": [0, 1] * n,
            "nll_mi_covariance": math.nan,
            "train_seconds": 100.0,
            "kl": [value + e for value in kl for e in (-0.5, 0.5)],
            KNOB: np.repeat(gamma, 2),
        }
        return frontier_points(rows([(90.0, 1.0)] * 2 * n, **{**common, **columns})).points

    return make


# A rise of 2 nats a decade; the second list scatters about no rise at all.
@pytest.mark.parametrize(
    ("statement", "kl", "verdict"),
    [
        (RISES, [0.0, 2.1, 3.9, 6.1, 7.9, 10.0], HOLDS),
        (FALLS, [0.0, 2.1, 3.9, 6.1, 7.9, 10.0], FAILS),
        (FALLS, [10.0, 7.9, 6.1, 3.9, 2.1, 0.0], HOLDS),
        (RISES, [5.0, 4.0, 6.0, 5.0, 4.0, 6.0], UNDECIDED),
    ],
)
def test_a_figure_rises_or_falls_with_a_knob(
    arm: MakeArm, statement: Trend, kl: list[float], verdict: str
) -> None:
    found = check(statement, {A: arm(kl)}, "observation")

    assert found.verdict == verdict
    assert found.measured is not None
    expected = stats.linregress(np.log10(GAMMA), kl)
    assert found.measured.estimate == pytest.approx(expected.slope)
    assert found.n_configurations == {A: 6}
    assert found.n_seeds is None
    assert "a decade of objective.gamma" in found.measured.quantity
    assert "objective.gamma" in str(statement)


def test_few_configurations_are_not_enough(arm: MakeArm) -> None:
    n = MIN_CONFIGURATIONS - 1
    found = check(RISES, {A: arm([1.0, 2.0, 3.0, 4.0][:n], GAMMA[:n])}, "observation")

    assert found.verdict == UNDECIDED
    assert found.reason == f"{A} has {n} configurations; {MIN_CONFIGURATIONS} are needed"
    enough = check(RISES, {A: arm([1.0, 2.0, 3.0, 4.0, 5.0], GAMMA[:5])}, "observation")
    assert enough.verdict == HOLDS


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({KNOB: math.nan}, "objective.gamma is not swept"),
        ({KNOB: 1.0}, "every configuration has the same objective.gamma"),
        ({"kl": math.nan}, "too few configurations have a stored KL"),
    ],
)
def test_what_cannot_be_measured_says_why(arm: MakeArm, columns: dict[str, Any], why: str) -> None:
    points = arm([1.0] * 6).assign(**columns)
    found = check(RISES, {A: points}, "observation")

    assert (found.verdict, found.reason) == (UNDECIDED, why)


def test_seeds_without_a_figure_are_left_out_of_their_configuration(arm: MakeArm) -> None:
    points = arm([1.0, 2.0], GAMMA[:2])
    points.loc[0, "kl"] = math.nan
    points.loc[[2, 3], "kl"] = math.nan

    assert configurations(points, "kl")["kl"].to_dict() == {"c0": 1.5}


def test_weak_samples_are_pointed_out(arm: MakeArm) -> None:
    points = {A: arm([0.0] * 6, ess=2.0, mi=[float(i) for i in range(12)])}

    [caution] = check(Trend(A, MODEL_MI, KNOB), points, "observation").cautions
    assert caution.startswith("12 of 12 trials have an effective sample size below 5")
    assert not check(RISES, points, "observation").cautions
