"""Pictures of attainment surfaces, as bands about frontiers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.plots.style import Look, looks


def plot_attainment(
    surfaces: pd.DataFrame, axes: Axes, look: Mapping[str, Look] | None = None
) -> Axes:
    """Draw the surfaces of `analysis.attainment`: a band between the outer ones, dashes inside.

    The band is what at least the lowest level's share of the sets attain and less than the
    highest level's share do. Its right end therefore reaches up to the top of the view: beyond
    the largest MI that the highest level attains, no NLL is attained by so many. `look` gives
    the colours, by default those of `analysis.plots.style.looks`. The view stays as it is.
    """
    look = look or looks(surfaces["label"])
    left, right, bottom, top = (*axes.get_xlim(), *axes.get_ylim())
    for label, of_label in surfaces.groupby("label", sort=True):
        levels = sorted(of_label["level"].unique())
        colour = look[str(label)].colour
        start = of_label["mi"].min()
        corners = [_corners(of_label[of_label["level"] == level], start) for level in levels]
        lowest, highest = corners[0], corners[-1]
        over = max(top, highest[:, 1].max())
        ends = [[lowest[-1, 0], over], [highest[-1, 0], over]]
        outline = np.vstack([lowest, ends, highest[::-1]])
        axes.fill(*outline.T, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
        for inner in corners[1:-1]:
            axes.plot(*inner.T, color=colour, linewidth=0.8, dashes=(3, 2), zorder=3)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return axes


def _corners(surface: pd.DataFrame, start: float) -> NDArray[np.float64]:
    """The staircase from `start` on, as a polygon `[corners, 2]` of MI and NLL."""
    mi, nll = surface["mi"].to_numpy(np.float64), surface["nll"].to_numpy(np.float64)
    x = np.concatenate([[start], np.repeat(mi, 2)[:-1]])
    return np.column_stack([x, np.repeat(nll, 2)])
