import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path

from analysis.attainment import attained
from analysis.plots.attainment import plot_attainment

SURFACES = pd.DataFrame(
    {
        "label": "arm",
        "level": [25.0, 25.0, 50.0, 50.0, 75.0],
        "mi": [1.0, 3.0, 1.0, 2.0, 2.0],
        "nll": [1.0, 2.0, 1.5, 2.5, 3.0],
    }
)


@pytest.fixture
def axes() -> Axes:
    drawn = Figure().add_subplot()
    drawn.set(xlim=(0, 4), ylim=(0, 5))
    return drawn


def test_it_returns_the_axes_and_leaves_their_view_and_the_surfaces_alone(axes) -> None:
    before = SURFACES.copy(deep=True)
    assert plot_attainment(SURFACES, axes) is axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 4), (0, 5))
    pd.testing.assert_frame_equal(SURFACES, before)


def test_the_band_is_what_the_lowest_level_attains_and_the_highest_does_not(axes) -> None:
    plot_attainment(SURFACES, axes)
    [band] = axes.patches
    outline = Path(band.get_xy())
    low, high = (SURFACES[SURFACES["level"] == level] for level in (25, 75))
    for mi in np.arange(1.05, 4, 0.1):
        for nll in np.arange(0.05, 5, 0.1):
            between = attained(low, mi) <= nll < attained(high, mi)
            assert outline.contains_point((mi, nll)) == between, (mi, nll)


def test_inner_levels_are_dashed_staircases(axes) -> None:
    plot_attainment(SURFACES, axes)
    [line] = axes.lines
    assert line.is_dashed()
    np.testing.assert_array_equal(line.get_xydata(), [[1, 1.5], [1, 1.5], [1, 2.5], [2, 2.5]])


def test_labels_have_the_colours_of_their_frontiers(axes) -> None:
    two = pd.concat([SURFACES, SURFACES.assign(label="b")])
    plot_attainment(two, axes)
    assert len({patch.get_facecolor() for patch in axes.patches}) == 2
