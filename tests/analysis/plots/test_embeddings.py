"""Maps as they are drawn: a panel a trial, a colour a class."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.plots.embeddings import embeddings_figure, label_colours, plot_embedding
from analysis.plots.style import COLOURS, GREY

TITLE = pd.DataFrame({"experiment": ["e"]})


def a_map(name: str = "arm", classes: list[int | None] | None = None) -> pd.DataFrame:
    classes = [0, 1, 1, 0] if classes is None else classes
    n = len(classes)
    places = {"x": np.arange(n, dtype=float), "y": np.ones(n)}
    return pd.DataFrame({"name": name, "class": pd.array(classes, "Int64"), **places})


@pytest.mark.parametrize("n", [1, 8, 9, 20, 21, 1000])
def test_every_class_has_its_own_colour(n: int) -> None:
    colours = label_colours(list(range(n)) * 2)

    assert list(colours) == list(range(n))
    if n <= 20:
        assert len(set(colours.values())) == n
    if n <= len(COLOURS):
        assert list(colours.values()) == list(COLOURS[:n])


def test_places_have_the_colour_of_their_class_and_grey_without_one() -> None:
    axes = Figure().add_subplot()
    plot_embedding(a_map(classes=[3, None, 3]), axes, {3: "#ff0000"})
    [places] = axes.collections

    assert np.asarray(places.get_offsets()).tolist() == [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    shades = [to_hex(shade) for shade in places.get_facecolor()]  # type: ignore[attr-defined]
    assert shades == ["#ff0000", to_hex(to_rgba(GREY)), "#ff0000"]


def test_there_is_a_panel_for_each_trial_and_one_legend_of_the_classes() -> None:
    maps = pd.concat([a_map(f"arm {number}") for number in range(5)])
    figure = embeddings_figure(maps, TITLE, ["note"])

    assert [axes.get_title() for axes in figure.axes][:5] == [f"arm {n}" for n in range(5)]
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False] * 3
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1"]


@pytest.mark.parametrize("classes", [[None] * 3, list(range(21))])
def test_no_classes_or_too_many_have_no_legend(classes: list[int | None]) -> None:
    assert embeddings_figure(a_map(classes=classes), TITLE, []).legends == []


def test_small_print_stays_within_a_narrow_figure() -> None:
    figure = embeddings_figure(a_map(), TITLE, ["word " * 60])
    figure.draw_without_rendering()
    [small] = [text for text in figure.findobj(Text) if text.get_text().startswith("word")]

    assert small.get_window_extent().x1 <= figure.bbox.width
