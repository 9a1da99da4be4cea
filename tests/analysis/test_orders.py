"""Statements that compare curves, or say how one goes, over curves whose answer is known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.checking import Evidence, check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, Range, Statement
from analysis.orders import Below, FitsBetter, NoBetter, Parallel, SomewhereAbove
from analysis.shapes import BreaksDown, Rises

MakeArm = Callable[..., pd.DataFrame]
A, B = Arm("experiment", "a"), Arm("experiment", "b")
MI = np.linspace(0.1, 5.0, 40)  # as `arm` has it


def answer(statement: Statement, a: pd.DataFrame, b: pd.DataFrame | None = None) -> Evidence:
    return check(statement, {A: a} if b is None else {A: a, B: b}, "observation")


@pytest.mark.parametrize(
    ("above", "verdict"), [(-0.5, FAILS), (-0.05, HOLDS), (0.05, HOLDS), (0.5, HOLDS)]
)
def test_what_gains_less_than_a_margin_is_no_better(
    arm: MakeArm, above: float, verdict: str
) -> None:
    found = answer(NoBetter(A, B, by=0.1), arm(6.5 + above), arm(6.5))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(above)


@pytest.mark.parametrize(
    ("last", "verdict"),
    [
        (7.5, HOLDS),  # in the last quarter, and by far better before
        (5.5, FAILS),
        (6.5, UNDECIDED),
    ],
)
def test_somewhere_above_is_said_of_the_worst_quarter(
    arm: MakeArm, last: float, verdict: str
) -> None:
    noisy = arm(6.5, nll_se=0.2)
    found = answer(SomewhereAbove(A, B), arm(np.where(MI > 3.7, last, 5.0)), noisy)

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(last - 6.5)
    assert found.measured.mi == pytest.approx((3.75, 5.0))


def test_of_four_quarters_one_looks_decided_as_seldom_as_a_single_one_would(arm: MakeArm) -> None:
    """Bonferroni's interval of a quarter is wider than that of the same range alone."""
    a, b = arm(7.5, nll_se=0.3), arm(6.5, nll_se=0.3)
    quarter = answer(Below(A, B, Range(0.75, 1.0)), a, b).measured
    largest = answer(SomewhereAbove(A, B), a, b).measured

    assert quarter is not None
    assert largest is not None
    assert largest.high - largest.estimate > 1.2 * (quarter.high - quarter.estimate)


@pytest.mark.parametrize(
    ("nll", "verdict"),
    [
        (5.0 + 0.2 * MI, HOLDS),  # lower everywhere, and as steep
        (6.0 + 0.4 * MI, FAILS),
        (6.0 + 0.1 * MI, FAILS),
    ],
)
def test_parallel_frontiers_rise_alike_wherever_they_lie(
    arm: MakeArm, nll: Any, verdict: str
) -> None:
    found = answer(Parallel(A, B, factor=1.5), arm(nll), arm(6.0 + 0.2 * MI))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(np.log(np.ptp(nll) / (0.2 * np.ptp(MI))))
    assert found.measured.mi == pytest.approx((0.5, 4.5))


def test_a_frontier_that_does_not_rise_has_no_slope_to_compare(arm: MakeArm) -> None:
    found = answer(Parallel(A, B, factor=1.5), arm(6.0 + 0.2 * MI), arm(6.0))

    assert (found.verdict, found.reason) == (UNDECIDED, "one of the curves does not rise")


@pytest.mark.parametrize(("lowest", "verdict"), [(6.0, HOLDS), (7.0, FAILS)])
def test_the_best_fit_counts_at_whatever_information(
    arm: MakeArm, lowest: float, verdict: str
) -> None:
    found = answer(FitsBetter(A, B), arm(lowest + 0.2 * MI, MI[::-1]), arm(6.5 + 0.2 * MI))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(lowest - 6.5)


@pytest.mark.parametrize(
    ("nll", "excess", "verdict"),
    [
        (6.0 + 2.0 * np.maximum(MI - 3.76, 0.0), 2.0 * (5.0 - 3.76), HOLDS),
        (6.0 + 0.2 * MI, None, FAILS),
        (6.0, 0.0, FAILS),
    ],
)
def test_what_breaks_down_rises_more_at_the_end_than_before(
    arm: MakeArm, nll: Any, excess: float | None, verdict: str
) -> None:
    found = answer(BreaksDown(A), arm(nll))

    assert found.verdict == verdict
    assert found.measured is not None
    if excess is not None:  # the first level in the last quarter belongs to what is before
        assert found.measured.estimate == pytest.approx(excess, abs=4 * 0.13)


@pytest.mark.parametrize("statement", [Rises(A, 0.01, within=0.24), BreaksDown(A)], ids=str)
@pytest.mark.parametrize("most", [0.0, -0.001])
def test_a_collapsed_arm_has_no_shape(arm: MakeArm, statement: Statement, most: float) -> None:
    """Estimates of no MI are at times below 0."""
    found = answer(statement, arm(6.0, most * np.linspace(0.1, 1.0, 40)))

    assert found.verdict == UNDECIDED
    assert found.reason.startswith("the arm is collapsed: it reaches only an MI of 0 nats")


@pytest.mark.parametrize(
    "statement",
    [
        Rises(A, 0.01, within=0.24),
        Below(A, B, Range(within=0.24)),
        SomewhereAbove(A, B, 0.24),
        Parallel(A, B, 1.5, 0.24),
    ],
    ids=str,
)
def test_an_arm_out_of_view_is_said_to_be(arm: MakeArm, statement: Statement) -> None:
    found = answer(statement, arm(8.0), None if isinstance(statement, Rises) else arm(6.0))

    assert found.verdict == UNDECIDED
    assert found.reason.endswith("arm has no trial within 0.24 nats of the lowest NLL")


def test_curves_are_compared_as_far_as_both_are_in_view(arm: MakeArm) -> None:
    """A leaves it at an MI of 2.5, the middle; below, B lies 0.1 higher."""
    found = answer(Below(A, B, Range(within=0.24)), arm(6.0 + (MI > 2.5)), arm(6.1))

    assert found.verdict == HOLDS
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(-0.1)
    assert found.measured.mi == pytest.approx((0.0, MI[MI <= 2.5].max()))


def test_view_is_above_the_lowest_of_both_where_no_lowest_is_known(arm: MakeArm) -> None:
    unknown = {"nll_floor": math.nan}
    near = answer(Below(A, B, Range(within=0.24)), arm(6.0, **unknown), arm(6.2, **unknown))
    far = answer(Below(A, B, Range(within=0.24)), arm(6.0, **unknown), arm(6.3, **unknown))

    assert (near.verdict, far.verdict) == (HOLDS, UNDECIDED)
