import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.frontier import frontier_points
from analysis.plots.frontier import frontier_figure

LOW = [(5.6, 1.0), (5.7, 2.0), (5.9, 3.0)]
HIGH = [(5.6, 1.1), (6.2, 2.0), (6.8, 3.0)]


def figure_of(rows, pairs: list[tuple[float, float]], arm: list[str]) -> Figure:
    figure = frontier_figure(frontier_points(rows(pairs, arm=arm)))
    figure.draw_without_rendering()
    return figure


def names(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_frontiers_with_room_at_their_ends_are_named_there_in_their_colour(rows) -> None:
    [axes] = figure_of(rows, LOW + HIGH, ["low$"] * 3 + ["_high"] * 3).axes
    assert axes.get_legend() is None
    assert names(axes) == ["_high", "low$"]
    by_name = {text.get_text(): text for text in axes.texts}
    lines = [line for line in axes.lines if line.get_drawstyle() == "steps-pre"]
    assert [by_name[name].get_color() for name in names(axes)] == [
        line.get_color() for line in lines
    ]


def test_names_touch_neither_points_nor_each_other_nor_the_border(rows) -> None:
    arms = ["low"] * 3 + ["high"] * 3 + ["middle"] * 3
    figure = figure_of(rows, [*LOW, *HIGH, (5.6, 1.05), (6.0, 2.1), (6.3, 2.9)], arms)
    [axes] = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) == 3
    dots = axes.transData.transform([(mi, nll) for nll, mi in LOW + HIGH])
    for index, box in enumerate(boxes):
        assert not any(box.contains(*dot) for dot in dots)
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])
        assert axes.bbox.x0 <= box.x0
        assert box.x1 <= axes.bbox.x1


@pytest.mark.parametrize(
    ("pairs", "arm"),
    [
        pytest.param(LOW * 2, ["a"] * 3 + ["b"] * 3, id="one end"),
        pytest.param(LOW, ["a_name_as_long_as_a_name_of_a_run: and_of_its_arm"] * 3, id="long"),
    ],
)
def test_where_a_name_does_not_fit_all_are_in_the_legend(rows, pairs, arm) -> None:
    [axes] = figure_of(rows, pairs, arm).axes
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == sorted(set(arm))
    assert names(axes) == []
