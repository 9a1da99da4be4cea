import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.frontier import frontier_points
from analysis.replicates import Replicates, best_nll, interval, replicate

Rows = Callable[..., pd.DataFrame]
value = st.floats(-5, 5)
pairs = st.lists(st.tuples(value, value), min_size=1, max_size=8)


def points(stored: pd.DataFrame, **columns: object) -> pd.DataFrame:
    frame = stored.assign(nll_mi_covariance=math.nan, train_seconds=10.0)
    if "config_hash" not in columns:
        columns["config_hash"] = [f"c{i}" for i in range(len(stored))]
    return frontier_points(frame.assign(**columns)).points


@given(pairs, value)
def test_the_best_nll_is_the_lowest_with_at_least_that_information(
    pairs: list[tuple[float, float]], mi: float
) -> None:
    nll, information = (np.array([column]) for column in zip(*pairs, strict=True))
    found = best_nll(Replicates(nll, information, nll), np.array([[mi]]))

    expected = min((n for n, m in pairs if m >= mi), default=math.inf)
    assert found[0, 0] == expected


@given(st.lists(value, min_size=2, max_size=50))
def test_an_interval_reaches_to_both_sides_of_the_estimate_alike(values: list[float]) -> None:
    low, high = interval(np.array(values))

    assert low <= values[0] <= high
    assert values[0] - low == pytest.approx(high - values[0])


def test_an_interval_holds_95_of_100_replicates_on_the_wider_side() -> None:
    values = np.concatenate([[0.0], np.arange(1001) / 1000])

    assert interval(values) == (-0.975, 0.975)


def test_the_first_replicate_is_what_was_observed_with_seeds_averaged(rows: Rows) -> None:
    stored = rows([(5.0, 1.0), (4.0, 2.0), (7.0, 3.0)], nll_se=0.5, mi_se=0.5, step=10)
    found = replicate(
        points(stored, config_hash=["b", "a", "b"], seed=[0, 0, 1]), np.random.default_rng(0), 5
    )

    assert found.nll.shape == (6, 2)
    assert found.nll[0].tolist() == [4.0, 6.0]
    assert found.mi[0].tolist() == [2.0, 2.0]
    assert found.cost[0].tolist() == [1.0, 1.0]


def test_exact_figures_are_drawn_as_they_are(rows: Rows) -> None:
    stored = points(rows([(5.0, 1.0), (4.0, 2.0)], nll_se=0.0, mi_se=0.0))
    found = replicate(stored, np.random.default_rng(0), 100)

    drawn = set(zip(found.nll.ravel(), found.mi.ravel(), strict=True))
    assert drawn == {(5.0, 1.0), (4.0, 2.0)}


def test_the_order_of_rows_does_not_matter(rows: Rows) -> None:
    stored = points(rows([(float(i), i / 2) for i in range(6)], nll_se=0.1, mi_se=0.1))
    one, other = (
        replicate(frame, np.random.default_rng(3), 20) for frame in (stored, stored.iloc[::-1])
    )

    np.testing.assert_array_equal(one.nll, other.nll)


@pytest.mark.slow
def test_noise_has_the_stored_errors_and_covariance(rows: Rows) -> None:
    """At 40,000 draws, within 5 standard errors of the spread and the correlation."""
    stored = points(rows([(5.0, 1.0)], nll_se=0.2, mi_se=0.1), nll_mi_covariance=-0.01)
    found = replicate(stored, np.random.default_rng(0), 40_000)

    nll, mi = found.nll[1:, 0], found.mi[1:, 0]
    assert nll.std() == pytest.approx(0.2, rel=5 / math.sqrt(80_000))
    assert mi.std() == pytest.approx(0.1, rel=5 / math.sqrt(80_000))
    assert np.corrcoef(nll, mi)[0, 1] == pytest.approx(-0.5, abs=5 * 0.75 / 200)


def test_nothing_is_drawn_from_nothing(rows: Rows) -> None:
    with pytest.raises(ValueError, match="no points"):
        replicate(points(rows([])), np.random.default_rng(0))
