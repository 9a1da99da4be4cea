"""Attainment surfaces of sets whose attainment is known by hand, and by counting."""

import math

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from analysis.attainment import attained, attainment, error_attainment, seed_attainment
from analysis.frontier import frontier_points

small = st.integers(0, 5).map(float)
LEVELS = (1.0, 25.0, 100 / 3, 50.0, 60.0, 75.0, 99.0, 100.0)

#  NLL
#   3 |              a          set a: (MI 3, NLL 3) and (MI 1, NLL 1)
#   2 |        b                set b: (MI 2, NLL 2)
#   1 |  a
#     +----------------- MI     One of two sets attains what a or b attains, both what a and b do:
#        1     2     3          at MI up to 2 an NLL of 2 or, from 1 to 2, of 3.
SETS = {"nll": [3.0, 2.0, 1.0], "mi": [3.0, 2.0, 1.0], "sets": ["a", "b", "a"]}


def surface(found: pd.DataFrame, level: float) -> list[tuple[float, float]]:
    of_level = found[found["level"] == level]
    return list(zip(of_level["mi"], of_level["nll"], strict=True))


def test_two_sets_by_hand() -> None:
    found = attainment(**SETS, levels=[50, 100])
    assert surface(found, 50) == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert surface(found, 100) == [(1.0, 2.0), (2.0, 3.0)]


def test_a_surface_is_a_staircase_that_ends_where_the_level_does() -> None:
    both = attainment(**SETS, levels=[100])
    assert attained(both, [0.0, 1.0, 1.5, 2.0, 2.001]).tolist() == [2, 2, 3, 3, math.inf]


@given(st.lists(st.tuples(small, small, st.integers(0, 4)), min_size=1, max_size=12))
def test_surfaces_count_the_sets_that_attain(points: list[tuple[float, float, int]]) -> None:
    nll, mi, sets = map(np.array, zip(*points, strict=True))
    names = np.unique(sets)
    found = attainment(nll, mi, sets, LEVELS)
    for at in np.arange(-0.5, 6, 0.5):
        best = sorted(min(nll[(sets == name) & (mi >= at)], default=math.inf) for name in names)
        for level in LEVELS:
            needed = math.ceil(level * len(names) / 100 - 1e-9)
            assert attained(found[found["level"] == level], at) == best[needed - 1]


def test_surfaces_do_not_change_their_input() -> None:
    nll, mi, sets = np.array([2.0, 1.0]), np.array([1.0, 0.5]), np.array([1, 0])
    attainment(nll, mi, sets, [50])
    assert (nll.tolist(), mi.tolist(), sets.tolist()) == ([2, 1], [1, 0.5], [1, 0])


@pytest.mark.parametrize(
    ("nll", "levels", "message"),
    [
        ([], [50], "at least one point"),
        ([math.nan], [50], "no NaN"),
        ([1.0], [0, 50], "above 0 and up to 100 percent; got \\[0, 50\\]"),
        ([1.0], [101], "above 0 and up to 100"),
    ],
)
def test_what_has_no_surface_is_refused(
    nll: list[float], levels: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        attainment(nll, nll, nll, levels)


def test_seeds_are_the_sets_of_their_arm(rows) -> None:
    stored = rows(
        [(1.0, 1.0), (3.0, 3.0), (2.0, 2.0), (5.0, 1.0)],
        seed=[0, 0, 1, 0],
        arm=["two seeds"] * 3 + ["one seed"],
    )
    found = seed_attainment(frontier_points(stored).points, levels=(50, 100))
    assert found["label"].unique().tolist() == ["two seeds"]
    assert found["sets"].unique().tolist() == [2]
    assert surface(found, 50) == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert surface(found, 100) == [(1.0, 2.0), (2.0, 3.0)]


def test_one_seed_has_no_surface(rows) -> None:
    assert seed_attainment(frontier_points(rows([(1.0, 1.0)])).points).empty


def test_one_point_has_the_quantiles_of_its_error(rows) -> None:
    points = frontier_points(rows([(5.0, 1.0)], nll_se=0.2)).points
    found = error_attainment(points, levels=(5, 50, 95), draws=4_000)
    assert found["mi"].tolist() == [1.0] * 3
    np.testing.assert_allclose(
        found["nll"], [5 - 1.645 * 0.2, 5, 5 + 1.645 * 0.2], atol=4 * 0.2 * 2.2 / 4_000**0.5
    )


def test_exact_values_and_unknown_errors_have_no_surface(rows) -> None:
    assert error_attainment(frontier_points(rows([(5.0, 1.0)])).points).empty
    assert error_attainment(frontier_points(rows([(5.0, 1.0)], nll_se=None)).points).empty


def test_points_that_no_draw_brings_near_change_no_surface(rows) -> None:
    pairs = [(5.0, 1.0), (5.1, 1.1), (6.0, 2.0)]
    near = frontier_points(rows(pairs, nll_se=0.05, mi_se=0.05)).points
    more = frontier_points(rows([*pairs, (50.0, 0.5)], nll_se=0.05, mi_se=0.05)).points
    pd.testing.assert_frame_equal(error_attainment(near), error_attainment(more))


@settings(max_examples=20)
@given(st.permutations(range(4)))
def test_the_order_of_points_does_not_change_the_surface(order: list[int]) -> None:
    points = pd.DataFrame(
        {
            "label": "arm",
            "nll_value": [5.0, 5.1, 5.1, 6.0],
            "mi_value": [1.0, 1.1, 1.2, 2.0],
            "nll_error": [0.05, 0.0, 0.1, 0.1],
            "mi_error": 0.05,
            "error_covariance": 0.0,
        }
    )
    pd.testing.assert_frame_equal(error_attainment(points.iloc[order]), error_attainment(points))


def test_low_levels_lie_below_high_ones(rows) -> None:
    points = frontier_points(
        rows([(5.0, 1.0), (5.1, 1.1), (6.0, 2.0)], nll_se=0.1, mi_se=0.1)
    ).points
    found = error_attainment(points)
    grid = np.linspace(0, 3, 50)
    low, middle, high = (attained(found[found["level"] == p], grid) for p in (5, 50, 95))
    assert (low <= middle).all()
    assert (middle <= high).all()
