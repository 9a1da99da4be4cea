"""The names of frontiers: at their ends where there is room, else in a legend."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from analysis.plots.style import DASHES, Look
from analysis.plots.view import is_inside

_LONG = 32  # characters beyond which a name is for the legend
_CLEAR = 4.0  # points of paper between a name and what it must not touch

# Beside the last point of a frontier, in points of paper, with the alignment of the text.
_PLACES: tuple[tuple[tuple[float, float], Any, Any], ...] = (
    ((8, 0), "left", "center"),
    ((4, 7), "right", "bottom"),
    ((0, 7), "center", "bottom"),
    ((-8, 2), "right", "bottom"),
    ((4, -7), "right", "top"),
    ((0, -7), "center", "top"),
    ((8, 7), "left", "bottom"),
    ((8, -7), "left", "top"),
    ((4, 16), "right", "bottom"),
    ((8, 14), "left", "bottom"),
    ((4, -16), "right", "top"),
    ((4, 24), "right", "bottom"),
    ((-14, 0), "right", "center"),
)


def name_frontiers(
    axes: Axes,
    points: pd.DataFrame,
    looks: Mapping[str, Look],
    *,
    above: float | None,
) -> None:
    """Name each frontier at its end, or all in a legend where a name would cover anything.

    `points` have columns `x` and `y` besides those of `analysis.frontier.Frontier.points`. The
    legend is put above the axes, `above` lines higher, or inside them, where it covers least, if
    that is None. Names are measured in the figure as it is, so draw the rest of it before.
    """
    if not _named_at_the_ends(axes, points, looks):
        hollow = {label: bool(points["hollow"][points["label"] == label].all()) for label in looks}
        add_legend(axes, looks, hollow, above=above)


def add_legend(
    axes: Axes,
    looks: Mapping[str, Look],
    hollow: Mapping[str, bool] | None = None,
    *,
    above: float | None = 0.2,
) -> None:
    """Put a legend `above` lines above the axes, where it covers nothing, or None: inside."""
    handles = [
        Line2D(
            *([], []),
            color=look.colour,
            linestyle=look.dashes,
            marker=look.marker,
            markerfacecolor="white" if hollow and hollow[label] else look.colour,
            linewidth=1.2,
        )
        for label, look in looks.items()
    ]
    shown = [label if len(label) <= 70 else f"{label[:34]}…{label[-35:]}" for label in looks]
    place: dict[str, Any] = {"loc": "best"}
    if above is not None:
        n_columns = max(1, min(len(shown), 84 // (max(map(len, shown)) + 6)))
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": n_columns}
        place["borderaxespad"] = above
    if any(look.dashes != DASHES[0] for look in looks.values()):
        place["handlelength"] = 3.6  # which shows dashes on both sides of a marker
    legend = axes.legend(handles, shown, frameon=False, fontsize="small", **place)
    for text, label in zip(legend.get_texts(), shown, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(label)


def _named_at_the_ends(axes: Axes, points: pd.DataFrame, looks: Mapping[str, Look]) -> bool:
    """Name all frontiers at their ends, or change nothing and tell so."""
    shown = points[is_inside(points, axes)]
    ends = shown[shown["on_frontier"]].sort_values(["x", "y"]).groupby("label").last()
    if set(ends.index) != set(looks) or max(map(len, looks)) > _LONG:
        return False
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    clear = _CLEAR * figure.dpi / 72
    dots = np.vstack(
        [axes.transData.transform(shown[["x", "y"]].to_numpy(np.float64)), *_dots_on_lines(axes)]
    )
    tips = axes.transData.transform(ends[["x", "y"]].to_numpy(np.float64))
    if (np.hypot(*(tips[:, None] - tips).T) < 2 * clear).sum() > len(tips):
        return False  # two names at one point would not tell which is which
    taken = [text.get_window_extent() for text in axes.texts if text.get_text()]
    names: list[Text] = []
    for label, look in looks.items():
        name = axes.annotate(
            label,
            tuple(ends.loc[label, ["x", "y"]]),
            (0, 0),
            textcoords="offset points",
            color=look.colour,
            fontsize="small",
            parse_math=False,
            zorder=6,
        )
        names.append(name)
        for offset, ha, va in _PLACES:
            name.xyann = offset
            name.set(ha=ha, va=va)
            box = name.get_window_extent().padded(clear / 2)
            if _is_free(box, axes.bbox, dots, taken, clear / 2):
                taken.append(box)
                break
        else:
            for placed in names:
                placed.remove()
            return False
    return True


def _is_free(
    box: Bbox, whole: Bbox, dots: NDArray[np.float64], taken: Sequence[Bbox], clear: float
) -> bool:
    if not (whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 < box.y1 <= whole.y1):
        return False
    near = box.padded(clear)
    inside = ((dots >= near.min) & (dots <= near.max)).all(axis=1)
    return not inside.any() and not any(box.overlaps(other) for other in taken)


def _dots_on_lines(axes: Axes) -> list[NDArray[np.float64]]:
    """Places along all connected lines, about 2 pixels apart, in pixels."""
    dots = []
    for line in axes.lines:
        if line.get_linestyle() in ("None", " ", "") or line.get_path() is None:
            continue
        corners = np.clip(line.get_transform().transform(line.get_path().vertices), -1e4, 1e4)
        for start, end in pairwise(corners):
            n = int(np.abs(end - start).max() // 2) + 2
            dots.append(np.linspace(start, end, n))
    return dots
