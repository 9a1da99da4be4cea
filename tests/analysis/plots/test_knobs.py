from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.collapse import collapse_by_knob
from analysis.frontier import frontier_points
from analysis.plots.knobs import knobs_figure, on_log_scale, plot_collapsed, plot_knob

Rows = Callable[..., pd.DataFrame]
N = 10


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


@pytest.fixture
def points(rows: Rows) -> pd.DataFrame:
    """Two arms of five trials with two knobs, of which the first arm has only one."""
    pairs = [(5.0 + 0.1 * i, 0.5 * i) for i in range(N)]
    stored = rows(pairs, arm=["a"] * 5 + ["b"] * 5, mi_ceiling=8.0)
    rate = np.geomspace(1e-4, 1e-2, N)
    alpha = [np.nan] * 5 + [2.0, 3.0, 5.0, 7.0, 9.0]
    return frontier_points(stored.assign(**{"k.rate": rate, "k.alpha": alpha})).points


@pytest.mark.parametrize(
    ("values", "declared", "log"),
    [
        ([1e-4, 1e-2], False, False),  # two decades are not more than two
        ([1e-4, 1.1e-2], False, True),
        ([1.0, 2.0], True, True),
        ([-0.05, 0.99], True, False),
        ([0.0, 1e3], True, False),
        ([np.nan, np.nan], True, False),
    ],
)
def test_an_axis_is_logarithmic_over_decades_or_as_declared(
    values: list[float], declared: bool, log: bool
) -> None:
    assert on_log_scale(pd.Series(values), declared) is log


def test_every_trial_is_drawn_and_the_points_stay_as_they_are(
    points: pd.DataFrame, axes: Axes
) -> None:
    before = points.copy(deep=True)
    assert plot_knob(points, axes, "k.rate", "nll_value", log=True) is axes
    pd.testing.assert_frame_equal(points, before)
    drawn = np.concatenate([line.get_xydata() for line in axes.lines])
    expected = points[["k.rate", "nll_value"]].to_numpy()
    np.testing.assert_allclose(sorted(map(tuple, drawn)), sorted(map(tuple, expected)))
    assert axes.get_xscale() == "log"


def test_a_trial_far_above_is_out_of_view_and_counted(points: pd.DataFrame, axes: Axes) -> None:
    points.loc[0, "nll_value"] = 1e6
    plot_knob(points, axes, "k.rate", "nll_value")

    assert axes.get_ylim()[1] < 10
    assert [text.get_text() for text in axes.texts] == ["1 of 10 trials above"]


def test_arms_keep_their_colours_where_only_some_have_the_knob(
    points: pd.DataFrame, axes: Axes
) -> None:
    shares = collapse_by_knob(points, "k.alpha", "observation")
    plot_knob(points[points["label"] == "b"].assign(label="b"), axes, "k.alpha", "nll_value")
    plot_collapsed(shares, axes, "k.alpha", points["label"])
    both = Figure().add_subplot()
    plot_knob(points, both, "k.alpha", "nll_value")

    colours = {line.get_color() for line in both.lines if np.isfinite(line.get_xdata()).any()}
    marks = [c.lines[0] for c in axes.containers if len(c.lines[0].get_xdata())]
    assert {mark.get_color() for mark in marks} == colours


def test_shares_lie_within_their_parts(points: pd.DataFrame, axes: Axes) -> None:
    shares = collapse_by_knob(points, "k.rate", "observation", log=True)
    plot_collapsed(shares, axes, "k.rate", points["label"], log=True)

    marks = [container.lines[0].get_xydata() for container in axes.containers]
    drawn = np.concatenate(marks)
    np.testing.assert_allclose(drawn[:, 1], shares["share"])
    assert (shares["low"].to_numpy() < drawn[:, 0]).all()
    assert (drawn[:, 0] < shares["high"].to_numpy()).all()


def test_the_figure_has_a_column_for_every_knob(points: pd.DataFrame) -> None:
    figure = knobs_figure(points, "token", log=["k.alpha"], footer=["run: x$y$"])

    named = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert named == ["k.rate", "k.alpha"]
    assert figure.axes[0].get_ylabel() == "NLL (nats per token)"
    assert "run: x$y$" in figure.get_supxlabel()
    assert "MI below 0.08 nats per token" in figure.get_supxlabel()
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_many_knobs_go_below_each_other_and_all_are_drawn(points: pd.DataFrame, tmp_path) -> None:
    knobs = {f"k.{i}": np.linspace(0, 1 + i, N) for i in range(6)}
    figure = knobs_figure(points.drop(columns=["k.rate", "k.alpha"]).assign(**knobs), "token")

    named = {axes.get_xlabel() for axes in figure.axes} - {""}
    assert named == set(knobs)
    figure.savefig(tmp_path / "knobs.svg")
    ElementTree.parse(tmp_path / "knobs.svg")


def test_without_a_numeric_knob_there_is_nothing_to_draw(points: pd.DataFrame) -> None:
    plain = points.drop(columns=["k.rate", "k.alpha"])
    with pytest.raises(ValueError, match="no numeric knob was swept"):
        knobs_figure(plain.assign(**{"k.choice": ["x", "y"] * 5}), "token")
