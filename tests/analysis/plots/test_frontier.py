"""A frontier on its axes: staircases, markers, limits and error bars, in both views."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import AxLine

from analysis.axes import on_axis
from analysis.frontier import frontier_points
from analysis.plots.frontier import frontier_figure, plot_frontier, plot_rate_distortion
from tests.analysis.plots.points import PAIRS


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def texts(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def staircases(axes: Axes) -> list:
    return [line for line in axes.lines if line.get_drawstyle() == "steps-pre"]


def test_it_returns_the_axes_it_drew_on_and_leaves_the_points_alone(rows, axes) -> None:
    points = frontier_points(rows(PAIRS)).points
    before = points.copy(deep=True)
    assert plot_frontier(points, axes) is axes
    pd.testing.assert_frame_equal(points, before)


def test_the_staircase_never_enters_what_no_trial_attains(rows, axes) -> None:
    """At any MI the line lies at the best NLL among trials with at least that MI."""
    points = frontier_points(rows(PAIRS)).points
    plot_frontier(points, axes)
    (staircase,) = staircases(axes)
    drawn = staircase.get_path().vertices
    for mi, nll in drawn:
        attained = points.loc[points["mi_value"] >= mi, "nll_value"].min()
        assert nll >= attained
    assert drawn[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert drawn[:, 1].tolist() == [5.6, 5.8, 5.8, 6.4, 6.4]


@pytest.mark.parametrize("n_arms", [2, 8])
def test_every_arm_has_its_colour_its_marker_and_its_name(rows, axes, n_arms: int) -> None:
    arms = [f"arm {i}" for i in range(n_arms) for _ in PAIRS]
    plot_frontier(frontier_points(rows(PAIRS * n_arms, arm=arms)).points, axes)
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [f"arm {i}" for i in range(n_arms)]
    handles = legend.legend_handles
    assert len({handle.get_color() for handle in handles}) == n_arms
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == n_arms
    assert [line.get_color() for line in staircases(axes)] == [h.get_color() for h in handles]


def test_names_are_shown_as_they_are(rows) -> None:
    stored = rows(PAIRS * 2, arm=["_a$^$"] * 4 + ["_b$^$"] * 4, experiment="_x$^$")
    figure = frontier_figure(frontier_points(stored))
    figure.draw_without_rendering()
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "_a$^$"
    assert figure.get_suptitle() == "_x$^$"


def test_axes_name_the_unit_and_the_better_direction(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS), unit="token").points, axes, unit="token")
    assert axes.get_xlabel() == "mutual information (nats per token)\nhigher is better →"
    assert "negative log-likelihood (nats per token)" in axes.get_ylabel()


def test_the_information_of_q_is_named_with_its_pool_and_its_ceiling(rows, axes) -> None:
    of_q = {"mi_q": [0.1, 1.0, 2.0, 3.4], "mi_q_se": 0.0, "mi_q_ceiling": 3.5, "observations": 33}
    frontier = frontier_points(on_axis(rows(PAIRS, **of_q), "mi_q"))
    plot_frontier(frontier.points, axes)
    assert axes.get_xlabel().startswith("MI of q, I_q(x; z), pool of 33 (nats per observation)")
    assert "ceiling of the pool: ln N = 3.5" in texts(axes)
    notes = frontier_figure(frontier).get_supxlabel()
    assert "NLL: by importance sampling, K = 100 · MI: MI of q, I_q(x; z), pool of 33" in notes


def test_floor_and_ceiling_are_drawn_where_they_are_near(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS, nll_floor=5.545, mi_ceiling=3.5)).points, axes)
    assert [text.get_text() for text in axes.texts][:2] == [
        "lowest possible NLL 5.545",
        "highest possible MI 3.5",
    ]
    dashed = [line for line in axes.lines if line.is_dashed()]
    assert [line.get_ydata()[0] for line in dashed[:1]] == [5.545]
    assert [line.get_xdata()[0] for line in dashed[1:]] == [3.5]
    assert axes.get_ylim()[0] < 5.545
    assert axes.get_xlim()[1] > 3.5


def test_a_far_floor_or_ceiling_is_told_and_does_not_squeeze_the_picture(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS, nll_floor=1.0, mi_ceiling=18.42)).points, axes)
    assert "lowest possible NLL 1 · highest possible MI 18.42" in texts(axes)
    assert not any(line.is_dashed() for line in axes.lines)
    assert axes.get_xlim()[1] < 4
    assert axes.get_ylim()[0] > 5


def test_several_ceilings_are_drawn_and_named_above(rows, axes) -> None:
    stored = rows(PAIRS, mi_ceiling=[3.5, 3.5, 3.52, 3.52])
    plot_frontier(frontier_points(stored).points, axes)
    assert "highest possible MI 3.5 · highest possible MI 3.52" in texts(axes)
    assert len([line for line in axes.lines if line.is_dashed()]) == 2


def test_ceilings_of_as_many_sizes_as_trials_are_not_drawn(rows, axes) -> None:
    stored = rows(PAIRS * 2, mi_ceiling=[3.5 + number / 8 for number in range(2 * len(PAIRS))])
    plot_frontier(frontier_points(stored).points, axes)
    assert "possible MI" not in texts(axes)
    assert not [line for line in axes.lines if line.is_dashed()]


def test_a_ceiling_of_some_arms_does_not_hide_those_that_have_none(rows, axes) -> None:
    # Codes can be listed and hold at most 1.1 nats; the other arm's latents hold more.
    stored = rows(PAIRS, arm=["codes", "b", "b", "b"], mi_ceiling=[1.1, None, None, None])
    plot_frontier(frontier_points(stored).points, axes)
    assert axes.get_xlim()[1] > 3.0
    assert "possible MI" not in texts(axes)
    assert "outside" not in texts(axes)


def test_unknown_limits_are_not_drawn(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS)).points, axes)
    assert "possible" not in texts(axes)


def test_trials_far_astray_do_not_set_the_view_and_are_counted(rows, axes) -> None:
    pairs = [*PAIRS, (1e6, 0.5), (1e300, 50.0)]  # dominated, and on the frontier
    plot_frontier(frontier_points(rows(pairs)).points, axes)
    assert axes.get_ylim()[1] < 7
    assert axes.get_xlim()[1] < 4
    assert "2 of 6 trials outside this view, 1 of them on a frontier" in texts(axes)


def test_estimates_are_hollow_only_beside_exact_values(rows) -> None:
    def faces(stored: pd.DataFrame) -> set[bool]:
        axes = plot_frontier(frontier_points(stored).points, Figure().add_subplot())
        markers = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
        return {line.get_markerfacecolor() == "white" for line in markers}

    assert faces(rows(PAIRS)) == {False}
    assert faces(rows(PAIRS, nll_exact=5.0, mi_exact=1.0)) == {False}
    exact = [5.0, None, None, None]
    assert faces(rows(PAIRS, nll_exact=exact, mi_exact=exact)) == {False, True}


def test_error_bars_are_one_standard_error(rows, axes) -> None:
    plot_frontier(frontier_points(rows([(5.0, 1.0)], nll_se=0.2, mi_se=0.1)).points, axes)
    bars = [bar.get_segments()[0] for bar in axes.collections]
    np.testing.assert_allclose(bars, [[[0.9, 5.0], [1.1, 5.0]], [[1.0, 4.8], [1.0, 5.2]]])


@pytest.mark.parametrize("pairs", [[], [(5.0, 0.0)], [(5.0, 1.0)] * 3])
def test_nothing_one_point_and_equal_points_can_be_drawn(rows, pairs) -> None:
    frontier_figure(frontier_points(rows(pairs))).draw_without_rendering()


def test_no_trial_is_said_in_the_middle_of_the_picture(rows, axes) -> None:
    plot_frontier(frontier_points(rows([])).points, axes)
    assert texts(axes) == "no finished trial to show"


def test_many_points_are_a_bitmap_without_bars(rows, axes) -> None:
    rng = np.random.default_rng(0)
    cloud = [(5.0 + nll, 1 - nll + mi) for nll, mi in rng.uniform(0, 1, size=(2_100, 2))]
    plot_frontier(frontier_points(rows(cloud, nll_se=0.1, mi_se=0.1)).points, axes)
    clouds = [line for line in axes.lines if len(line.get_xdata()) > 2_000]
    assert [line.get_rasterized() for line in clouds] == [True]
    assert all(len(bars.get_segments()) < 100 for bars in axes.collections)


def test_a_frontier_of_a_point_or_two_is_shown_among_the_others(rows) -> None:
    stored = rows([(5.0, 2.0), (5.2, 1.5), (5.4, 1.0)])
    axes = frontier_figure(frontier_points(stored)).axes[0]
    assert axes.get_ylim()[1] > 5.4


def markers(axes: Axes) -> dict[str, list[float]]:
    """The MI of the drawn points by the way their markers are filled."""
    drawn: dict[str, list[float]] = {}
    for line in axes.lines:
        if line.get_marker() not in ("None", "", None):
            filled = "faint" if (line.get_alpha() or 1) < 1 else line.get_fillstyle()
            drawn.setdefault(filled, []).extend(line.get_xdata())
    return {filled: sorted(mi) for filled, mi in drawn.items()}


def test_ambiguous_points_are_half_filled_and_the_staircase_is_that_of_the_estimates(
    rows, axes
) -> None:
    stored = rows([*PAIRS, (5.9, 1.9)], nll_se=[0.01, 0.1, 0.01, 0.01, 0.1])
    points = frontier_points(stored).points
    plot_frontier(points, axes)
    assert markers(axes) == {"full": [1.0, 2.0, 3.0], "faint": [1.5], "bottom": [1.9]}
    [staircase] = staircases(axes)
    assert staircase.get_xdata().tolist() == [1.0, 2.0, 3.0]


def test_rate_and_distortion_add_up_to_the_nll(rows, axes) -> None:
    stored = rows([(5.0, 1.0)], nll_se=0.2, mi_se=0.1, nll_mi_covariance=0.0025)
    assert plot_rate_distortion(frontier_points(stored).points, axes) is axes
    bars = [bar.get_segments()[0] for bar in axes.collections]
    error = math.sqrt(0.04 + 0.01 - 2 * 0.0025)
    np.testing.assert_allclose(
        bars, [[[0.9, 4.0], [1.1, 4.0]], [[1.0, 4.0 - error], [1.0, 4.0 + error]]]
    )
    assert axes.get_ylabel() == "distortion: NLL − rate (nats per observation)"
    assert "rate: mutual information under the model" in axes.get_xlabel()


def test_the_frontier_of_rate_and_distortion_keeps_its_nll_between_points(rows, axes) -> None:
    plot_rate_distortion(frontier_points(rows(PAIRS)).points, axes)
    [line] = [line for line in axes.lines if line.get_linestyle() == "-"]
    rate, distortion = line.get_xdata(), line.get_ydata()
    np.testing.assert_allclose(rate, [1, 1, 2, 2, 3])
    np.testing.assert_allclose(rate + distortion, [5.6, 5.8, 5.8, 6.4, 6.4])


def test_the_lowest_possible_nll_is_a_diagonal_of_rate_and_distortion(rows, axes) -> None:
    plot_rate_distortion(frontier_points(rows(PAIRS, nll_floor=5.5)).points, axes)
    [floor] = [line for line in axes.lines if isinstance(line, AxLine)]
    assert (floor.get_xy1(), floor.get_slope()) == ((0.0, 5.5), -1.0)
    assert "dashed diagonal: lowest possible NLL 5.5" in texts(axes)
