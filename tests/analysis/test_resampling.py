import math

import numpy as np
import pytest

from analysis.frontier import frontier_points
from analysis.membership import Estimates
from analysis.resampling import Side, half_searches, side


def make(nll, mi, configuration=None, error=0.0, correlation=0.0) -> Side:
    n = len(nll)
    number = np.arange(n) if configuration is None else np.asarray(configuration)
    of_all = [np.full(n, float(value)) for value in (error, error, correlation * error**2)]
    return Side("a", Estimates(np.asarray(nll, float), np.asarray(mi, float), *of_all), number)


def drawn(of: Side, n: int = 1_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    pieces = list(half_searches(of, n, np.random.default_rng(seed)))
    nll, mi = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return nll, mi


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_more_mi_than_is_possible_counts_as_that_much(error: float) -> None:
    of = make([1.0, 2.0, 3.0], [0.0, 2.0, 4.0], error=error)._replace(possible=2.5)

    assert of.mi.tolist() == [0.0, 2.0, 2.5]
    assert drawn(of)[1].max() == 2.5


@pytest.mark.parametrize(("n", "half"), [(1, 1), (2, 1), (3, 2), (12, 6), (13, 7)])
def test_a_search_has_half_as_many_configurations_rounded_up(n: int, half: int) -> None:
    nll, mi = drawn(make(np.arange(n), np.arange(n) + 0.5))
    assert nll.shape == mi.shape == (1_000, half)
    np.testing.assert_array_equal(mi, nll + 0.5)  # rows stay whole
    assert set(nll.ravel()) == set(range(n))


def test_seeds_are_drawn_within_their_configuration_as_many_as_it_has() -> None:
    # Configuration 0 has three seeds, configuration 1 has one; rows need not be in order.
    nll, mi = drawn(make([0.0, 10.0, 1.0, 2.0], [5, 6, 5, 5], configuration=[0, 1, 0, 0]))
    for found, of_mi in zip(nll, mi, strict=True):
        present = found[np.isfinite(found)]
        assert set(of_mi[~np.isfinite(found)]) <= {-math.inf}
        assert present.tolist() == [10.0] or (len(present) == 3 and set(present) <= {0, 1, 2})
    assert set(nll[np.isfinite(nll)]) == {0.0, 1.0, 2.0, 10.0}


def test_monte_carlo_errors_are_added_with_their_correlation() -> None:
    nll, mi = drawn(make([1.0], [2.0], error=0.1, correlation=-0.5), n=40_000)
    tolerance = 5 / math.sqrt(40_000)
    assert abs(nll.mean() - 1.0) < 0.1 * tolerance
    assert abs(mi.mean() - 2.0) < 0.1 * tolerance
    assert abs(nll.std() / 0.1 - 1) < tolerance
    assert abs(mi.std() / 0.1 - 1) < tolerance
    assert abs(np.corrcoef(nll.ravel(), mi.ravel())[0, 1] + 0.5) < tolerance


def test_pieces_have_all_replicates_and_exact_values_stay_exact(monkeypatch) -> None:
    monkeypatch.setattr("analysis.resampling._CHUNK", 10)
    nll, _ = drawn(make([1.0, 2.0, 3.0], [1, 2, 3]), n=17)
    assert nll.shape == (17, 2)
    assert set(nll.ravel()) <= {1.0, 2.0, 3.0}


def test_points_become_a_side(rows) -> None:
    stored = rows(
        [(5.0, 1.0), (6.0, 2.0), (7.0, 3.0)],
        config_hash=["c", "d", "c"],
        nll_se=[0.2, 0.1, None],
        mi_se=[0.1, 0.1, 0.1],
        nll_mi_covariance=[0.01, None, 0.5],
    )
    found = side(frontier_points(stored).points, "name")
    assert found.name == "name"
    assert found.nll.tolist() == [5.0, 6.0, 7.0]
    np.testing.assert_allclose(found.estimates.nll_error, [0.2, 0.1, math.nan])
    np.testing.assert_allclose(found.estimates.covariance, [0.01, 0.0, 0.5])
    assert found.configuration.tolist() == [0, 1, 0]
    assert found.n_configurations == 2


def test_errors_are_per_token_and_exact_points_have_none(rows) -> None:
    stored = rows(
        [(5.0, 1.0)], config_hash="c", nll_se=0.2, mi_se=0.1, nll_mi_covariance=0.01, tokens=10.0
    )
    per_token = side(frontier_points(stored, "token").points, "a")
    assert [figure.item() for figure in per_token.estimates] == pytest.approx(
        [0.5, 0.1, 0.02, 0.01, 0.0001]
    )
    exact = stored.assign(nll_exact=4.9, mi_exact=0.9)
    assert not side(frontier_points(exact).points, "a").estimates.have_errors


def test_a_point_of_unknown_error_stays_where_it_is() -> None:
    estimates = Estimates(*np.array([[1.0], [2.0], [math.nan], [0.5], [0.0]]))
    nll, mi = drawn(Side("a", estimates, np.zeros(1, dtype=np.intp)), n=50)

    assert set(nll.ravel()) == {1.0}
    assert len(set(mi.ravel())) == 50


def test_rows_without_a_covariance_are_uncorrelated(rows) -> None:
    stored = rows([(5.0, 1.0)], config_hash="c", nll_se=0.2, mi_se=0.1)
    assert side(frontier_points(stored).points, "a").estimates.covariance.tolist() == [0.0]
