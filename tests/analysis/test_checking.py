"""Statements over points that are built so that the answer is known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.checking import MIN_CONFIGURATIONS, Evidence, check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, Range, Statement
from analysis.orders import (
    Below,
    CostsAtMost,
    Level,
    MoreInformation,
)
from analysis.shapes import Collapses, Flat, Rises

Rows = Callable[..., pd.DataFrame]
MakeArm = Callable[..., pd.DataFrame]
A, B = Arm("experiment", "a"), Arm("experiment", "b")
N = 40
MI = np.linspace(0.1, 5.0, N)
EARLY, LATE = Range(0.0, 0.5), Range(0.5, 1.0)


def answer(statement: Statement, a: pd.DataFrame, b: pd.DataFrame | None = None) -> Evidence:
    return check(statement, {A: a} if b is None else {A: a, B: b}, "observation")


# A's NLL lies so far above B's, over all MI; a level pair has the same points.
@pytest.mark.parametrize(
    ("statement", "above", "verdict"),
    [
        (Below(A, B), -0.5, HOLDS),
        (Below(A, B), 0.5, FAILS),
        (Below(A, B), 0.0, FAILS),  # both flat and equal: the interval is 0, which is not below 0
        (Below(A, B, by=0.4), -0.5, HOLDS),
        (Below(A, B, by=0.6), -0.5, FAILS),
        (Below(A, B, EARLY), -0.5, HOLDS),
        (Below(A, B, Range(1.0, 2.0, nats=True)), -0.5, HOLDS),
        (Level(A, B, within=0.1), 0.05, HOLDS),
        (Level(A, B, within=0.1), -0.05, HOLDS),
        (Level(A, B, within=0.1), 0.5, FAILS),
        (Level(A, B, within=0.1), -0.5, FAILS),
    ],
    ids=str,
)
def test_flat_frontiers_differ_by_what_lies_between_them(
    arm: MakeArm, statement: Statement, above: float, verdict: str
) -> None:
    found = answer(statement, arm(6.5 + above), arm(6.5))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(above)
    assert found.n_configurations == {A: N, B: N}


def test_the_range_decides_where_frontiers_cross(arm: MakeArm) -> None:
    a, b = arm(6.5), arm(6.0 + 0.2 * MI)  # they cross at an MI of 2.5, the middle

    assert answer(Below(A, B, EARLY), a, b).verdict == FAILS
    assert answer(Below(A, B, LATE), a, b).verdict == HOLDS
    assert answer(Below(B, A, EARLY), a, b).verdict == HOLDS


def test_a_crossing_in_the_middle_is_undecided_over_all(arm: MakeArm) -> None:
    found = answer(Below(A, B), arm(6.5), arm(6.0 + 0.2 * MI))

    assert found.verdict == UNDECIDED
    assert found.reason == "the interval reaches to both sides"
    assert found.measured is not None
    assert found.measured.low < 0 < found.measured.high


def test_nothing_is_said_beyond_what_both_reach(arm: MakeArm) -> None:
    found = answer(Below(A, B), arm(6.5), arm(7.0, MI / 5))

    assert found.measured is not None
    assert found.measured.mi == pytest.approx((0.0, 1.0))
    beyond = answer(Below(A, B, Range(2.0, 3.0, nats=True)), arm(6.5), arm(7.0, MI / 5))
    assert (beyond.verdict, beyond.reason) == (UNDECIDED, "both reach only an MI of 1 nats")


@pytest.mark.parametrize(
    ("columns", "reach", "verdict"),
    [
        ({"nll_floor": 2.0}, 2.0, HOLDS),  # the entropy of the data
        ({"mi_ceiling": 2.0}, 2.0, HOLDS),  # what the latents hold
        ({"mi_ceiling": [1.0, 2.0] * (N // 2)}, 2.0, HOLDS),  # which is swept
        ({"nll_floor": math.nan, "mi_ceiling": math.nan}, 5.0, FAILS),
    ],
)
def test_rates_beyond_the_possible_mi_do_not_count(
    arm: MakeArm, columns: dict[str, Any], reach: float, verdict: str
) -> None:
    """A is 0.5 nats lower up to 2.5 nats of MI, and far above B beyond."""
    a, b = arm(np.where(MI <= 2.5, 6.5, 9.0), **columns), arm(7.0, **columns)
    found = answer(Below(A, B), a, b)

    assert found.measured is not None
    assert found.measured.mi == pytest.approx((0.0, reach))
    assert found.verdict == verdict


def test_a_range_in_nats_has_to_be_reached(arm: MakeArm) -> None:
    level = Level(A, B, 0.1, Range(0.0, 4.0, nats=True))

    assert answer(level, arm(6.5), arm(6.5, MI * 0.74)).verdict == HOLDS  # up to 3.7 nats
    short = answer(level, arm(6.5), arm(6.5, MI * 0.7))
    assert (short.verdict, short.reason) == (UNDECIDED, "both reach only an MI of 3.5 nats")


def test_no_rise_beyond_the_possible_mi_counts(arm: MakeArm) -> None:
    rises = Rises(A, 0.1)
    broken = np.where(MI > 4, 9.0, 6.5)

    assert answer(rises, arm(broken)).verdict == HOLDS
    assert answer(rises, arm(broken, nll_floor=3.0)).verdict == FAILS


def test_a_collapsed_arm_does_not_compare(arm: MakeArm) -> None:
    found = answer(Below(A, B), arm(6.5), arm(6.0, MI / 100))

    assert found.verdict == UNDECIDED
    assert found.reason.startswith("one arm is collapsed: both reach only an MI of 0.05 nats")


def test_too_few_configurations_and_missing_arms_are_not_enough(arm: MakeArm) -> None:
    few = MIN_CONFIGURATIONS - 1
    found = answer(Below(A, B), arm(6.5, MI[:few]), arm(7.0))
    assert found.verdict == UNDECIDED
    assert found.reason == f"experiment/a has {few} configurations; {few + 1} are needed"
    alone = answer(Below(A, B), arm(6.5))
    assert (alone.verdict, alone.reason) == (UNDECIDED, "no finished trial of experiment/b")


def test_seeds_of_a_configuration_do_not_make_several(arm: MakeArm) -> None:
    one = arm(6.5, config_hash="c", seed=list(range(N)))

    assert answer(Below(A, B), one, arm(7.0)).n_configurations == {A: 1, B: N}


def test_different_data_do_not_compare(arm: MakeArm) -> None:
    found = answer(Below(A, B), arm(6.5), arm(7.0, data_sha256="77"))

    assert (found.verdict, found.reason) == (UNDECIDED, "the arms were trained on different data")


def test_monte_carlo_errors_widen_the_interval(arm: MakeArm) -> None:
    sure = answer(Below(A, B), arm(6.5), arm(6.6)).measured
    unsure = answer(Below(A, B), arm(6.5, nll_se=1.0), arm(6.6, nll_se=1.0))

    assert sure is not None
    assert unsure.measured is not None
    assert sure.high - sure.low < unsure.measured.high - unsure.measured.low
    assert unsure.verdict == UNDECIDED


@pytest.mark.parametrize(
    ("nll", "verdict"),
    [(6.05, HOLDS), (6.5, FAILS), (6.0 + 0.04 * MI, UNDECIDED)],  # 0.1 above at an MI of 2.5
    ids=["flat", "too high", "right at the limit"],
)
def test_flat_is_near_the_floor_up_to_a_share_of_the_possible_information(
    arm: MakeArm, nll: Any, verdict: str
) -> None:
    found = answer(Flat(A, within=0.1, to=2.5 / 6), arm(nll))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.mi == pytest.approx((0.0, 2.5))


def test_flat_needs_a_floor_and_trials_that_reach_so_far(arm: MakeArm) -> None:
    unknown = answer(Flat(A, within=0.1, to=0.5), arm(6.0, nll_floor=math.nan))
    assert "lowest possible NLL of these data is unknown" in unknown.reason
    short = answer(Flat(A, within=0.1, to=0.9), arm(6.0))
    assert short.reason == "no trial has an MI of 5.4 nats; the largest is 5"


@pytest.mark.parametrize(
    ("nll", "verdict"), [(6.0 + MI, HOLDS), (6.5, FAILS), (6.0 + 0.2 * MI, UNDECIDED)]
)
def test_a_frontier_rises_or_does_not(arm: MakeArm, nll: Any, verdict: str) -> None:
    assert answer(Rises(A, by=0.85), arm(nll)).verdict == verdict


def test_the_best_configuration_carries_more_information(arm: MakeArm) -> None:
    # Best at an MI of 4 and of 1; copies, so that no replicate goes without the best.
    mi = np.repeat([1.0, 4.0], N // 2)
    high, low = arm(np.repeat([7.0, 6.5], N // 2), mi), arm(np.repeat([6.5, 7.0], N // 2), mi)

    found = answer(MoreInformation(A, B), high, low)
    assert found.verdict == HOLDS
    assert found.measured is not None
    assert (found.measured.estimate, found.measured.low, found.measured.high) == (3.0, 3.0, 3.0)
    assert answer(MoreInformation(A, B), low, high).verdict == FAILS
    # Within 1 nat, both of both count.
    assert answer(MoreInformation(A, B, within=1.0), high, low).verdict == FAILS


@pytest.mark.parametrize(("seconds", "verdict"), [(106.0, HOLDS), (107.0, FAILS)])
def test_costs_are_compared_by_their_median_a_step(
    arm: MakeArm, seconds: float, verdict: str
) -> None:
    found = answer(CostsAtMost(A, B, 1.06), arm(6.0, train_seconds=seconds), arm(6.0))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(seconds / 100)


def test_costs_on_several_machines_do_not_compare(arm: MakeArm) -> None:
    found = answer(CostsAtMost(A, B, 1.06), arm(6.0), arm(6.0, host="there"))

    assert found.verdict == UNDECIDED
    assert "several machines or devices" in found.reason


def test_costs_that_nobody_stored_are_not_enough(arm: MakeArm) -> None:
    found = answer(CostsAtMost(A, B, 1.06), arm(6.0, train_seconds=math.nan), arm(6.0))

    assert found.verdict == UNDECIDED


# Of ten trials with lambda at most 0.05, so many are collapsed.
@pytest.mark.parametrize(("n_collapsed", "verdict"), [(10, HOLDS), (6, UNDECIDED), (0, FAILS)])
def test_most_trials_collapse_or_do_not(arm: MakeArm, n_collapsed: int, verdict: str) -> None:
    mi = np.concatenate([np.zeros(n_collapsed), np.full(N - n_collapsed, 2.0)])
    knob = np.concatenate([np.zeros(10), np.full(N - 10, 0.5)])
    points = arm(6.0, mi).assign(**{"objective.lambda": knob})
    found = answer(Collapses((A,), "objective.lambda", -0.05, 0.05), points)

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == n_collapsed / 10


def test_a_collapse_is_counted_over_all_arms_that_there_are(arm: MakeArm) -> None:
    statement = Collapses((A, B, Arm("experiment", "c")), "objective.lambda", -0.05, 0.05)
    inside = {"objective.lambda": 0.0}
    points = {A: arm(6.0, np.zeros(4)).assign(**inside), B: arm(6.0, np.zeros(6)).assign(**inside)}
    found = check(statement, points, "observation")

    assert found.verdict == HOLDS
    assert found.measured is not None
    assert found.measured.quantity == "share of 10 trials that collapse"
    assert found.n_configurations == {A: 4, B: 6}
    assert check(statement, {}, "observation").reason.startswith("no finished trial of")


def test_a_knob_outside_its_range_or_unknown_is_not_enough(arm: MakeArm) -> None:
    statement = Collapses((A,), "objective.lambda", -0.05, 0.05)
    far = answer(statement, arm(6.0).assign(**{"objective.lambda": 0.5}))

    assert far.reason == "no trial has objective.lambda from -0.05 to 0.05"
    assert answer(statement, arm(6.0)).reason == "objective.lambda is not swept"


def test_doubtful_figures_are_pointed_out(arm: MakeArm) -> None:
    exact = arm(6.5, nll_exact=6.5, mi_exact=MI)
    found = answer(Below(A, B), exact, arm(7.0, ess=2.0))

    assert found.cautions[0].startswith("exact figures meet estimates")
    assert "effective sample size below 5" in found.cautions[1]


def test_the_same_points_in_any_order_give_the_same_answer(arm: MakeArm) -> None:
    a, b = arm(6.4, nll_se=0.1), arm(6.5, nll_se=0.1)

    assert answer(Below(A, B), a, b) == answer(Below(A, B), a.iloc[::-1], b.iloc[::-1])


@pytest.mark.slow
def test_arms_that_do_not_differ_seldom_look_as_if_they_did(arm: MakeArm) -> None:
    """Sweeps of 24 trials from one distribution; 5 in 100 may be decided, plus 3 errors."""
    rng = np.random.default_rng(0)
    n_sweeps, n_decided = 200, 0
    for _ in range(n_sweeps):
        mi = rng.uniform(0.0, 5.0, (2, 24))
        nll = 6.0 + 0.05 * mi**2 + rng.exponential(0.3, (2, 24))
        found = answer(Below(A, B), arm(nll[0], mi[0]), arm(nll[1], mi[1]))
        n_decided += found.verdict != UNDECIDED

    assert n_decided / n_sweeps <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n_sweeps)
