import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.collapse import collapse_by_knob, collapse_threshold, is_collapsed, wilson
from analysis.frontier import frontier_points

Rows = Callable[..., pd.DataFrame]


@given(st.integers(0, 200), st.data())
def test_wilsons_interval_holds_the_shares_that_a_score_test_would_not_reject(
    n: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = wilson(hits, n)

    assert 0 <= low <= high <= 1
    for end in (low, high):
        if n and 0 < end < 1:  # there the score statistic is the normal quantile
            z = (hits / n - end) / math.sqrt(end * (1 - end) / n)
            assert abs(z) == pytest.approx(1.959964, rel=1e-4)


def test_the_threshold_is_a_share_of_the_ceiling_or_nats_where_there_is_none(rows: Rows) -> None:
    stored = rows([(5.0, 0.04), (5.0, 0.06)], mi_ceiling=[5.0, math.nan], tokens=10.0)

    per_observation = frontier_points(stored).points
    assert collapse_threshold(per_observation, "observation").tolist() == [0.05, 0.05]
    assert is_collapsed(per_observation, "observation").tolist() == [True, False]
    per_token = frontier_points(stored, "token").points
    np.testing.assert_allclose(collapse_threshold(per_token, "token"), [0.005, 0.005])
    assert is_collapsed(per_token, "token").tolist() == [True, False]
    assert is_collapsed(per_token, "token", nats=1.0).all()


def test_trials_are_counted_in_equal_parts_of_the_range(rows: Rows) -> None:
    knob = [0.0, 0.4, 0.6, 1.0, math.nan]
    stored = rows([(5.0, mi) for mi in (0.0, 1.0, 1.0, 1.0, 0.0)]).assign(**{"k.a": knob})
    counted = collapse_by_knob(frontier_points(stored).points, "k.a", "observation", n_bins=2)

    assert counted[["low", "high"]].to_numpy().tolist() == [[0.0, 0.5], [0.5, 1.0]]
    assert counted["n_trials"].tolist() == [2, 2]  # the trial without the knob does not count
    assert counted["share"].tolist() == [0.5, 0.0]


def test_parts_are_equal_on_a_log_scale_where_that_is_wanted(rows: Rows) -> None:
    stored = rows([(5.0, 1.0)] * 3).assign(**{"k.a": [1.0, 5.0, 100.0]})
    points = frontier_points(stored).points
    counted = collapse_by_knob(points, "k.a", "observation", log=True, n_bins=2)

    np.testing.assert_allclose(counted["low"], [1.0, 10.0])
    assert counted["n_trials"].tolist() == [2, 1]


def test_one_value_is_one_part_and_none_are_no_rows(rows: Rows) -> None:
    stored = rows([(5.0, 1.0)] * 2).assign(**{"k.a": 3.0, "k.b": math.nan})
    points = frontier_points(stored).points

    assert collapse_by_knob(points, "k.a", "observation")["n_trials"].tolist() == [2]
    assert collapse_by_knob(points, "k.b", "observation").empty


def test_replicates_of_a_configuration_are_no_further_evidence(rows) -> None:
    stored = rows([(5.0, 0.0)] * 4, **{"k.a": 1.0}, seed=[0, 1, 2, 3]).assign(config_hash="one")
    [row] = collapse_by_knob(frontier_points(stored).points, "k.a", "observation").to_dict(
        "records"
    )

    assert (row["n_trials"], row["n_collapsed"], row["share"]) == (4, 4, 1.0)
    assert (row["share_low"], row["share_high"]) == wilson(1, 1)
