import pytest
from matplotlib.figure import Figure

from analysis.frontier import frontier_points
from analysis.plots.paper import SIZE, paper_figure, plot_paper
from tests.analysis.plots.points import PAIRS


def test_only_optimal_points_are_joined_by_straight_lines(rows) -> None:
    axes = Figure().add_subplot()
    assert plot_paper(frontier_points(rows(PAIRS)).points, axes) is axes
    [line] = axes.lines
    assert line.get_drawstyle() == "default"
    assert line.get_xydata().tolist() == [[1.0, 5.6], [2.0, 5.8], [3.0, 6.4]]


def test_the_figure_is_for_one_column_and_has_no_title(rows) -> None:
    figure = paper_figure(frontier_points(rows(PAIRS), unit="token"))
    [axes] = figure.axes
    assert tuple(figure.get_size_inches()) == SIZE
    assert (figure.get_suptitle(), axes.get_title(), figure.get_supxlabel()) == ("", "", "")
    assert axes.get_xlabel() == "latent usage: MI (nats per token)"
    assert axes.get_ylabel() == "NLL (nats per token)"


def test_points_outside_the_view_are_counted(rows) -> None:
    figure = paper_figure(frontier_points(rows([*PAIRS, (1e6, 9.0)])))
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert "1 of 4 trials outside this view, 1 of them on a frontier" in shown


@pytest.mark.parametrize("n_arms", [1, 8])
@pytest.mark.parametrize("pairs", [[], [(5.0, 0.0)], PAIRS])
def test_nothing_one_point_and_many_arms_can_be_drawn(rows, pairs, n_arms: int) -> None:
    arms = [f"arm {i}" for i in range(n_arms) for _ in pairs]
    figure = paper_figure(frontier_points(rows(pairs * n_arms, arm=arms)))
    figure.draw_without_rendering()
