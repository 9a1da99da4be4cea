"""A panel for each arm, read off its axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from analysis.attainment import seed_attainment
from analysis.frontier import Frontier, frontier_points
from analysis.plots.arms import OTHERS
from analysis.plots.frontier import figure_notes, frontier_figure, plot_frontier
from analysis.plots.style import looks

ARMS = [f"arm$ {number:02}" for number in range(11)]


@pytest.fixture
def frontier(rows) -> Frontier:
    generator = np.random.default_rng(0)
    pairs = [(5 + 0.1 * mi**2 + noise, mi) for mi, noise in generator.uniform(0, 5, (110, 2))]
    seeds = [number // 11 % 2 for number in range(110)]
    stored = rows(pairs, arm=ARMS * 10, seed=seeds, nll_floor=4.9, mi_ceiling=5.5, mi_se=0.01)
    return frontier_points(stored)


def coloured(axes: Axes, colour: str) -> list[np.ndarray]:
    staircases = [line for line in axes.lines if line.get_drawstyle() == "steps-pre"]
    return [
        np.asarray(line.get_xydata())
        for line in staircases
        if to_rgba(line.get_color()) == to_rgba(colour)
    ]


def test_every_arm_has_a_panel_with_its_frontier_and_band_before_the_others(
    frontier: Frontier,
) -> None:
    surfaces = seed_attainment(frontier.points).assign(band="seeds")
    surfaces = surfaces[surfaces["label"] != ARMS[3]]
    figure = frontier_figure(frontier, view="panels", attainment=surfaces)
    look = looks(ARMS)
    points = frontier.points
    assert [axes.get_title(loc="left") for axes in figure.axes] == ARMS
    for axes, arm in zip(figure.axes, ARMS, strict=True):
        own = points[(points["label"] == arm) & points["on_frontier"]].sort_values("mi_value")
        [staircase] = coloured(axes, look[arm].colour)
        np.testing.assert_array_equal(staircase, own[["mi_value", "nll_value"]])
        assert len(coloured(axes, OTHERS)) == len(ARMS) - 1
        bands = [patch.get_facecolor()[:3] for patch in axes.patches]
        assert bands == ([] if arm == ARMS[3] else [to_rgba(look[arm].colour)[:3]])

    # They show what one picture does.
    whole = plot_frontier(points, Figure().add_subplot())
    assert {axes.get_ylim() for axes in figure.axes} == {whole.get_ylim()}
    assert {axes.get_xlim() for axes in figure.axes} == {whole.get_xlim()}
    assert "nats per observation" in figure.get_supylabel()


def test_the_notes_say_how_to_read_them(frontier: Frontier) -> None:
    text = " ".join(figure_notes(frontier, view="panels"))
    assert "light grey: the frontiers of the other arms" in text
    assert "lowest possible NLL 4.9" in text
    assert "dashed upright: the MI ceiling of that arm" in text
    sizes = frontier.points.assign(ceiling=[float(5 + number) for number in range(110)])
    undrawn = figure_notes(frontier._replace(points=sizes), view="panels")
    assert "dashed upright" not in " ".join(undrawn)
    far = pd.concat([frontier.points, frontier.points[:1].assign(nll_value=1e4)])
    assert "1 of 111 trials outside this view" in " ".join(
        figure_notes(frontier._replace(points=far), view="panels")
    )


def test_one_arm_can_be_drawn(rows) -> None:
    figure = frontier_figure(frontier_points(rows([(5.0, 1.0), (6.0, 2.0)])), view="panels")
    figure.draw_without_rendering()
    assert len(figure.axes) == 1
