"""Labels of points against closed forms, truth tables and the naive definition."""

import math
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given

from analysis.frontier import frontier_points
from analysis.membership import (
    DRAWS,
    Estimates,
    frontier_probability,
    is_nondominated,
    may_be_on_frontier,
    membership,
    redrawn,
)

Pair = tuple[float, float]
few = st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0])  # so that ties and duplicates are common


def estimates(
    pairs: list[Pair], nll_error: Any = 0.0, mi_error: Any = 0.0, covariance: Any = 0.0
) -> Estimates:
    nll, mi = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    rest = (np.broadcast_to(v, nll.shape).astype(float) for v in (nll_error, mi_error, covariance))
    return Estimates(nll, mi, *rest)


def naive(nll: np.ndarray, mi: np.ndarray) -> list[bool]:
    def dominates(a: int, b: int) -> bool:
        at_least = nll[a] <= nll[b] and mi[a] >= mi[b]
        return bool(at_least and (nll[a] < nll[b] or mi[a] > mi[b]))

    n = range(len(nll))
    return [not any(dominates(other, one) for other in n) for one in n]


def phi(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


@st.composite
def noisy(draw: st.DrawFn) -> Estimates:
    n = draw(st.integers(1, 8))
    values = hnp.arrays(np.float64, n, elements=few | st.floats(-5, 5))
    errors = hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.01, 0.1, 1.0]))
    nll_error, mi_error = draw(errors), draw(errors)
    correlation = draw(hnp.arrays(np.float64, n, elements=st.floats(-1, 1)))
    return Estimates(
        draw(values), draw(values), nll_error, mi_error, correlation * nll_error * mi_error
    )


@given(st.integers(0, 8).flatmap(lambda n: hnp.arrays(np.float64, (2, 3, n), elements=few)))
def test_each_draw_has_the_pareto_set_of_the_naive_definition(values: np.ndarray) -> None:
    nll, mi = values
    expected = [naive(*draw) for draw in zip(nll, mi, strict=True)]
    assert is_nondominated(nll, mi).tolist() == expected


@given(noisy())
def test_points_that_are_skipped_are_dominated_in_every_draw_and_change_no_other(
    points: Estimates,
) -> None:
    """The same random numbers, with all points and with those that may be on the frontier."""
    normals = np.random.default_rng(0).standard_normal((2, 200, len(points.nll)))
    every = is_nondominated(*redrawn(points, normals))
    near = may_be_on_frontier(points)
    assert not every[:, ~near].any()
    some = is_nondominated(*redrawn(points.at(near), normals[:, :, near]))
    np.testing.assert_array_equal(some, every[:, near])


def test_skipping_leaves_few_of_many_points() -> None:
    rng = np.random.default_rng(0)
    nll, mi = rng.gamma(5.0, size=(2, 10_000))
    error = np.full(10_000, 0.01)
    assert may_be_on_frontier(Estimates(nll, mi, error, error, 0 * error)).sum() < 50


@given(noisy(), st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(points: Estimates, random: Any) -> None:
    assume(len(np.unique(points, axis=1).T) == len(points.nll))  # equal ones may swap their luck
    order = list(range(len(points.nll)))
    random.shuffle(order)
    index = np.array(order)
    np.testing.assert_array_equal(
        frontier_probability(points.at(index), draws=50),
        frontier_probability(points, draws=50)[index],
    )


@given(st.lists(st.tuples(few, few), max_size=8))
def test_exact_points_have_probability_zero_or_one(pairs: list[Pair]) -> None:
    exact = estimates(pairs)
    assert frontier_probability(exact).tolist() == [float(on) for on in naive(exact.nll, exact.mi)]


#  A lies below B at the same MI, half a standard error of their difference apart; C is far above.
A, B, C = (1.0, 1.0), (1.1, 1.0), (9.0, 0.5)
FRONTIER, DOMINATED, AMBIGUOUS = "frontier", "dominated", "ambiguous"


@pytest.mark.parametrize(
    ("pairs", "nll_error", "mi_error", "expected"),
    [
        pytest.param([A], 0.2, 0.2, [FRONTIER], id="one point"),
        pytest.param([A, C], 0.1, 0.1, [FRONTIER, DOMINATED], id="clearly apart"),
        pytest.param([A, B], 0.0, 0.0, [FRONTIER, DOMINATED], id="exact"),
        pytest.param([A, B], 0.2, 0.0, [AMBIGUOUS, AMBIGUOUS], id="overlapping"),
        pytest.param([A, A], 0.0, 0.0, [FRONTIER, FRONTIER], id="exact duplicates"),
        pytest.param([A, A], 0.2, 0.0, [AMBIGUOUS, AMBIGUOUS], id="noisy duplicates"),
        pytest.param([A, (1.0, 2.0)], 0.0, 0.0, [DOMINATED, FRONTIER], id="a tie in NLL"),
        pytest.param([A, (1.0, 2.0)], 0.1, 0.0, [AMBIGUOUS, FRONTIER], id="a noisy tie in NLL"),
        pytest.param([A, C], [np.nan, 0.1], 0.1, [AMBIGUOUS, DOMINATED], id="one unknown"),
        pytest.param([A, B], 0.0, np.nan, [AMBIGUOUS, AMBIGUOUS], id="all unknown"),
        pytest.param([], 0.0, 0.0, [], id="no point"),
    ],
)
def test_labels(pairs: list[Pair], nll_error: Any, mi_error: Any, expected: list[str]) -> None:
    labels = membership(frontier_probability(estimates(pairs, nll_error, mi_error)))
    assert labels.tolist() == expected


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(0, DOMINATED), (0.05, DOMINATED), (0.051, AMBIGUOUS), (0.949, AMBIGUOUS), (0.95, FRONTIER)],
)
def test_labels_turn_at_five_and_ninety_five_percent(probability: float, expected: str) -> None:
    assert membership(np.array([probability])).tolist() == [expected]


def test_the_probability_of_a_point_of_unknown_error_is_not_a_number() -> None:
    found = frontier_probability(estimates([A, B, C], [0.2, np.nan, 0.2]))
    assert np.isnan(found).tolist() == [False, True, False]


@pytest.mark.parametrize("gap", [-2.0, -0.5, 0.0, 0.3, 1.5])
def test_two_points_with_errors_in_nll_have_normal_chances(gap: float) -> None:
    """The one with less MI is on the frontier iff its NLL is lower; the other one always is."""
    errors = np.array([0.3, 0.4])  # of the difference: 0.5
    found = frontier_probability(estimates([(5.0, 1.0), (5.0 + gap, 2.0)], errors))
    expected = phi(gap / 0.5)
    assert found[1] == 1
    assert abs(found[0] - expected) < 4 * math.sqrt(0.25 / DRAWS)


def test_two_points_with_errors_in_mi_have_normal_chances() -> None:
    errors = np.array([0.3, 0.4])
    found = frontier_probability(estimates([(5.0, 1.0), (6.0, 1.2)], 0.0, errors))
    assert found[0] == 1
    assert abs(found[1] - phi(0.2 / 0.5)) < 4 * math.sqrt(0.25 / DRAWS)


@pytest.mark.parametrize("rho", [-1.0, -0.6, 0.0, 0.6, 1.0])
def test_draws_have_the_errors_and_the_covariance_they_are_given(rho: float) -> None:
    """Of a linear map of standard normals, the covariance is the map times its transpose."""
    points = estimates([(5.0, 1.0)], 0.3, 0.2, rho * 0.06)
    units = np.zeros((2, 3, 1))
    units[0, 1], units[1, 2] = 1, 1
    nll, mi = redrawn(points, units)
    linear = np.array([nll[1:, 0] - nll[0, 0], mi[1:, 0] - mi[0, 0]])
    np.testing.assert_allclose(
        linear @ linear.T, [[0.09, rho * 0.06], [rho * 0.06, 0.04]], atol=1e-15
    )


def test_a_covariance_decides_how_often_neighbours_dominate() -> None:
    """Where NLL and MI err together, a draw moves along a frontier and not across it."""
    pairs = [(5.0, 1.0), (5.001, 0.999)]
    together, apart = (
        frontier_probability(estimates(pairs, 0.1, 0.1, rho * 0.01)) for rho in (1.0, -1.0)
    )
    assert together.min() > 0.95  # dominance needs the difference to fall within 0.001 of 0
    np.testing.assert_allclose(apart, 0.5, atol=0.05)  # one of them always dominates


def test_labels_are_columns_of_the_points(rows) -> None:
    stored = rows([A, B, C, C], nll_se=[0.2, 0.2, 0.2, None], arm=["a", "a", "a", "b"])
    points = frontier_points(stored).points
    assert points["membership"].tolist() == [AMBIGUOUS, AMBIGUOUS, DOMINATED, AMBIGUOUS]
    assert points["frontier_probability"].tolist()[2:3] == [0.0]
    assert points["frontier_probability"].isna().tolist() == [False, False, False, True]


def test_arms_do_not_dominate_each_other(rows) -> None:
    points = frontier_points(rows([A, C], arm=["a", "b"], nll_se=0.1)).points
    assert points["membership"].tolist() == [FRONTIER, FRONTIER]


def test_where_all_failed_there_is_nothing_to_label(rows) -> None:
    found = frontier_points(rows([A, C], status="failed"))
    assert found.points["membership"].tolist() == []
    assert found.left_out == {"failed": 2}


def test_errors_and_their_covariance_are_in_the_unit_of_the_points(rows) -> None:
    stored = rows([(8.0, 4.0)], nll_se=0.4, mi_se=0.2, tokens=4.0, nll_mi_covariance=0.032)
    for unit, scale in (("observation", 1.0), ("token", 0.25)):
        [point] = frontier_points(stored, unit=unit).points.to_dict("records")
        assert point["nll_error"] == 0.4 * scale
        assert point["error_covariance"] == 0.032 * scale**2


def test_a_covariance_that_is_not_stored_is_zero_and_that_of_exact_values_too(rows) -> None:
    def covariance(stored: pd.DataFrame) -> list[float]:
        return frontier_points(stored).points["error_covariance"].tolist()

    assert covariance(rows([A, B])) == [0.0, 0.0]
    assert covariance(rows([A, B], nll_mi_covariance=[None, 0.5])) == [0.0, 0.5]
    exact = rows([A, B], nll_mi_covariance=0.5, nll_exact=[1.0, None], mi_exact=[1.0, None])
    assert covariance(exact) == [0.0, 0.5]


def test_unknown_errors_are_warned_of(rows) -> None:
    (warning,) = frontier_points(rows([A, C], nll_se=[0.1, None])).warnings
    assert warning == (
        "points without a standard error: 1 (arm); whether they are on the frontier is not known"
    )
