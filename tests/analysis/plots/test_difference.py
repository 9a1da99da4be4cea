import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.comparison import Comparison, compare
from analysis.indicators import BUDGETS, budget_curve, reference
from analysis.membership import Estimates
from analysis.plots.difference import (
    budget_figure,
    difference_figure,
    plot_budget,
    plot_difference,
)
from analysis.resampling import Side


def side(n: int, shift: float, name: str, start: float = 0.0) -> Side:
    generator = np.random.default_rng(n)
    mi = start + generator.uniform(0, 5, n)
    nll = shift + 0.02 * mi**2 + 0.2 * generator.exponential(size=n)
    exact = np.zeros(n)
    return Side(name, Estimates(nll, mi, exact, exact, exact), np.arange(n))


def comparison(
    hull: bool = False, shift: float = 1.0, n: int = 40, name: str = "$b_"
) -> Comparison:
    return compare(side(n, 5.0, "_a"), side(n + 1, 5.0 + shift, name), hull=hull, n_replicates=100)


def texts(figure: Figure) -> str:
    [axes] = figure.axes
    return "\n".join(text.get_text() for text in axes.texts)


def test_the_curve_is_drawn_as_it_is_between_its_points() -> None:
    for hull, style in ((False, "steps-pre"), (True, "default")):
        found = comparison(hull)
        axes = plot_difference(found, Figure().add_subplot())
        [line] = [line for line in axes.lines if line.get_label() == "observed"]
        assert line.get_drawstyle() == style
        np.testing.assert_array_equal(line.get_ydata(), found.curve["difference"])


def test_both_directions_are_named_as_the_sides_are() -> None:
    said = texts(difference_figure(comparison(), "token", "title", []))
    assert said == "↑ $b_ fits better\n↓ _a fits better"


def test_decided_ranges_have_the_colour_of_the_better_side() -> None:
    def shaded(found: Comparison) -> set[tuple[float, ...]]:
        axes = plot_difference(found, Figure().add_subplot())
        return {patch.get_facecolor()[:3] for patch in axes.patches}

    better, worse = shaded(comparison(shift=1.0)), shaded(comparison(shift=-1.0))
    assert len(better) == len(worse) == 1
    assert better != worse
    assert shaded(comparison(shift=0.0, n=12)) == set()


def test_the_figure_says_how_to_read_it_and_where_it_comes_from() -> None:
    figure = difference_figure(comparison(), "token", "a against b", ["run: r"])
    footer = " ".join(figure.get_supxlabel().split())
    assert footer.startswith("difference of staircases")
    assert footer.endswith("run: r")
    assert "nats per token" in figure.axes[0].get_xlabel()
    hull = difference_figure(comparison(hull=True), "token", "a against b", [])
    assert "which nobody trained" in " ".join(hull.get_supxlabel().split())


@pytest.mark.parametrize(
    ("n", "start", "said"),
    [(2, 9.0, "no MI at which both have a model"), (1, 0.0, "fits better"), (2, 0.0, "better")],
)
def test_no_overlap_and_few_points_can_be_drawn(n: int, start: float, said: str) -> None:
    one = side(n, 5.0, "a")
    other = one._replace(name="b", estimates=one.estimates._replace(mi=one.mi + start))
    figure = difference_figure(compare(one, other, n_replicates=10), "token", "title", [])
    figure.draw_without_rendering()
    assert said in texts(figure)


def test_nothing_overlaps_or_is_cut_even_with_long_names() -> None:
    found = comparison(name="a_long_run_name_of_the_quickstart: arm number 1 of a few")
    figure = difference_figure(found, "observation", "a title " * 12, ["run: " + "r" * 150])
    figure.draw_without_rendering()
    [axes] = figure.axes
    parts = [*figure.texts, axes.get_legend(), axes.xaxis.label, axes.yaxis.label, *axes.texts]
    boxes = [part.get_window_extent() for part in parts]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def budgets(n_more: int = 0) -> dict:
    found = {}
    more = [side(14 + number, 5.2, f"$more {number}") for number in range(n_more)]
    sides = [side(12, 5.0, "_a"), side(13, 5.1, "$b_"), *more]
    for of, cost in zip(sides, (100.0, 1_600.0, *[800.0] * n_more), strict=True):
        n = len(of.nll)
        trials = pd.DataFrame(
            {
                "trial_id": [str(i) for i in range(n)],
                "created_at": pd.to_datetime(np.arange(n), unit="s", utc=True),
                "seconds": cost,
                "gradient_evaluations": cost * 1e6,
                "encoder_passes": cost * 1e5,
                "decoder_passes": cost * 2e5,
                "nll_value": of.nll,
                "mi_value": of.mi,
            }
        )
        found[of.name] = budget_curve(trials, reference(*sides))
    return found


def test_a_budget_starts_from_nothing_and_the_common_one_is_marked() -> None:
    found = budgets()
    for budget in BUDGETS:
        axes = plot_budget(found, budget, Figure().add_subplot())
        *drawn, common = axes.lines
        for line, curve in zip(drawn, found.values(), strict=True):
            assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)
            assert line.get_ydata()[-1] == curve["hypervolume"].iloc[-1]
        assert common.get_xdata()[0] == min(curve[budget].iloc[-1] for curve in found.values())


def test_budgets_are_side_by_side_with_both_names() -> None:
    figure = budget_figure(budgets(), "title", ["run: r"])
    figure.draw_without_rendering()
    assert len(figure.axes) == len(BUDGETS)
    shorter = {name: curve.drop(columns="encoder_passes") for name, curve in budgets().items()}
    assert len(budget_figure(shorter, "title", []).axes) == len(BUDGETS) - 1
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_a", "$b_"]


def test_budgets_of_many_sides_are_told_apart_and_named_beside_the_panels() -> None:
    found = budgets(n_more=9)
    figure = budget_figure(found, "title", ["run: r"])
    figure.draw_without_rendering()
    for axes in figure.axes:
        *drawn, _ = axes.lines
        assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 11
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(found)
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
    assert not any(box.overlaps(axes.bbox) for axes in figure.axes)
    assert "all have spent" in figure.get_supxlabel()
