"""What part of the plane a picture of points shows, and the limits of what is possible in it.

`points` here have columns `x` and `y`, the places drawn, besides those of
`analysis.frontier.Frontier.points`.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.axes import AXES, axis_of
from analysis.frontier import ceilings
from analysis.plots.style import GREY

_FEW = 3  # frontier points below which they span no view


def set_view(points: pd.DataFrame, axes: Axes) -> None:
    """Show the frontiers, without their points that went far astray, and the limits nearby."""
    frontier = points[points["on_frontier"]]
    if len(frontier) < _FEW:
        frontier = points
    near = frontier[~astray(frontier["nll_value"])]
    extent = near["y"].max() - near["y"].min()
    bars = near["y_error"].fillna(0.0).clip(upper=extent)
    lowest, highest = (near["y"] - bars).min(), (near["y"] + bars).max()
    # Where some latents know no ceiling, that of others is none of the picture's.
    floor, ceiling = points["floor"].max(), points["ceiling"].max(skipna=False)
    if points["y"].equals(points["nll_value"]) and (
        lowest - floor <= max(highest - lowest, 0.1 * abs(floor))
    ):
        lowest = min(lowest, floor)
    least, most = min(0.0, near["x"].min()), max(0.01, near["x"].max())
    if most > 0.6 * ceiling:  # and what lies beyond the ceiling cannot be
        most = ceiling
    limit(axes.set_xlim, least, most)
    limit(axes.set_ylim, lowest, highest)


def astray(nll: pd.Series) -> pd.Series:
    """Tell which NLLs are so far above the lowest that they would squeeze a picture of all."""
    above = nll - nll.min()
    return above > 10 * max(above.median(), 0.05 * abs(nll.min()))


def limit(set_limits: Callable[[float, float], object], low: float, high: float) -> None:
    """Set limits with a margin about the values from `low` to `high`."""
    margin = max(0.07 * (high - low), 0.002 * abs(high), 1e-6)
    set_limits(low - margin, high + margin)


def is_inside(points: pd.DataFrame, axes: Axes) -> pd.Series:
    """Tell which points lie in the view of `axes`."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return points["x"].between(left, right) & points["y"].between(bottom, top)


def outside(points: pd.DataFrame, axes: Axes) -> list[str]:
    """Say in at most one phrase how many points lie outside the view."""
    inside = is_inside(points, axes)
    n_outside, n_frontier = (~inside).sum(), (points["on_frontier"] & ~inside).sum()
    if not n_outside:
        return []
    return [
        f"{n_outside} of {len(points)} trials outside this view"
        + (f", {n_frontier} of them on a frontier" if n_frontier else "")
    ]


def draw_limits(points: pd.DataFrame, axes: Axes, *, slope: float = 0.0) -> bool:
    """Draw the NLL floor and the MI ceiling; note above, if need be, what is out of view.

    The floor is y = floor + `slope` x: level where y is the NLL.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    line: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "dashes": (5, 3), "zorder": 1}
    text: dict[str, Any] = {"color": GREY, "fontsize": "x-small", "textcoords": "offset points"}
    notes = outside(points, axes)
    floors = points["floor"].dropna().round(9).unique()
    for floor in floors:
        name = f"lowest possible NLL {floor:.4g}"
        if slope:
            axes.axline((0.0, floor), slope=slope, **line)
            notes.append(f"dashed diagonal: {name}")
            continue
        if inside := bottom < floor < top:
            axes.axhline(floor, **line)
        if inside and len(floors) == 1:
            row = axes.get_yaxis_transform()
            axes.annotate(name, (0.0, floor), (4, -3), row, va="top", **text)
        else:
            notes.append(name)
    limits = ceilings(points)
    for ceiling in limits:
        name = f"{AXES[axis_of(points)].ceiling} {ceiling:.4g}"
        if inside := left < ceiling < right:
            axes.axvline(ceiling, **line)
        if inside and len(limits) == 1:
            column = axes.get_xaxis_transform()
            axes.annotate(name, (ceiling, 1.0), (3, 0), column, rotation=90, va="top", **text)
        else:
            notes.append(name)
    axes.annotate(" · ".join(notes), (0.0, 1.0), (4, 3), "axes fraction", va="bottom", **text)
    return bool(notes)
