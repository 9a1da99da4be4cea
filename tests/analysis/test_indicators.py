import json
import math
from itertools import pairwise

import hypothesis.strategies as st
import moocore
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from analysis.indicators import (
    BUDGETS,
    INDICATORS,
    at_budget,
    budget_curve,
    common_budgets,
    gradient_evaluations,
    hypervolume_table,
    indicator_table,
    indicators,
    reference,
)
from analysis.membership import Estimates
from analysis.resampling import Side

VALUE = st.integers(0, 6).map(float) | st.floats(0, 6)
PAIRS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=7)
Pairs = list[tuple[float, float]]


def side(pairs: Pairs, name: str = "a") -> Side:
    nll, mi = np.array(pairs, dtype=float).T
    exact = np.zeros(len(nll))
    return Side(name, Estimates(nll, mi, exact, exact, exact), np.arange(len(nll)))


def naive(pairs: Pairs, other: Pairs) -> list[float]:
    """Hypervolume, IGD+ and additive epsilon of `pairs` by their definitions."""
    both = pairs + other

    def front(of: Pairs) -> Pairs:
        return [p for p in of if not any(q[0] <= p[0] and q[1] >= p[1] and q != p for q in of)]

    ends = [nll for of in (pairs, other) for nll, _ in front(of)]
    nadir = max(ends) + max(0.1 * (max(ends) - min(ends)), 0.01)
    steps = sorted({0.0} | {mi for _, mi in pairs})
    volume = 0.0
    for left, right in pairwise(steps):
        best = min(nll for nll, mi in pairs if mi >= right)
        volume += (right - left) * max(nadir - best, 0.0)
    joint = sorted(set(front(both)))
    distance = [
        min(math.hypot(max(nll - r[0], 0), max(r[1] - mi, 0)) for nll, mi in pairs) for r in joint
    ]
    epsilon = max(min(max(nll - r[0], r[1] - mi) for nll, mi in pairs) for r in joint)
    return [volume, sum(distance) / len(distance), epsilon]


@given(PAIRS, PAIRS)
def test_they_are_their_naive_definitions(a: Pairs, b: Pairs) -> None:
    against = reference(side(a), side(b, "b"))
    for one, other in ((a, b), (b, a)):
        found = indicators(*np.array(one).T, against)
        np.testing.assert_allclose(found[:3], naive(one, other), atol=1e-9)


@given(PAIRS, PAIRS)
def test_r2_is_that_of_moocore_from_the_ideal_point(a: Pairs, b: Pairs) -> None:
    against = reference(side(a), side(b, "b"))
    nll, mi = np.array(a).T
    # From another origin, as moocore's own way to maximise takes it.
    expected = moocore.r2_exact(
        np.column_stack([nll, mi]), ref=list(against.ideal), maximise=[False, True]
    )
    assert indicators(nll, mi, against)[3] == pytest.approx(expected)


#  NLL
#   3 |     b     a: (1, 1)   b: (3, 2). The nadir is 3 + 10 % of 2 at no MI, the ideal 1 at MI 2.
#   1 |   a
#     +------
#       0 1 2 MI
def test_a_small_case_by_hand() -> None:
    a, b = side([(1, 1)]), side([(3, 2)], "b")
    against = reference(a, b)
    assert against.nadir == (pytest.approx(3.2), 0)
    assert against.ideal == (1, 2)
    assert sorted(against.front.tolist()) == [[1, 1], [3, 2]]
    # Each is (3.2 - NLL) × MI; as far from the other's point as that is better.
    np.testing.assert_allclose(indicators(a.nll, a.mi, against)[:3], [2.2, 0.5, 1])
    np.testing.assert_allclose(indicators(b.nll, b.mi, against)[:3], [0.4, 1, 2])


@given(PAIRS, PAIRS, st.randoms(use_true_random=False))
def test_order_repeated_and_dominated_rows_change_nothing(a: Pairs, b: Pairs, random) -> None:
    worst = (max(nll for nll, _ in a) + 1, min(mi for _, mi in a))
    again = [*random.sample(a, len(a)), random.choice(a), worst]
    first, second = (reference(side(one), side(b, "b")) for one in (a, again))
    assert first.nadir == second.nadir
    np.testing.assert_allclose(
        indicators(*np.array(a).T, first), indicators(*np.array(again).T, second), atol=1e-12
    )


def test_a_trial_far_astray_does_not_set_the_reference() -> None:
    b = side([(3, 2)], "b")
    assert reference(side([(1, 1), (1e300, 0.5)]), b).nadir == reference(side([(1, 1)]), b).nadir


def test_the_table_has_both_sides_their_difference_and_the_better_direction() -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform(0, 5, (2, 30, 2))
    a, b = side(points[0].tolist()), side((points[1] + [0.5, 0]).tolist(), "b")
    table = indicator_table(a, b, n_replicates=100)
    assert dict(zip(table["indicator"], table["better"], strict=True)) == dict(INDICATORS)
    swapped = indicator_table(b, a, n_replicates=100)
    np.testing.assert_allclose(table["difference"], -swapped["difference"])
    np.testing.assert_allclose(table["a"], swapped["b"])
    for name in ("a", "b", "difference"):
        assert (table[f"{name}_lower"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_upper"]).all()
    assert (table[["a_lower", "b_lower"]] >= 0).all(axis=None)


def test_many_sides_have_one_reference_and_differ_from_one_of_them() -> None:
    sides = [side([(1, 1), (2, 3)]), side([(4, 2)], "b"), side([(9, 9), (3, 0)], "c")]
    against = reference(*sides)
    assert against.nadir == (9 + 0.1 * 8, 0)
    assert against.ideal == (1, 9)

    table = hypervolume_table(sides, "b", n_replicates=50).set_index("label")
    expected = {of.name: float(indicators(of.nll, of.mi, against)[0]) for of in sides}
    assert table["hypervolume"].to_dict() == pytest.approx(expected)
    assert table["difference"].drop("b").to_dict() == pytest.approx(
        {name: expected[name] - expected["b"] for name in "ac"}
    )
    assert table.loc["b", "difference":].isna().all()
    assert (
        table.filter(regex="_lower|_upper").isna().all(axis=None)
    )  # fewer than 3 configurations each


def test_hypervolumes_of_many_sides_have_the_intervals_of_two() -> None:
    generator = np.random.default_rng(0)
    a, b, c = (side(list(map(tuple, generator.uniform(1, 5, (20, 2)))), name) for name in "abc")
    table = hypervolume_table([a, b], "b", n_replicates=2_000).set_index("label")
    two = indicator_table(a, b, n_replicates=2_000).iloc[0]
    for label in "ab":
        for end in ("", "_lower", "_upper"):
            got = table.loc[label, f"hypervolume{end}"]
            assert got == pytest.approx(two[f"{label}{end}"], rel=0.03)
    assert table.loc["a", "difference_upper"] == pytest.approx(two["difference_upper"], rel=0.1)
    assert (
        hypervolume_table([a, b, c], "b", n_replicates=50)["difference_lower"].notna().sum() == 2
    )


def test_gradient_evaluations_are_updates_times_batch_times_samples() -> None:
    def trial(**objective: object) -> str:
        return json.dumps({"objective": objective, "training": {"batch_size": 10}})

    rows = pd.DataFrame(
        {
            "step": [100, 100, 5, 100, 100],
            "updates": pd.array([None, 100, 50, 100, 100], dtype="Int64"),
            "trial": [
                trial(samples=16),
                trial(samples={"log_evidence": 4, "kl": 1, "evidence_in_kl": "kl"}),
                trial(),
                None,
                json.dumps({}),
            ],
        },
        index=[3, 1, 4, 5, 9],
    )
    found = gradient_evaluations(rows)
    assert found.index.equals(rows.index)
    np.testing.assert_array_equal(found, [16_000, 4_000, 500, math.nan, math.nan])


def test_gradient_evaluations_are_those_counted_where_a_row_has_them() -> None:
    resolved = json.dumps({"objective": {"samples": 2}, "training": {"batch_size": 10}})
    rows = pd.DataFrame({"step": [7, 7], "updates": [7, 7], "trial": [resolved, resolved]})
    counted = pd.array([None, 2_940], dtype="Int64")
    assert gradient_evaluations(rows).tolist() == [140, 140]
    both = gradient_evaluations(rows.assign(gradient_evaluations=counted))
    assert both.tolist() == [140, 2_940]


def ended(pairs: Pairs) -> pd.DataFrame:
    nll, mi = np.array(pairs, dtype=float).T
    return pd.DataFrame(
        {
            "trial_id": [f"t{i}" for i in range(len(pairs))],
            "created_at": pd.to_datetime(np.arange(len(pairs)), unit="s", utc=True),
            "seconds": 2.0,
            "gradient_evaluations": 100.0,
            "encoder_passes": 50.0,
            "decoder_passes": 75.0,
            "nll_value": nll,
            "mi_value": mi,
        }
    )


@given(PAIRS)
def test_a_budget_curve_is_the_hypervolume_of_the_trials_so_far(pairs: Pairs) -> None:
    against = reference(side(pairs), side([(3, 2)]))
    found = budget_curve(ended(pairs), against)
    expected = [indicators(*np.array(pairs[: n + 1]).T, against)[0] for n in range(len(pairs))]
    np.testing.assert_allclose(found["hypervolume"], expected, atol=1e-12)
    assert found["trials"].tolist() == list(range(1, len(pairs) + 1))
    assert set(BUDGETS) <= set(found)


def test_failed_trials_cost_and_trials_count_in_the_order_in_which_they_ended() -> None:
    trials = ended([(1, 1), (math.nan, math.nan), (1, 2)]).iloc[::-1]
    trials.loc[1, "gradient_evaluations"] = math.nan
    curve = budget_curve(trials, reference(side([(1, 1)]), side([(2, 2)])))
    assert curve["hypervolume"].tolist() == pytest.approx([1.1, 1.1, 2.2])
    assert curve["seconds"].tolist() == [2, 4, 6]
    assert curve["gradient_evaluations"].tolist() == [100, 100, 200]  # the unknown cost is none
    assert at_budget(curve, "seconds", 1.9) == 0
    assert at_budget(curve, "seconds", 5.9) == pytest.approx(1.1)
    assert at_budget(curve, "trials", 3) == pytest.approx(2.2)


def test_passes_are_no_budget_where_those_of_a_point_are_unknown() -> None:
    against = reference(side([(1, 1)]), side([(2, 2)]))
    trials = ended([(1, 1), (math.nan, math.nan), (1, 2)])
    trials.loc[1, "encoder_passes"] = trials.loc[2, "decoder_passes"] = math.nan
    of_old = trials.drop(columns=["encoder_passes", "decoder_passes"])
    curve, old = budget_curve(trials, against), budget_curve(of_old, against)
    assert curve["encoder_passes"].tolist() == [50, 50, 100]  # a failed trial is no point
    assert common_budgets([curve]) == [n for n in BUDGETS if n != "decoder_passes"]
    assert common_budgets([curve, old]) == ["trials", "gradient_evaluations", "seconds"]
