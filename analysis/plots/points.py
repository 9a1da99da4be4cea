"""Points and staircases of one label, as pictures of frontiers draw them."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.membership import AMBIGUOUS, DOMINATED
from analysis.plots.style import Look

_MANY = 2_000  # points beyond which they are a bitmap without bars, also in a vector file


def placed(points: pd.DataFrame) -> pd.DataFrame:
    """Place the points of `analysis.frontier.Frontier.points` at MI and NLL.

    Adds `x`, `y`, their errors `x_error` and `y_error`, and `hollow`, for estimates beside exact
    values.
    """
    return points.assign(
        x=points["mi_value"],
        y=points["nll_value"],
        x_error=points["mi_error"],
        y_error=points["nll_error"],
        hollow=~points["exact"].astype(bool) & bool(points["exact"].any()),
    )


def draw_label(points: pd.DataFrame, axes: Axes, look: Look, slope: float = 0.0) -> None:
    """Draw one label's staircase and points, at their `x` and `y`; y = NLL + `slope` x."""
    frontier = points[points["on_frontier"]].sort_values(["mi_value", "nll_value"])
    line: dict[str, Any] = {"color": look.colour, "linestyle": look.dashes}
    line |= {"linewidth": 1.2, "zorder": 4}
    if not slope:
        axes.plot(frontier["x"], frontier["y"], drawstyle="steps-pre", **line)
    else:
        mi, nll = frontier["mi_value"].to_numpy(), frontier["nll_value"].to_numpy()
        mi, nll = np.repeat(mi, 2)[:-1], np.repeat(nll, 2)[1:]
        axes.plot(mi, nll + slope * mi, **line)
    n_dominated = (points["membership"] == DOMINATED).sum()
    for (verdict, hollow), alike in points.groupby(["membership", "hollow"]):
        alpha, size, zorder = 1.0, 5.5, 5
        if verdict == DOMINATED:
            alpha, size, zorder = (0.3, 4.0, 2) if n_dominated <= _MANY else (0.08, 2.0, 2)
        half = verdict == AMBIGUOUS
        many = len(alike) > _MANY
        axes.errorbar(
            alike["x"],
            alike["y"],
            xerr=None if many else alike["x_error"].fillna(0.0),
            yerr=None if many else alike["y_error"].fillna(0.0),
            fmt=look.marker,
            color=look.colour,
            alpha=alpha,
            markersize=size,
            fillstyle="bottom" if half else "full",
            markerfacecolor="white" if hollow and not half else look.colour,
            markerfacecoloralt="white",
            markeredgewidth=0.8 if half else 1.0 if hollow else 0.0,
            elinewidth=0.8,
            zorder=zorder,
            rasterized=many,
        )
