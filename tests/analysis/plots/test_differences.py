"""Panels of many sides against one, read off their axes."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from analysis.comparison import Comparison, compare
from analysis.membership import Estimates
from analysis.plots.differences import differences_figure, plot_panel
from analysis.plots.style import COLOURS
from analysis.resampling import Side


def side(number: int, shift: float, name: str, n: int = 12, start: float = 0.0) -> Side:
    generator = np.random.default_rng(number)
    mi = start + generator.uniform(0, 5, n)
    nll = 5 + shift + 0.02 * mi**2 + 0.2 * generator.exponential(size=n)
    exact = np.zeros(n)
    return Side(name, Estimates(nll, mi, exact, exact, exact), np.arange(n))


BASELINE = side(99, 0.0, "$base_")


def comparisons(*shifts: float, names: list[str] | None = None) -> list[Comparison]:
    names = names or [f"_side${number}" for number in range(len(shifts))]
    return [
        compare(side(number, shift, name), BASELINE, below=True, n_replicates=50)
        for number, (shift, name) in enumerate(zip(shifts, names, strict=True))
    ]


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def curves(axes: Axes, colour: str) -> list[np.ndarray]:
    drawn = [line for line in axes.lines if to_rgba(line.get_color()) == to_rgba(colour)]
    return [np.asarray(line.get_ydata()) for line in drawn if len(line.get_xdata()) > 2]


def test_a_panel_has_its_curve_the_others_behind_it_and_its_ranges() -> None:
    better, same, worse = comparisons(-2.0, 0.0, 2.0)
    for one, others, colour in (
        (better, [same, worse], COLOURS[0]),
        (worse, [better, same], COLOURS[1]),
    ):
        axes = plot_panel(one, others, Figure().add_subplot())
        [curve] = curves(axes, "black")
        np.testing.assert_array_equal(curve, one.curve["difference"])
        for behind, other in zip(curves(axes, "0.78"), others, strict=True):
            np.testing.assert_array_equal(behind, other.curve["difference"])
        assert {patch.get_facecolor()[:3] for patch in axes.patches} == {to_rgba(colour)[:3]}
        decided = [verdict.mi for verdict in one.verdicts if verdict.outcome in ("a", "b")]
        spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
        np.testing.assert_allclose(spans, decided)


def test_bands_are_pointwise_and_simultaneous() -> None:
    [one] = comparisons(0.0)
    axes = plot_panel(one, [], Figure().add_subplot())
    known = one.curve.dropna()
    heights = [band.get_paths()[0].get_extents() for band in axes.collections]
    assert [height.y1 for height in heights] == [
        pytest.approx(known[column].max()) for column in ("simultaneous_upper", "upper")
    ]


@pytest.mark.parametrize(("n", "shape"), [(2, (1, 2)), (5, (2, 3)), (10, (3, 4)), (11, (3, 4))])
def test_every_side_has_a_panel_with_its_name_on_axes_they_share(n, shape) -> None:
    figure = differences_figure(comparisons(*[0.1] * n), "token", "title", ["run: r"])
    found = panels(figure)
    assert [axes.get_title(loc="left") for axes in found] == [f"_side${k}" for k in range(n)]
    grid = found[0].get_gridspec()
    assert (grid.nrows - 1, grid.ncols) == shape
    assert (
        len({axes.get_xlim() for axes in found}) == len({axes.get_ylim() for axes in found}) == 1
    )
    assert "of $base_ (nats per token)" in figure.get_supylabel()
    assert "(nats per token)" in found[-1].get_xlabel()
    footer = " ".join(figure.get_supxlabel().split())
    assert "no band: fewer than" in footer
    assert footer.endswith("run: r")


def test_every_column_has_numbers_below_its_last_panel() -> None:
    figure = differences_figure(comparisons(*[0.1] * 10), "token", "title", [])
    numbered = [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels(figure)]
    assert numbered == [False] * 6 + [True] * 4


def test_a_side_far_off_does_not_set_the_view_and_is_told() -> None:
    found = panels(differences_figure(comparisons(0.1, 0.2, -0.1, 400.0), "token", "title", []))
    assert found[0].get_ylim()[1] < 10
    said = [[text.get_text() for text in axes.texts] for axes in found]
    assert said[:3] == [[], [], []]
    [text] = said[3]
    assert text.startswith("▲ +400")


def test_no_common_information_can_be_drawn() -> None:
    apart = compare(side(1, 0.0, "a", start=9.0), BASELINE, n_replicates=10)
    figure = differences_figure([apart, apart], "token", "title", [])
    figure.draw_without_rendering()
    assert {axes.texts[0].get_text() for axes in panels(figure)} == {
        "no MI at which both have a model"
    }


@pytest.mark.parametrize("n", [2, 10])
def test_nothing_overlaps_or_is_cut_even_with_long_names(n: int) -> None:
    names = [f"a_long_run_name_of_the_quickstart: arm {k} of " + "many" * 9 for k in range(n)]
    compared = [one._replace(b="b" * 80) for one in comparisons(*[0.3] * n, names=names)]
    figure = differences_figure(compared, "observation", "a title " * 12, ["run: " + "r" * 150])
    figure.draw_without_rendering()
    found = panels(figure)
    [legend] = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    titles = [axes._left_title for axes in found]
    labels = [axes.xaxis.label for axes in found if axes.get_xlabel()]
    boxes = [part.get_window_extent() for part in (*figure.texts, legend, *titles, *labels)]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        others = [*boxes[index + 1 :], *(axes.bbox for axes in found)]
        assert not any(box.overlaps(other) for other in others)
    assert all(axes.bbox.height > 100 for axes in found)
