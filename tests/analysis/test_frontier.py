import math
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from analysis.axes import on_axis
from analysis.frontier import COLUMNS, frontier_points, is_on_frontier, possible_information

# Few values, so that ties and duplicates are common.
losses = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 12), st.integers(1, 3)),
    elements=st.sampled_from([-math.inf, -1.5, -0.0, 0.0, 1.0, 2.0, math.inf])
    | st.floats(allow_nan=False),
)


def naive(losses: np.ndarray) -> list[bool]:
    def dominates(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((a <= b).all() and (a < b).any())

    return [not any(dominates(other, one) for other in losses) for one in losses]


@given(losses)
def test_frontier_is_the_naive_definition(losses: np.ndarray) -> None:
    before = losses.copy()
    assert is_on_frontier(losses).tolist() == naive(losses)
    np.testing.assert_array_equal(losses, before)


@given(losses, st.randoms(use_true_random=False))
def test_the_order_of_trials_does_not_matter(losses: np.ndarray, random: st.DataObject) -> None:
    order = list(range(len(losses)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert is_on_frontier(losses[order]).tolist() == is_on_frontier(losses)[order].tolist()


#  2 |  a  c          a and b are the frontier; no point is better in both objectives.
#  1 |     b  d       c and d equal b in one objective and are worse in the other: dominated.
#    +----------      A second a would be as good as the first, and on the frontier too.
#       0  1  2
A, B, C, D = (0, 2), (1, 1), (1, 2), (2, 1)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([A], [True]),
        ([A, B], [True, True]),
        ([B, C], [True, False]),
        ([B, D], [True, False]),
        ([C, D], [True, True]),
        ([A, A, C], [True, True, False]),
        ([A, B, C, D, A], [True, True, False, False, True]),
        ([(math.inf, -math.inf), A, (math.inf, 2)], [True, True, False]),
    ],
)
def test_dominance(points: list[tuple[float, float]], expected: list[bool]) -> None:
    assert is_on_frontier(points).tolist() == expected


def test_no_trials_have_no_frontier() -> None:
    assert is_on_frontier(np.empty((0, 2))).tolist() == []


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        is_on_frontier([[0.0, math.nan]])


def test_losses_without_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[trials, objectives\]; got shape \(2,\)"):
        is_on_frontier([0.0, 1.0])


def test_low_nll_and_high_mi_are_on_the_frontier(rows) -> None:
    points = frontier_points(rows([(5.0, 1.0), (6.0, 2.0), (6.0, 1.5), (5.5, 1.0)])).points
    assert points["on_frontier"].tolist() == [True, True, False, False]


def test_every_arm_has_its_own_frontier(rows) -> None:
    stored = rows([(5.0, 1.0), (6.0, 0.5), (6.5, 0.4)], arm=["a", "b", "b"])
    assert frontier_points(stored).points["on_frontier"].tolist() == [True, True, False]


def test_rows_are_not_changed(rows) -> None:
    stored = rows([(5.0, 1.0), (6.0, 2.0)], status=["done", "failed"])
    before = stored.copy(deep=True)
    frontier_points(stored)
    pd.testing.assert_frame_equal(stored, before)


def test_only_final_finite_done_rows_are_points_and_the_rest_is_counted(rows) -> None:
    stored = rows(
        [(5.0, 1.0), (4.0, 2.0), (4.0, 2.0), (4.0, 2.0), (math.nan, 2.0), (4.0, math.inf), (1, 9)],
        status=["done", "failed", "diverged", "failed", "done", "done", "running"],
        final=[True] * 6 + [False],
    )
    frontier = frontier_points(stored)
    assert frontier.points["trial_id"].tolist() == ["t0"]
    assert frontier.left_out == {"failed": 2, "diverged": 1, "without a finite value": 2}


def test_no_finished_trial_is_an_empty_frontier(rows) -> None:
    for stored in (rows([]), rows([(5.0, 1.0)], status="failed")):
        points = frontier_points(stored).points
        assert len(points) == 0
        assert {"label", "nll_value", "mi_value", "on_frontier"} <= set(points)


def test_exact_values_are_preferred_and_have_no_monte_carlo_error(rows) -> None:
    stored = rows(
        [(7.0, 5.0), (7.0, 5.0)], nll_exact=[6.0, None], mi_exact=4.0, nll_se=0.3, mi_se=0.4
    )
    points = frontier_points(stored).points
    assert points["exact"].tolist() == [True, False]
    assert points["nll_value"].tolist() == [6.0, 7.0]
    assert points["mi_value"].tolist() == [4.0, 5.0]  # never one exact and one estimated
    assert points["nll_error"].tolist() == [0.0, 0.3]
    assert points["mi_error"].tolist() == [0.0, 0.4]


def test_the_error_of_a_subset_is_kept_apart_from_that_of_the_samples(rows) -> None:
    stored = rows(
        [(7.0, 5.0)] * 3,
        nll_se=[3.0, 3.0, None],
        nll_sampling_se=[4.0, None, 4.0],
        nll_exact=[None, None, 6.0],
        mi_exact=[None, None, 4.0],
    )
    points = frontier_points(stored).points
    assert points["nll_error"].tolist() == [3.0, 3.0, 0.0]
    assert points["nll_shared_error"].fillna(-1).tolist() == [4.0, -1.0, 4.0]


def test_per_token_values_divide_by_the_tokens_of_an_observation(rows) -> None:
    stored = rows(
        [(100.0, 10.0), (100.0, 10.0)],
        nll_se=2.0,
        mi_se=1.0,
        nll_exact=[None, 90.0],
        mi_exact=[None, 8.0],
        nll_floor=80.0,
        mi_ceiling=18.0,
        tokens=20.0,
    )
    points = frontier_points(stored, unit="token").points
    assert points["nll_value"].tolist() == [5.0, 4.5]
    assert points["mi_value"].tolist() == [0.5, 0.4]
    assert points["nll_error"].tolist() == [0.1, 0.0]
    assert points["mi_error"].tolist() == [0.05, 0.0]
    assert points["floor"].tolist() == [4.0, 4.0]
    assert points["ceiling"].tolist() == [0.9, 0.9]


def test_an_arm_that_two_runs_share_is_labelled_by_run(rows) -> None:
    shared = rows([(5.0, 1.0), (6.0, 0.5)], arm="a", run=["one", "two"])
    assert frontier_points(shared).points["label"].tolist() == ["one: a", "two: a"]
    assert frontier_points(shared).points["on_frontier"].all()
    apart = rows([(5.0, 1.0), (6.0, 0.5)], arm=["a", "b"], run=["one", "two"])
    assert frontier_points(apart).points["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"nll_floor": 3.0, "mi_ceiling": 8.0}, 3.0),  # the entropy of the data
        ({"nll_floor": 3.0, "mi_ceiling": [1.0, 2.0]}, 2.0),  # what the latents hold, swept
        ({"mi_ceiling": [1.0, math.nan]}, math.inf),  # Gaussian latents hold any amount
        ({"nll_floor": 3.0}, 3.0),
        ({}, math.inf),
    ],
)
def test_a_perfect_model_has_as_much_mi_as_data_and_latents_allow(
    rows, columns: dict[str, Any], expected: float
) -> None:
    stored = rows([(5.0, 9.0), (6.0, 1.0)], **columns, code_space=[9.0, 1.0])

    assert possible_information(frontier_points(stored).points) == expected
    on_codes = frontier_points(on_axis(stored, "code_space")).points
    assert possible_information(on_codes) == math.inf


def test_a_clean_frontier_has_no_warnings(rows) -> None:
    assert frontier_points(rows([(5.0, 1.0), (6.0, 2.0)], mi_ceiling=5.0)).warnings == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"nll_exact": [5, None], "mi_exact": [1, None]}, "exact points: 1, estimated: 1 (arm)"),
        ({"split": ["train", "test"]}, "2 splits do not compare: train, test"),
        ({"scale": ["small", None]}, "2 scales do not compare: small, none"),
        ({"data_sha256": ["5a", "5b"]}, "2 data sets do not compare: 5a, 5b"),
        ({"samples": [100, 500]}, "different K do not compare: 100, 500"),
        ({"ess": [4.9, 5.1]}, "arm: 1 of 2 frontier points have an effective sample size below 5"),
        ({"mi_ceiling": 2.03}, "arm: 1 of 2 frontier points are within 2% of the MI ceiling"),
        ({"nll_is_bound": [None, True]}, "the NLL of arm: 1 of 2 points is an upper bound"),
    ],
)
def test_what_makes_points_less_believable_is_said(rows, columns, message) -> None:
    (warning,) = frontier_points(rows([(5.0, 1.0), (6.0, 2.0)], **columns)).warnings
    assert message in warning


def test_exact_points_and_dominated_points_need_no_effective_samples(rows) -> None:
    exact = rows([(5.0, 1.0)], nll_exact=5.0, mi_exact=1.0, ess=1.0, samples=100)
    assert frontier_points(exact).warnings == ()
    dominated = rows([(5.0, 1.0), (6.0, 0.5)], ess=[50.0, 1.0])
    assert frontier_points(dominated).warnings == ()


def test_a_missing_column_and_an_unknown_unit_are_named(rows) -> None:
    stored = rows([(5.0, 1.0)])
    with pytest.raises(ValueError, match="lack the columns nll_se, ess"):
        frontier_points(stored.drop(columns=["nll_se", "ess"]))
    with pytest.raises(ValueError, match="'observation' or 'token'; got 'bit'"):
        frontier_points(stored, unit="bit")


def test_the_swept_knobs_stay_with_their_points(rows) -> None:
    stored = rows([(5.0, 1.0), (6.0, 2.0)], **{"training.learning_rate": [1e-3, 1e-2]})
    points = frontier_points(stored).points
    assert points["training.learning_rate"].tolist() == [1e-3, 1e-2]
    assert set(COLUMNS) <= set(points)


def test_infinities_in_three_objectives_are_compared_and_do_not_crash() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        losses = rng.choice([-math.inf, -1.0, 0.0, 1.0, math.inf], size=(8, 3))
        assert is_on_frontier(losses).tolist() == naive(losses)


def test_replicates_with_several_seeds_are_warned_of(rows) -> None:
    warned = frontier_points(rows([(5.0, 1.0), (5.1, 0.9)], seed=[0, 1])).warnings
    assert any("favours the luckiest replicates" in warning for warning in warned)
    once = frontier_points(rows([(5.0, 1.0), (5.1, 0.9)], seed=0)).warnings
    assert not any("replicates" in warning for warning in once)


def test_a_lone_sample_that_carries_an_observation_is_warned_of(rows) -> None:
    stored = rows([(5.0, 1.0), (6.0, 2.0)], ess_min=[1.01, 9.0])

    [warning] = frontier_points(stored).warnings
    assert warning.startswith("arm: in 1 of 2 frontier points some observation has an effective ")
    exact = rows([(5.0, 1.0)], ess_min=1.01, nll_exact=5.0, mi_exact=1.0)
    assert frontier_points(exact).warnings == ()


def test_arms_with_the_same_trouble_share_a_sentence(rows) -> None:
    stored = rows(
        [(5.0, 1.0), (6.0, 2.0), (5.0, 1.0), (5.0, 1.0)],
        arm=["a", "a", "b", "c"],
        ess_min=[1.01, 1.5, 1.5, 9.0],
    )

    [warning] = frontier_points(stored).warnings
    assert warning.startswith("a: in 2 of 2, b: in 1 of 1 frontier points some observation has")
