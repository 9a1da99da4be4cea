"""What pictures of meters draw, read off their axes."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.frontier import frontier_points
from analysis.meters import LOWEST_EPSILON, activity_curves, collapse_curves
from analysis.plots.meters import (
    accuracy_figure,
    collapse_figure,
    plot_accuracy,
    plot_activity,
    plot_collapse,
)

Rows = Callable[..., pd.DataFrame]


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def curves(epsilons: list[float], variances: list[float]) -> pd.DataFrame:
    columns = {"label": "a", "trial_id": "t", "epsilon": epsilons, "mean_variance": variances}
    return pd.DataFrame(columns)


def height(axes: Axes, x: float) -> float:
    """The height of the first line at x, as it is drawn."""
    line = axes.lines[0]
    at, heights = (np.asarray(part, dtype=float) for part in line.get_data())
    if line.get_drawstyle() == "steps-post":
        return float(heights[np.searchsorted(at, x, side="right") - 1])
    return float(heights[np.searchsorted(at, x, side="left")])


def test_the_curve_is_drawn_as_the_staircase_it_is(axes: Axes) -> None:
    plot_collapse(collapse_curves(curves([1e-9, 0.01, 0.01, 2.0], [0.0] * 4)), axes)

    left, right = axes.get_xlim()
    assert (left, right) == (LOWEST_EPSILON, 4.0)
    heights = {x: height(axes, x) for x in (left, 0.0099, 0.0101, 1.99, 2.01, right)}
    assert list(heights.values()) == [0.25, 0.25, 0.75, 0.75, 1.0, 1.0]
    assert axes.get_xscale() == "log"


def test_a_curve_begins_at_nothing(axes: Axes) -> None:
    plot_collapse(collapse_curves(curves([0.5], [0.0])), axes)

    assert [height(axes, x) for x in (LOWEST_EPSILON, 0.49, 0.51)] == [0.0, 0.0, 1.0]


def test_activity_falls_to_nothing(axes: Axes) -> None:
    plot_activity(activity_curves(curves([0.0] * 4, [0.0, 0.001, 0.5, 0.5])), axes)

    left, right = axes.get_xlim()
    assert left < 0.001
    heights = [height(axes, x) for x in (left, 0.00099, 0.0011, 0.01, 0.499, 0.501, right)]
    assert heights == [3.0, 3.0, 2.0, 2.0, 2.0, 0.0, 0.0]
    [threshold] = axes.lines[1].get_xdata()[:1]
    assert threshold == 0.01


def test_latents_that_do_not_move_have_a_flat_curve(axes: Axes) -> None:
    plot_activity(activity_curves(curves([0.0, 0.0], [0.0, 0.0])), axes)

    assert height(axes, 0.01) == 0.0


def test_without_variances_there_is_one_picture() -> None:
    table = curves([0.1], [np.nan])
    title = pd.DataFrame({"experiment": ["e"]})

    for given, n in ((table, 1), (table.assign(mean_variance=1.0), 2)):
        figure = collapse_figure(collapse_curves(given), activity_curves(given), title, ["note"])
        assert len(figure.axes) == n


@pytest.fixture
def points(rows: Rows) -> pd.DataFrame:
    """Two trials on the frontier and one that is not."""
    accuracy = {"probe_accuracy": [0.5, 0.75, 0.9], "probe_accuracy_se": 0.01}
    knn = {"knn_accuracy": [0.4, 0.5, 0.6], "knn_accuracy_se": 0.02, "probe_chance": 0.1}
    stored = rows([(2.0, 1.0), (3.0, 2.0), (4.0, 0.5)], **accuracy, **knn)
    return frontier_points(stored).points


def test_accuracy_is_drawn_against_information_with_its_error(
    axes: Axes, points: pd.DataFrame
) -> None:
    plot_accuracy(points, axes, "probe_accuracy", "observation")
    dominated, frontier, *_, chance = axes.lines

    assert dominated.get_alpha() == 0.35
    assert frontier.get_alpha() == 0.95
    assert np.transpose(dominated.get_data()).tolist() == [[0.5, 0.9]]
    assert np.transpose(frontier.get_data()).tolist() == [[1.0, 0.5], [2.0, 0.75]]
    bars = axes.containers[1][2][0].get_segments()  # type: ignore[index]
    np.testing.assert_allclose(bars[0], [[1.0, 0.49], [1.0, 0.51]])
    assert chance.get_ydata()[0] == 0.1


def test_both_accuracies_share_an_axis(points: pd.DataFrame) -> None:
    left, right = accuracy_figure(points, "observation", ["note"]).axes

    assert left.get_ylabel() == "accuracy, linear probe"
    assert right.get_ylabel() == "accuracy, k nearest neighbours"
    assert left.get_ylim() == right.get_ylim()


def test_every_arm_is_in_the_legend_by_its_name() -> None:
    table = pd.concat([curves([0.1], [0.5]).assign(label=label) for label in ("a$b$", "c" * 80)])
    made = collapse_curves(table), activity_curves(table), pd.DataFrame({"experiment": ["e"]})
    [legend] = collapse_figure(*made, ["note"]).legends

    assert [text.get_text() for text in legend.get_texts()] == ["a$b$", f"{'c' * 19}…{'c' * 20}"]
    assert [bool(text.get_parse_math()) for text in legend.get_texts()] == [False, False]
