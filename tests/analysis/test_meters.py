"""Staircases of trials, and their medians and quartiles over the trials of an arm."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.frontier import frontier_points
from analysis.meters import activity_curves, collapse_curves, meters_table, shown_trials

Rows = Callable[..., pd.DataFrame]


def tables(**trials: list[tuple[float, float]]) -> pd.DataFrame:
    """Curves of trials named like `arm_number`, from pairs of epsilon and variance."""
    return pd.DataFrame(
        [
            {
                "label": name.partition("_")[0],
                "trial_id": name,
                "epsilon": epsilon,
                "mean_variance": variance,
            }
            for name, pairs in trials.items()
            for epsilon, variance in pairs
        ]
    )


def test_the_curve_of_one_trial_is_its_own_staircase() -> None:
    curve = collapse_curves(tables(a_0=[(0.5, 1.0), (0.1, 1.0), (0.1, 1.0), (2.0, 1.0)]))

    assert curve["epsilon"].tolist() == [0.1, 0.5, 2.0]
    for name in ("low", "median", "high"):
        assert curve[name].tolist() == [0.5, 0.75, 1.0]
    assert curve["trials"].tolist() == [1, 1, 1]


def test_over_trials_there_is_a_median_with_quartiles_at_every_step_of_any() -> None:
    curves = tables(
        a_0=[(0.1, 0.0), (0.2, 0.0)],
        a_1=[(0.2, 0.0), (0.4, 0.0)],
        a_2=[(0.3, 0.0), (0.4, 0.0)],
        b_0=[(7.0, 0.0)],  # of one dimension
    )
    curve = collapse_curves(curves)
    of_a = curve[curve["label"] == "a"]
    shares = np.array([[0.5, 1, 1, 1], [0, 0.5, 0.5, 1], [0, 0, 0.5, 1]])

    assert of_a["epsilon"].tolist() == [0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(
        of_a[["low", "median", "high"]].T, np.quantile(shares, [0.25, 0.5, 0.75], axis=0)
    )
    assert set(of_a["trials"]) == {3}
    assert curve[curve["label"] == "b"][["epsilon", "median"]].to_numpy().tolist() == [[7.0, 1.0]]


def test_units_are_active_from_the_threshold_on() -> None:
    curve = activity_curves(tables(a_0=[(0.0, 0.01), (0.0, 0.5), (0.0, 0.5), (0.0, 0.0)]))

    assert curve["mean_variance"].tolist() == [0.0, 0.01, 0.5]
    assert curve["median"].tolist() == [4.0, 3.0, 2.0]  # the variance itself is enough


def test_trials_without_variances_have_no_activity() -> None:
    curves = tables(a_0=[(0.1, 1.0)], b_0=[(0.1, np.nan)])

    assert activity_curves(curves)["label"].tolist() == ["a"]
    assert activity_curves(curves.iloc[1:]).empty
    assert list(activity_curves(curves.iloc[1:])) == list(activity_curves(curves))


def test_trials_of_two_runs_are_told_apart() -> None:
    one = tables(a_0=[(0.1, 1.0)])
    both = pd.concat([one.assign(run="x"), one.assign(run="y", epsilon=0.2)])

    assert set(collapse_curves(both)["trials"]) == {2}


@pytest.fixture
def points(rows: Rows) -> pd.DataFrame:
    """Three trials of an arm, of which the last is dominated, and one of another."""
    stored = rows(
        [(2.0, 1.0), (3.0, 2.0), (4.0, 0.5), (5.0, 1.0)],
        arm=["a", "a", "a", "b"],
        collapsed_share=[0.0, 0.5, 0.1, np.nan],
        active_units=[1, 2, 3, None],
        probe_accuracy=[0.9, 0.8, 0.1, 0.5],
        knn_accuracy=np.nan,
        probe_chance=0.1,
    )
    return frontier_points(stored).points


def test_the_table_has_medians_where_there_is_anything(points: pd.DataFrame) -> None:
    table = meters_table(points)

    assert table["arm"].tolist() == ["a", "b"]
    assert table["trials"].tolist() == ["3", "1"]
    assert table["share collapsed"].tolist() == ["0.1", "–"]
    assert table["active units"].tolist() == ["2", "–"]
    assert table["linear probe"].tolist() == ["0.8", "0.5"]
    assert table["k-NN"].tolist() == ["–", "–"]


def test_the_trial_that_is_shown_is_on_the_frontier_and_there(points: pd.DataFrame) -> None:
    assert shown_trials(points, points["trial_id"])["trial_id"].tolist() == ["t0", "t3"]
    assert shown_trials(points, ["t1", "t2"])["trial_id"].tolist() == ["t1"]
    assert shown_trials(points, ["t2"]).empty
