"""Pictures of many sides at equal information: each one's difference to a baseline, in panels."""

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
from analysis.plots.panels import panels
from analysis.plots.style import COLOURS, GREY

_BETTER, _WORSE = COLOURS[0], COLOURS[1]
_FAR = 4.0  # times the median side's largest difference: beyond, a side does not set the view
_OTHERS = "0.78"
_BANDS = (("simultaneous_", 0.15, "at all MI together"), ("", 0.3, "at each MI"))


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
    baseline = short(compared[0].b)
    figure, drawn, head = panels([one.a for one in compared], mi, unit, head=True)
    for one, axes in zip(compared, drawn, strict=True):
        plot_panel(one, [other for other in compared if other is not one], axes)
    _set_view(compared, drawn)
    axis = textwrap.fill(f"NLL less that of {baseline} (nats per {unit})", 45)
    figure.supylabel(
        f"{axis}\n← below zero fits better than it", fontsize="small", parse_math=False
    )
    assert head is not None
    _legend(head, compared[0].level)
    reading = f"{how_to_read(compared[0])} · light grey: the other sides · ▲▼: beyond the view"
    return framed(figure, title, [reading, *footer])


def _set_view(compared: Sequence[Comparison], axes_of: Sequence[Axes]) -> None:
    """Show zero and all curves but those far off, and their bands as far again as the curves."""
    drawn = [(one.curve, axes) for one, axes in zip(compared, axes_of, strict=True)]
    curves = [curve for curve, _ in drawn if not curve.empty]
    if not curves:
        axes_of[0].set(xticks=[], yticks=[])  # of all, for they share their axes
        return
    largest = np.array([curve["difference"].abs().max() for curve in curves])
    near = largest <= max(_FAR * float(np.median(largest)), largest.min())
    shown = pd.concat([curve for curve, is_near in zip(curves, near, strict=True) if is_near])
    low, high = min(0.0, shown["difference"].min()), max(0.0, shown["difference"].max())
    reach = max(high - low, 1e-3)
    least, most = shown["simultaneous_lower"].min(), shown["simultaneous_upper"].max()
    if np.isfinite(least):  # some side has a band
        low, high = min(low, max(least, low - reach)), max(high, min(most, high + reach))
    margin = 0.06 * (high - low)
    bottom, top = low - margin, high + margin
    left = min(curve["mi"].min() for curve in curves)
    right = max(curve["mi"].max() for curve in curves)
    margin = max(0.02 * (right - left), 1e-3)
    axes_of[0].set(xlim=(left - margin, right + margin), ylim=(bottom, top))
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
