import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.frontier import Frontier, frontier_points
from analysis.plots.training import plot_bound, plot_training, save_training, training_figure
from analysis.training import training_curves

PAIRS = [(6.0, 0.5), (5.5, 1.0), (7.0, 0.1), (6.5, 0.2)]


@pytest.fixture
def trained(rows) -> tuple[pd.DataFrame, Frontier]:
    """Two trials with two evaluations each; the second one ends dominated."""
    stored = rows(
        PAIRS,
        trial_id=["t0", "t0", "t1", "t1"],
        step=[50, 100, 50, 100],
        final=[False, True] * 2,
        status=["running", "done"] * 2,
        arm=["a", "a", "a", "a"],
    )
    frontier = frontier_points(stored)
    return training_curves(stored, frontier), frontier


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("nll", [[6.0, 5.5], [7.0, 6.5]]), ("mi", [[0.5, 1.0], [0.1, 0.2]])],
)
def test_a_line_per_trial_and_optimal_ones_are_bold(trained, quantity, expected) -> None:
    axes = Figure().add_subplot()
    assert plot_training(trained[0], axes, quantity) is axes
    assert [line.get_ydata().tolist() for line in axes.lines] == expected
    assert [line.get_xdata().tolist() for line in axes.lines] == [[50, 100]] * 2
    bold, faint = axes.lines
    assert bold.get_linewidth() > faint.get_linewidth()
    assert bold.get_alpha() > faint.get_alpha()


def test_axes_name_quantity_and_unit(trained) -> None:
    axes = plot_training(trained[0], Figure().add_subplot(), "mi", "token")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimiser steps", "MI (nats per token)")


def test_the_information_that_is_drawn_is_named(trained) -> None:
    axes = plot_training(trained[0].assign(mi_axis="mi_q"), Figure().add_subplot(), "mi")
    assert axes.get_ylabel() == "MI of q (nats per observation)"


def test_evaluations_far_astray_are_counted(trained) -> None:
    curves = trained[0].assign(nll_value=[1e9, 5.5, 7.0, 6.5])
    axes = plot_training(curves, Figure().add_subplot(), "nll")
    assert axes.get_ylim()[1] < 8
    assert [text.get_text() for text in axes.texts] == ["1 of 4 evaluations outside this view"]


def test_the_figure_tells_where_it_comes_from(trained) -> None:
    figure = training_figure(*trained)
    figure.draw_without_rendering()
    assert figure.get_suptitle() == "an_experiment"
    assert "a line per trial, bold where it ends on the frontier" in figure.get_supxlabel()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a"]


def test_files_hold_the_evaluations_and_the_picture(trained, tmp_path: Path) -> None:
    paths = save_training(*trained, tmp_path)
    assert [path.name for path in paths] == [
        f"training.{kind}" for kind in ("csv", "pdf", "png", "svg")
    ]
    written = pd.read_csv(paths[0])
    assert written[["step", "nll_value"]].to_numpy().tolist() == [
        [50, 6.0],
        [100, 5.5],
        [50, 7.0],
        [100, 6.5],
    ]


def test_evaluations_without_a_value_are_left_out(rows) -> None:
    stored = rows([(6.0, 0.5), (math.nan, np.nan)], step=[50, 100], status="diverged")
    curves = training_curves(stored, frontier_points(stored))
    assert curves["step"].tolist() == [50]


@pytest.fixture
def bounded(rows) -> tuple[pd.DataFrame, Frontier]:
    """The same with a contrast's bound, but for one evaluation, and a second ceiling."""
    stored = rows(
        PAIRS,
        trial_id=["t0", "t0", "t1", "t1"],
        step=[50, 100, 50, 100],
        final=[False, True] * 2,
        status=["running", "done"] * 2,
        critic_bound=[-5.0, 0.4, None, 3.0],
        critic_ceiling=[3.5, 3.5, None, 8.0],
    )
    frontier = frontier_points(stored)
    return training_curves(stored, frontier), frontier


def test_the_bound_of_a_contrast_is_dashed_and_its_ceilings_dotted(bounded) -> None:
    axes = plot_bound(bounded[0], Figure().add_subplot())
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata().tolist() for line in dashed] == [[-5.0, 0.4], [3.0]]
    assert [line.get_xdata().tolist() for line in dashed] == [[50, 100], [100]]
    assert dashed[0].get_alpha() > dashed[1].get_alpha()
    dotted = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == [3.5, 8.0]
    low, high = axes.get_ylim()  # from 0, whatever the bound begins at, to 3
    assert -0.3 < low < 0 < 3 < high < 3.3


def test_the_figure_has_the_bound_where_there_is_one(trained, bounded) -> None:
    for (curves, frontier), has_it in ((trained, False), (bounded, True)):
        figure = training_figure(curves, frontier)
        upper, lower = figure.axes
        assert all(line.get_linestyle() == "-" for line in upper.lines)
        assert any(line.get_linestyle() == "--" for line in lower.lines) == has_it
        assert ("dashed: the bound" in figure.get_supxlabel()) == has_it


def test_a_bound_per_observation_is_not_drawn_per_token(bounded) -> None:
    curves, frontier = bounded
    figure = training_figure(curves, frontier._replace(unit="token"))
    assert all(line.get_linestyle() == "-" for line in figure.axes[1].lines)
