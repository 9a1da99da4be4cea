"""Statements about a controlled KL, built so that the answer is known."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.checking import check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm
from analysis.frontier import frontier_points
from analysis.set_points import FollowsSetPoint, HoldsSetPoint

A = Arm("room/experiment", "a")
SET_POINTS = np.array([2.0, 5.0, 10.0, 20.0, 40.0])
MakeArm = Callable[..., pd.DataFrame]


@pytest.fixture
def arm(rows: Callable[..., pd.DataFrame]) -> MakeArm:
    """Makes an arm's points from KLs and set points: configurations, or seeds of a single one."""

    def make(kl: np.ndarray, set_point: np.ndarray | float, *, of_seeds: bool) -> pd.DataFrame:
        n = len(kl)
        stored = rows(
            [(90.0, 1.0)] * n,
            config_hash="c" if of_seeds else [f"c{i}" for i in range(n)],
            seed=list(range(n)) if of_seeds else 0,
            nll_mi_covariance=math.nan,
            train_seconds=100.0,
            kl=kl,
            kl_set_point=set_point,
        )
        return frontier_points(stored).points

    return make


@pytest.mark.parametrize(
    ("off", "verdict"),
    [
        ([0.01, -0.02, 0.03, -0.02, 0.01], HOLDS),
        ([0.3, -0.2, 0.25, -0.3, 0.2], FAILS),  # by turns above and below, so never near
        ([0.0, 0.0, 0.0, -0.2, -0.4], UNDECIDED),
    ],
)
def test_swept_set_points_are_followed_or_not(
    arm: MakeArm, off: list[float], verdict: str
) -> None:
    points = arm(SET_POINTS * (1 + np.array(off)), SET_POINTS, of_seeds=False)
    found = check(FollowsSetPoint(A, 0.1), {A: points}, "observation")

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(np.abs(off).mean())
    expected = stats.ttest_1samp(np.abs(off), 0.0).confidence_interval(0.95)
    assert found.measured.high == pytest.approx(expected.high)


@pytest.mark.parametrize(
    ("off", "said"),
    [
        ([0.09, -0.09, 0.0, 0.0, 0.0], []),
        ([1.0, 0.5, 0.11, 0.0, 0.0], ["3 of 5 KLs stay above"]),
        ([1.0, 0.0, 0.0, -0.2, -0.3], ["1 of 5 KLs stay above", "2 of 5 KLs stay below"]),
    ],
)
def test_it_is_told_on_which_side_the_kl_is_off(
    arm: MakeArm, off: list[float], said: list[str]
) -> None:
    points = arm(SET_POINTS * (1 + np.array(off)), SET_POINTS, of_seeds=False)
    cautions = check(FollowsSetPoint(A, 0.1), {A: points}, "observation").cautions

    assert [caution.partition(" their set point")[0] for caution in cautions] == said


@pytest.mark.parametrize(
    ("kl", "verdict"),
    [
        ([24.9, 25.0, 25.4], HOLDS),
        ([31.0, 30.9, 31.1], FAILS),
        ([18.9, 19.0, 19.1], FAILS),
        ([22.0, 25.0, 28.0], UNDECIDED),
    ],
)
def test_a_single_set_point_is_held_or_not(arm: MakeArm, kl: list[float], verdict: str) -> None:
    points = arm(np.array(kl), 25.0, of_seeds=True)
    found = check(HoldsSetPoint(A, 0.1), {A: points}, "observation")

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(np.mean(kl) / 25 - 1)
    assert found.n_seeds == {A: 3}


@pytest.mark.parametrize("statement", [FollowsSetPoint(A, 0.1), HoldsSetPoint(A, 0.1)], ids=str)
def test_an_arm_without_a_controller_has_no_answer(
    arm: MakeArm, statement: FollowsSetPoint | HoldsSetPoint
) -> None:
    of_seeds = isinstance(statement, HoldsSetPoint)
    points = {A: arm(SET_POINTS, math.nan, of_seeds=of_seeds)}
    found = check(statement, points, "observation")

    assert found.verdict == UNDECIDED
    assert found.reason.endswith("have a stored KL and set point")
    assert "less than 10%" in str(statement)
