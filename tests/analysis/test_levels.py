"""NLL of several sides at equal information, against hand-made and naive answers."""

import math
from statistics import NormalDist

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from analysis.comparison import FEWEST, compare
from analysis.levels import at_levels, round_levels
from analysis.membership import Estimates
from analysis.resampling import Side

Pairs = list[tuple[float, float]]


def side(pairs: Pairs, name: str = "a") -> Side:
    nll, mi = np.array(pairs, dtype=float).T
    exact = np.zeros(len(nll))
    return Side(name, Estimates(nll, mi, exact, exact, exact), np.arange(len(nll)))


def reaching(*highest: float) -> list[Side]:
    return [side([(1.0, 0.0), (2.0, mi)], f"s{n}") for n, mi in enumerate(highest)]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        ((6.2, 5.0, 9.0), [0, 1, 2, 3, 4, 5, 6]),  # 9 is reached by one side alone
        ((0.62, 0.5, 0.9), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        ((15.6, 15.0), [0, 2.5, 5, 7.5, 10, 12.5, 15]),
        ((5.0, 5.2, 5.1, 20.0, 21.0), [0, 2, 4, 10, 15, 20]),  # closer where most of them end
        ((0.0, 0.0), [0]),
        ((-0.01, -0.02, 3.0), [0]),
        ((0.001, 0.001, 30.0, 30.0), [0, 5, 10, 15, 20, 25, 30]),
    ],
)
def test_levels_are_round_and_reached_by_two(highest, expected) -> None:
    assert round_levels(reaching(*highest)) == expected


def test_levels_begin_where_frontiers_do() -> None:
    # Three from 19.5 to 26; one that ends at 8 has a column, at 0, all the same.
    sides = [
        side([(1 + mi / 9, mi) for mi in np.linspace(19.5, highest, 5)], f"s{highest}")
        for highest in (24.0, 25.5, 26.0)
    ]
    low = side([(3.0, 8.0), (4.0, 5.0)], "low")
    assert round_levels([*sides, low]) == [0, 20, 21, 22, 23, 24, 25]


def test_levels_of_one_mi_are_that_of_none() -> None:
    assert round_levels([side([(1.0, 7.3)]), side([(2.0, 7.3)], "b")]) == [0]


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=12))
def test_levels_are_few_rise_and_are_reached_by_two(highest: list[float]) -> None:
    levels = round_levels(reaching(*highest))
    assert levels[0] == 0
    assert levels == sorted(set(levels))
    assert len(levels) <= 8
    assert levels[-1] <= sorted(highest)[-2] + 1e-9


#  MI at least      0  1  2  3
#  a: (1, 0) (3, 3)     1  3  3  3
#  b: (2, 2)            2  2  2  -
#  c: (1, 0.5) (3, 2)   1  3  3  -
A, B, C = side([(1, 0), (3, 3)]), side([(2, 2)], "b"), side([(1, 0.5), (3, 2)], "c")


def cells(found: pd.DataFrame, column: str) -> dict[str, list]:
    return {label: list(some[column]) for label, some in found.groupby("label", sort=False)}


def test_a_small_case_by_hand() -> None:
    found = at_levels([B, A, C], [0.0, 1.0, 2.0, 3.0], n_replicates=20)
    assert list(cells(found, "nll")) == ["b", "a", "c"]
    np.testing.assert_equal(
        cells(found, "nll"),
        {"a": [1, 3, 3, 3], "b": [2, 2, 2, math.nan], "c": [1, 3, 3, math.nan]},
    )
    np.testing.assert_equal(cells(found, "behind")["b"], [1, 0, 0, math.nan])
    assert cells(found, "standing") == {
        "b": ["too few", "best", "best", ""],
        "a": ["best", "too few", "too few", "best"],
        "c": ["best", "too few", "too few", ""],  # equally low NLLs are all best
    }
    assert found[["lower", "upper"]].isna().all(axis=None)


def test_the_hull_interpolates() -> None:
    found = at_levels([A, B], [0.0, 1.5], hull=True, n_replicates=20)
    assert cells(found, "nll") == {"a": [1, 2], "b": [2, 2]}


def test_every_trial_counts_at_no_information() -> None:
    found = at_levels([side([(1, -0.01)]), B], [0.0, 1.0], n_replicates=20)
    np.testing.assert_equal(cells(found, "nll")["a"], [1, math.nan])


def spread(n: int, shift: float, name: str, seed: int) -> Side:
    generator = np.random.default_rng(seed)
    mi = generator.uniform(0, 5, n)
    nll = shift + 0.02 * mi**2 + 0.2 * generator.exponential(size=n)
    return side(list(zip(nll, mi, strict=True)), name)


SPREAD = [spread(40, 5.0, "a", 0), spread(40, 5.02, "b", 1), spread(40, 7.0, "c", 2)]


def test_what_is_decided_is_worse_and_the_rest_is_not() -> None:
    found = at_levels(SPREAD, [0.0, 2.0], n_replicates=400)
    standings = cells(found, "standing")
    assert standings["c"] == ["worse", "worse"]
    for first, second in zip(standings["a"], standings["b"], strict=True):
        assert {first, second} == {"best", "undecided"}
    decided = found["behind_lower"] > 0
    assert (decided == (found["standing"] == "worse")).all()


def test_intervals_are_those_of_half_searches() -> None:
    # Four configurations of which 0 or 1 lie low: the lowest of two draws is 0 with 1 - (3/4)^2.
    low, others = side([(0, 1), (1, 1), (1, 1), (1, 1)]), side([(9, 1)] * 4, "b")
    found = at_levels([low, others], [0.0], n_replicates=40_000).set_index("label")
    p = 1 - 0.75**2
    width = NormalDist().inv_cdf(0.95) * math.sqrt(p * (1 - p))
    assert found.loc["a", "upper"] - found.loc["a", "nll"] == pytest.approx(width, rel=0.02)
    assert found.loc["b", "upper"] == 9  # equal trials scatter by nothing
    assert found.loc["b", "behind_upper"] - found.loc["b", "behind"] == pytest.approx(
        width, rel=0.02
    )


def test_pairs_are_as_in_a_comparison_of_two_at_each_mi() -> None:
    a, _, c = SPREAD
    found = at_levels([a, c], [0.0, 2.0], n_replicates=4_000).set_index(["label", "mi"])
    curve = compare(a, c, below=True, n_replicates=4_000).curve
    for mi in (0.0, 2.0):
        row = curve[curve["mi"] >= mi].iloc[0]
        got = found.loc[("c", mi)]
        assert got["behind"] == -row["difference"]
        width = row["upper"] - row["difference"]
        assert got["behind_upper"] - got["behind"] == pytest.approx(width, rel=0.1)


def test_there_is_no_interval_where_few_configurations_have_so_much_mi() -> None:
    found = at_levels([side([(m, m) for m in range(5)], "few"), SPREAD[0]], [0.0, 2.0, 3.0])
    few = found[found["label"] == "few"]
    assert FEWEST == 3
    assert few["lower"].isna().tolist() == [False, False, True]


def test_a_higher_level_is_wider_and_the_same_sides_give_the_same() -> None:
    first, again, wide = (
        at_levels(SPREAD, [0.0, 2.0], level=level, n_replicates=100) for level in (0.9, 0.9, 0.99)
    )
    assert first.equals(again)
    assert (wide["upper"] > first["upper"]).all()


def test_what_cannot_be_compared_is_refused() -> None:
    empty = Side("b", Estimates(*[np.empty(0)] * 5), np.empty(0, dtype=np.intp))
    with pytest.raises(ValueError, match="every side needs a point"):
        at_levels([A, empty], [0.0])
    with pytest.raises(ValueError, match="between 0 and 1; got 90"):
        at_levels([A, B], [0.0], level=90)
