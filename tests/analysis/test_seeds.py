"""Statements over seeds of single configurations, built so that the answer is known."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.checking import Evidence, check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, Statement
from analysis.frontier import frontier_points
from analysis.seeds import (
    BATCH_MI,
    COLLAPSED,
    KL,
    MIN_SEEDS,
    NLL,
    SET_MI,
    Costs,
    Greater,
    NotGreater,
    trained_together,
    welch,
)

MakeArm = Callable[..., pd.DataFrame]
A, B = Arm("room/experiment", "a"), Arm("room/experiment", "b")
values = st.lists(st.integers(-100, 100), min_size=3, max_size=6).map(np.array)


def hours(numbers: Iterable[float]) -> pd.DatetimeIndex:
    return pd.to_datetime([3600 * number for number in numbers], unit="s", utc=True)


@pytest.fixture
def arm(rows: Callable[..., pd.DataFrame]) -> MakeArm:
    """Makes an arm's points from a column's values, one a seed of a single configuration."""

    def make(column: str, of_seeds: list[float], **columns: Any) -> pd.DataFrame:
        n = len(of_seeds)
        common: dict[str, Any] = {
            "config_hash": "c",
            "seed": list(range(n)),
            "nll_mi_covariance": math.nan,
            "train_seconds": 100.0,
            "eval_seconds": 20.0,
            "created_at": hours(range(n)),
            "epochs": 10.0,
            "updates": 1000,
            "device": "cpu",
            "host": "here",
            "kl": 5.0,
            "mi_q": 4.0,
            "mi_q_ceiling": math.log(1000),
            "mi_q_batch": 3.0,
            "mi_q_batch_ceiling": math.log(32),
            column: of_seeds,
        }
        return frontier_points(rows([(90.0, 1.0)] * n, **{**common, **columns})).points

    return make


def answer(statement: Statement, a: pd.DataFrame, b: pd.DataFrame) -> Evidence:
    return check(statement, {A: a, B: b}, "observation")


@given(values, values)
def test_an_interval_is_the_one_of_welchs_test(a: np.ndarray, b: np.ndarray) -> None:
    assume(np.ptp(a) > 0 and np.ptp(b) > 0)
    difference, low, high = welch(a, b)
    test = stats.ttest_ind(a, b, equal_var=False)

    assert difference == a.mean() - b.mean()
    assert (low, high) == pytest.approx(tuple(test.confidence_interval(0.95)), 1e-7, 1e-7)


def test_what_does_not_scatter_is_its_own_interval() -> None:
    assert welch(np.full(3, 2.0), np.full(5, 0.5)) == (1.5, 1.5, 1.5)


# Seeds of a standard deviation of 0.1, three of each arm: the interval is about ±0.23.
SEEDS = np.array([-0.1, 0.0, 0.1])


@pytest.mark.parametrize(
    ("statement", "above", "verdict"),
    [
        (Greater(A, B, KL), 1.0, HOLDS),
        (Greater(A, B, KL), -1.0, FAILS),
        (Greater(A, B, KL), 0.1, UNDECIDED),
        (Greater(A, B, KL, by=0.5), 1.0, HOLDS),
        (Greater(A, B, KL, by=1.5), 1.0, FAILS),
        (NotGreater(A, B, KL, within=0.3), 0.0, HOLDS),
        (NotGreater(A, B, KL, within=0.1), 0.0, UNDECIDED),
        (NotGreater(A, B, KL, within=0.1), -1.0, HOLDS),
        (NotGreater(A, B, KL, within=0.1), 1.0, FAILS),
    ],
    ids=str,
)
def test_means_over_seeds_are_compared(
    arm: MakeArm, statement: Statement, above: float, verdict: str
) -> None:
    found = answer(statement, arm("kl", list(5 + above + SEEDS)), arm("kl", list(5 + SEEDS)))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(above)
    assert found.measured.high - above == pytest.approx(
        stats.t.ppf(0.975, 4) * 0.1 * math.sqrt(2 / 3)
    )
    assert found.n_seeds == {A: 3, B: 3}


@pytest.mark.parametrize(
    ("above", "verdict"), [([0.1, 0.11, 0.12], HOLDS), ([-0.1, -0.11, -0.12], FAILS)], ids=str
)
def test_pairs_of_one_seed_tell_what_their_scatter_would_hide(
    arm: MakeArm, above: list[float], verdict: str
) -> None:
    """Seeds differ by nats, and pairs by a hundredth: those of seed 3, which one lacks, apart."""
    scatter = np.array([-2.0, 0.0, 3.0])
    a = arm("kl", [*(5 + scatter + above), 90.0])
    b = arm("kl", [9.0, *(5 + scatter[::-1])], seed=[4, 2, 1, 0])
    paired = answer(Greater(A, B, KL, paired=True), a, b)
    within = answer(NotGreater(A, B, KL, within=0.0, paired=True), a, b)

    assert paired.verdict == verdict
    assert within.verdict == (FAILS if verdict == HOLDS else HOLDS)
    assert answer(Greater(A, B, KL), a, b).verdict == UNDECIDED
    assert paired.measured is not None
    expected = stats.ttest_1samp(above, 0.0).confidence_interval(0.95)
    assert paired.measured[2:4] == pytest.approx(tuple(expected))
    assert str(Greater(A, B, KL, paired=True)).endswith(f"than that of {B}, seed by seed")
    assert paired.measured.quantity.endswith(", seed by seed")


def test_too_few_pairs_are_not_enough(arm: MakeArm) -> None:
    a, b = arm("kl", [1.0, 2.0, 3.0]), arm("kl", [0.0, 1.0, 2.0], seed=[1, 2, 3])

    assert answer(Greater(A, B, KL, paired=True), a, b).reason == KL.missing


def test_counts_that_are_alike_for_all_seeds_are_decided(arm: MakeArm) -> None:
    assert answer(Greater(A, B, KL), arm("kl", [2.0] * 3), arm("kl", [1.0] * 3)).verdict == HOLDS
    assert answer(Greater(A, B, KL), arm("kl", [1.0] * 3), arm("kl", [1.0] * 3)).verdict == FAILS


def test_few_seeds_several_configurations_and_missing_figures_are_not_enough(
    arm: MakeArm,
) -> None:
    whole = arm("kl", [5.0, 5.1, 5.2])
    few = answer(Greater(A, B, KL), arm("kl", [5.0] * (MIN_SEEDS - 1)), whole)
    swept = answer(Greater(A, B, KL), whole, arm("kl", [5.0] * 4, config_hash=list("ccdd")))
    unknown = answer(Greater(A, B, KL), whole, arm("kl", [5.0, 5.0, math.nan]))
    missing = check(Greater(A, B, KL), {A: whole}, "observation")

    assert (few.verdict, few.reason) == (UNDECIDED, f"{A} has 2 seeds; 3 are needed")
    assert swept.reason == f"{B} has 2 configurations; a single one is needed"
    assert (unknown.verdict, unknown.reason) == (UNDECIDED, "too few trials have a stored KL")
    assert missing.reason == f"no finished trial of {B}"
    assert missing.n_seeds == {A: 3, B: 0}


def test_a_figure_that_has_to_be_asked_for_says_how(arm: MakeArm) -> None:
    found = answer(Greater(A, B, COLLAPSED), *[arm("collapsed_share", [math.nan] * 3)] * 2)

    assert found.reason == (
        "too few trials have a stored share of collapsed dimensions; run it with --set "
        "trial.evaluation.meters.collapse={}"
    )


def test_a_share_has_no_unit(arm: MakeArm) -> None:
    shares = [arm("collapsed_share", [share] * 3) for share in (0.5, 0.25)]
    found = answer(Greater(A, B, COLLAPSED), *shares)

    assert found.measured is not None
    assert found.measured.quantity == "difference of the mean share of collapsed dimensions"
    assert found.measured.estimate == 0.25


def test_where_nothing_collapses_nothing_is_told_of_it(arm: MakeArm) -> None:
    """Two shares of 0 do not speak against a remedy, which has had nothing to do."""
    none, some = arm("collapsed_share", [0.0] * 3), arm("collapsed_share", [0.5] * 3)
    found = answer(Greater(A, B, COLLAPSED), none, none)

    assert found.verdict == UNDECIDED
    assert found.reason == (
        "the share of collapsed dimensions is 0 in every trial of both: nothing to tell"
    )
    assert answer(Greater(A, B, COLLAPSED), some, none).verdict == HOLDS
    assert answer(Greater(A, B, COLLAPSED), none, some).verdict == FAILS


def test_different_data_do_not_compare(arm: MakeArm) -> None:
    one, other = arm("kl", [5.0] * 3), arm("kl", [5.0] * 3, data_sha256="77")

    assert "different data" in answer(Greater(A, B, KL), one, other).reason


@pytest.mark.parametrize(
    ("quantity", "reads", "saturates"),
    [(BATCH_MI, 3.3, True), (BATCH_MI, 2.8, False), (SET_MI, 3.3, False), (SET_MI, 6.5, True)],
)
def test_a_meter_near_its_ceiling_is_pointed_out(
    arm: MakeArm, quantity: Any, reads: float, saturates: bool
) -> None:
    a, b = arm(quantity.column, [reads] * 3), arm(quantity.column, [1.0] * 3)
    cautions = answer(Greater(A, B, quantity), a, b).cautions

    assert bool(cautions) == saturates
    if saturates:
        assert f"reads {reads:.3g}: it saturates" in cautions[0]


def test_a_poor_estimate_of_the_nll_is_pointed_out(arm: MakeArm) -> None:
    a, b = arm("nll", [90.0] * 3, ess=2.0), arm("nll", [91.0] * 3)

    assert "3 of 6 trials" in answer(Greater(B, A, NLL), a, b).cautions[0]
    assert answer(Greater(B, A, KL), a, b).cautions == ()


@pytest.mark.parametrize(
    ("statement", "seconds", "verdict"),
    [
        (Costs(A, B, at_most=1.06), 105.0, HOLDS),
        (Costs(A, B, at_most=1.06), 110.0, FAILS),
        (Costs(A, B, at_least=2.0), 210.0, HOLDS),
        (Costs(A, B, at_least=2.0), 150.0, FAILS),
        (Costs(A, B, at_least=4.0, at_most=8.0), 500.0, HOLDS),
        (Costs(A, B, at_least=4.0, at_most=8.0), 900.0, FAILS),
    ],
    ids=str,
)
def test_costs_are_ratios_of_an_epochs_seconds(
    arm: MakeArm, statement: Statement, seconds: float, verdict: str
) -> None:
    found = answer(statement, arm("train_seconds", [seconds] * 3), arm("train_seconds", [100] * 3))

    assert found.verdict == verdict
    assert found.measured is not None
    assert found.measured.estimate == pytest.approx(seconds / 100)


def test_the_whole_run_costs_by_its_epochs(arm: MakeArm) -> None:
    a = arm("train_seconds", [300.0] * 3, epochs=30.0)
    b = arm("train_seconds", [100.0] * 3)
    per_epoch, per_run = (
        answer(Costs(A, B, at_least=2.0, per=per), a, b).measured for per in ("epoch", "run")
    )

    assert per_epoch is not None
    assert per_run is not None
    assert per_epoch.estimate == pytest.approx(1.0)
    assert per_run.estimate == pytest.approx(3.0)


def test_costs_that_scatter_have_an_interval(arm: MakeArm) -> None:
    a, b = arm("train_seconds", [90.0, 100.0, 115.0]), arm("train_seconds", [95.0, 100.0, 105.0])
    found = answer(Costs(A, B, at_most=1.06), a, b)

    assert found.verdict == UNDECIDED
    assert found.measured is not None
    assert found.measured.low < 1.0 < 1.06 < found.measured.high


def test_costs_need_one_machine_and_stored_times(arm: MakeArm) -> None:
    a, elsewhere = arm("kl", [5.0] * 3), arm("kl", [5.0] * 3, host="there")
    unknown = arm("train_seconds", [math.nan] * 3)

    assert "several machines" in answer(Costs(A, B), a, elsewhere).reason
    assert answer(Costs(A, B), a, unknown).reason == "too few trials have a stored cost"


def test_trials_that_trained_beside_another_are_pointed_out(arm: MakeArm) -> None:
    """A trial trains for 100 s, is evaluated for 20 s, and then has its row made."""
    a = arm("train_seconds", [100.0] * 3)
    after = arm("train_seconds", [100.0] * 3, created_at=hours([3, 4, 5]))
    at_once = arm("train_seconds", [100.0] * 3, created_at=hours([3, 4, 2 + 50 / 3600]))
    beside_evaluation = arm("train_seconds", [100.0] * 3, created_at=hours([3, 4, 2 + 101 / 3600]))
    elsewhere = arm("train_seconds", [100.0] * 3, created_at=hours(range(3)), host="there")
    unknown = arm("train_seconds", [math.nan] * 3)

    assert answer(Costs(A, B), a, after).cautions == ()
    assert "1 of 6 trials trained" in answer(Costs(A, B), a, beside_evaluation).cautions[0]
    assert "2 of 6 trials trained" in answer(Costs(A, B), a, at_once).cautions[0]
    assert trained_together([a, elsewhere]) is None
    assert trained_together([a, unknown]) is None


@pytest.mark.slow
def test_arms_that_do_not_differ_seldom_look_as_if_they_did(arm: MakeArm) -> None:
    """Three seeds an arm from one distribution; 5 in 100 may be decided, plus 3 errors."""
    rng = np.random.default_rng(0)
    n, n_decided = 400, 0
    for a, b in rng.standard_normal((n, 2, 3)):
        _, low, high = welch(a, b)
        n_decided += low > 0 or high < 0

    assert n_decided / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)
