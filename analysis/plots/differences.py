"""Pictures of many sides at equal information: each one's difference to a baseline, in panels."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.axes import AXES, MODEL
from analysis.comparison import Comparison
from analysis.frontier import Unit
from analysis.plots.difference import framed, how_to_read, short
from analysis.plots.style import COLOURS, GREY

_BETTER, _WORSE = COLOURS[0], COLOURS[1]
_FAR = 4.0  # times the median side's largest difference: beyond, a side does not set the view
_OTHERS = "0.78"
_BANDS = (("simultaneous_", 0.15, "at all MI together"), ("", 0.3, "at each MI"))
_PANEL = (2.9, 2.15)  # inches
_LEGEND = 0.25  # its height, in panels
_WIDTH = 30  # characters of a panel


def plot_panel(compared: Comparison, others: Sequence[Comparison], axes: Axes) -> Axes:
    """Draw one side's difference to the baseline with its bands, and those of others behind it.

    Each comparison has the side as `a` and the baseline as `b`. Ranges that are decided are
    shaded in the first colour where the side fits better, in the second where the baseline does.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    axes.axhline(0.0, color="black", linewidth=0.7, zorder=2)
    for other in others:
        _draw_curve(other, axes, color=_OTHERS, linewidth=0.7, zorder=1)
    curve = compared.curve
    if curve.empty:
        text = "no MI at which both have a model"
        place: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
        axes.text(0.5, 0.85, text, fontsize="x-small", color=GREY, **place)
        return axes
    step: Literal["pre"] | None = None if compared.hull else "pre"
    for prefix, alpha, _ in _BANDS:
        low, high = curve[f"{prefix}lower"], curve[f"{prefix}upper"]
        band: dict[str, Any] = {"color": GREY, "alpha": alpha, "linewidth": 0, "zorder": 2}
        axes.fill_between(curve["mi"], low, high, step=step, **band)
    for verdict in compared.verdicts:
        if verdict.outcome in ("a", "b"):
            colour = _BETTER if verdict.outcome == "a" else _WORSE
            axes.axvspan(*verdict.mi, color=colour, alpha=0.18, linewidth=0, zorder=0)
    _draw_curve(compared, axes, color="black", linewidth=1.5, zorder=4)
    return axes


def _draw_curve(compared: Comparison, axes: Axes, **line: Any) -> None:
    curve = compared.curve
    axes.plot(
        curve["mi"],
        curve["difference"],
        drawstyle="default" if compared.hull else "steps-pre",
        marker="o" if len(curve) == 1 else None,
        markersize=3.5,
        **line,
    )


def differences_figure(
    compared: Sequence[Comparison],
    unit: Unit,
    title: str,
    footer: Sequence[str],
    mi: str = AXES[MODEL].long,
) -> Figure:
    """Draw a panel for each comparison with one baseline, `b` of all, on axes that they share.

    `footer` is put below, after how to read the picture. The view holds every curve but those
    that differ by more than four times as much as the median one does; how far they go is said
    in their panels.
    """
    n = len(compared)
    n_columns = n if n <= 3 else math.ceil(n / 2) if n <= 6 else 4
    n_rows = math.ceil(n / n_columns)
    size = max(7.0, _PANEL[0] * n_columns), _PANEL[1] * n_rows + 2.0
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(n_rows + 1, n_columns, height_ratios=[_LEGEND, *[1.0] * n_rows])
    baseline = short(compared[0].b)
    panels: list[Axes] = []
    for number, one in enumerate(compared):
        row, column = divmod(number, n_columns)
        first = panels[0] if panels else None
        axes = figure.add_subplot(grid[row + 1, column], sharex=first, sharey=first)
        plot_panel(one, [other for other in compared if other is not one], axes)
        axes.set_title(_wrapped(one.a), loc="left", fontsize="small", parse_math=False)
        # The last of its column has numbers below it, and the first of its row beside it.
        axes.tick_params(labelbottom=number + n_columns >= n, labelleft=column == 0)
        if row == n_rows - 1:
            name = textwrap.fill(mi, _WIDTH)
            axes.set_xlabel(f"{name}\n(nats per {unit})", fontsize="small")
        panels.append(axes)
    _set_view(compared, panels)
    axis = textwrap.fill(f"NLL less that of {baseline} (nats per {unit})", 45)
    figure.supylabel(
        f"{axis}\n← below zero fits better than it", fontsize="small", parse_math=False
    )
    _legend(figure.add_subplot(grid[0, :]), compared[0].level)
    reading = f"{how_to_read(compared[0])} · light grey: the other sides · ▲▼: beyond the view"
    return framed(figure, title, [reading, *footer])


def _set_view(compared: Sequence[Comparison], panels: Sequence[Axes]) -> None:
    """Show zero and all curves but those far off, and their bands as far again as the curves."""
    drawn = [(one.curve, axes) for one, axes in zip(compared, panels, strict=True)]
    curves = [curve for curve, _ in drawn if not curve.empty]
    if not curves:
        panels[0].set(xticks=[], yticks=[])  # of all, for they share their axes
        return
    largest = np.array([curve["difference"].abs().max() for curve in curves])
    near = largest <= max(_FAR * float(np.median(largest)), largest.min())
    shown = pd.concat([curve for curve, is_near in zip(curves, near, strict=True) if is_near])
    low, high = min(0.0, shown["difference"].min()), max(0.0, shown["difference"].max())
    reach = max(high - low, 1e-3)
    low = np.fmin(low, np.fmax(shown["simultaneous_lower"].min(), low - reach))
    high = np.fmax(high, np.fmin(shown["simultaneous_upper"].max(), high + reach))
    margin = 0.06 * (high - low)
    bottom, top = low - margin, high + margin
    left = min(curve["mi"].min() for curve in curves)
    right = max(curve["mi"].max() for curve in curves)
    margin = max(0.02 * (right - left), 1e-3)
    panels[0].set(xlim=(left - margin, right + margin), ylim=(bottom, top))
    for curve, axes in drawn:
        d = curve["difference"]
        for farthest, beyond, where, sign in (
            (d.max(), d.max() > top, "top", "▲"),
            (d.min(), d.min() < bottom, "bottom", "▼"),
        ):
            if beyond:
                place: dict[str, Any] = {"ha": "right", "va": where, "transform": axes.transAxes}
                height = 0.97 if where == "top" else 0.03
                text = f"{sign} {farthest:+.3g}"
                axes.text(0.98, height, text, fontsize="x-small", color=GREY, **place)


def _legend(axes: Axes, level: float) -> None:
    """Put the legend into axes of its own."""
    axes.set_axis_off()
    percent = f"{100 * level:g} %"
    handles: list[tuple[Any, str]] = [
        (Line2D([], [], color="black", linewidth=1.5), "observed"),
        *(
            (Patch(color=GREY, alpha=alpha, linewidth=0), f"{percent} {where}")
            for _, alpha, where in reversed(_BANDS)
        ),
        (Line2D([], [], color=_OTHERS, linewidth=0.9), "the other sides"),
        (Patch(color=_BETTER, alpha=0.25, linewidth=0), "decided: fits better"),
        (Patch(color=_WORSE, alpha=0.25, linewidth=0), "decided: fits worse"),
    ]
    axes.legend(
        [handle for handle, _ in handles],
        [text for _, text in handles],
        loc="center left",
        ncols=3,
        frameon=False,
        fontsize="small",
        borderaxespad=0.0,
    )


def _wrapped(name: str) -> str:
    """A name in at most two lines of a panel's width, its middle left out where it is longer."""
    kept = name if len(name) <= 2 * _WIDTH else f"{name[: _WIDTH - 1]}…{name[-_WIDTH:]}"
    return textwrap.fill(kept, _WIDTH)
