"""Pictures of a comparison: the difference at equal information, and what a budget bought."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from analysis.axes import AXES, MODEL
from analysis.comparison import FEWEST, Comparison
from analysis.frontier import Unit
from analysis.indicators import BUDGETS, common_budgets
from analysis.plots.style import COLOURS, GREY, line_looks

_LONG = 40  # characters of a name that fit beside the axis


def plot_difference(
    comparison: Comparison,
    axes: Axes,
    unit: Unit = "observation",
    mi: str = AXES[MODEL].long,
) -> Axes:
    """Draw the difference of NLL against MI with its pointwise and its simultaneous band.

    Below zero, in the first colour, the first side fits better. Where the curve has no band, too
    few configurations have that much MI. `mi` names which MI it is.
    """
    a, b = (short(name) for name in (comparison.a, comparison.b))
    axes.set_xlabel(f"{mi} (nats per {unit})")
    axes.set_ylabel(f"difference of NLL (nats per {unit})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    curve = comparison.curve
    if curve.empty:
        axes.set(xticks=[], yticks=[])
        text = "no MI at which both have a model"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)
        return axes
    step: Literal["pre"] | None = None if comparison.hull else "pre"
    for prefix, alpha, where in (
        ("simultaneous_", 0.15, "at all MI together"),
        ("", 0.3, "at each MI"),
    ):
        axes.fill_between(
            curve["mi"],
            curve[f"{prefix}lower"],
            curve[f"{prefix}upper"],
            step=step,
            color=GREY,
            alpha=alpha,
            linewidth=0,
            label=f"{100 * comparison.level:g} % {where}",
        )
    axes.axhline(0.0, color="black", linewidth=0.8, zorder=3)
    style = "default" if comparison.hull else "steps-pre"
    marker = "o" if len(curve) == 1 else None
    axes.plot(
        curve["mi"],
        curve["difference"],
        drawstyle=style,
        marker=marker,
        color="black",
        linewidth=1.5,
        zorder=4,
        label="observed",
    )
    _mark_verdicts(comparison, axes)
    _set_view(curve, axes)
    for height, where, text, colour in (
        (0.98, "top", f"↑ {b} fits better", COLOURS[1]),
        (0.02, "bottom", f"↓ {a} fits better", COLOURS[0]),
    ):
        axes.text(
            0.01,
            height,
            text,
            color=colour,
            va=where,
            fontsize="small",
            fontweight="bold",
            transform=axes.transAxes,
            parse_math=False,
        )
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=3,
        frameon=False,
        fontsize="small",
        borderaxespad=0.2,
    )
    return axes


def _mark_verdicts(comparison: Comparison, axes: Axes) -> None:
    """Colour the ranges of MI where one side is better."""
    for verdict in comparison.verdicts:
        if verdict.outcome in ("a", "b"):
            colour = COLOURS[0] if verdict.outcome == "a" else COLOURS[1]
            axes.axvspan(*verdict.mi, color=colour, alpha=0.12, linewidth=0, zorder=0)


def _set_view(curve: pd.DataFrame, axes: Axes) -> None:
    """Show zero, the curve and its band; the band only as far as thrice beyond the rest."""
    d = curve["difference"]
    low, high = min(0.0, d.min()), max(0.0, d.max())
    reach = 3 * max(high - low, 1e-3)
    lowest, highest = curve["simultaneous_lower"].min(), curve["simultaneous_upper"].max()
    low = np.fmin(low, np.fmax(lowest, low - reach))
    high = np.fmax(high, np.fmin(highest, high + reach))
    margin = 0.12 * (high - low)  # room for the words
    axes.set_ylim(low - margin, high + margin)
    left, right = curve["mi"].min(), curve["mi"].max()
    margin = max(0.02 * (right - left), 1e-3)
    axes.set_xlim(left - margin, right + margin)


def difference_figure(
    comparison: Comparison,
    unit: Unit,
    title: str,
    footer: Sequence[str],
    mi: str = AXES[MODEL].long,
) -> Figure:
    """Draw a comparison with a title above it and how to read it, and `footer`, below."""
    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    plot_difference(comparison, figure.add_subplot(), unit, mi)
    return framed(figure, title, [how_to_read(comparison), *footer])


def how_to_read(comparison: Comparison) -> str:
    """Say in a line or two what the curve is and what its bands are for."""
    what = (
        "lower convex hulls, straight between trained models, which nobody trained"
        if comparison.hull
        else "staircases, the best NLL among trials with at least that MI"
    )
    return (
        f"difference of {what} · bands: for the difference between what such searches find on "
        "average, from searches of half as many configurations, resampled · no band: fewer than "
        f"{FEWEST} configurations of a side · shaded: decided"
    )


def plot_budget(curves: Mapping[str, pd.DataFrame], budget: str, axes: Axes) -> Axes:
    """Draw the hypervolume of each side in `curves` against one of the `BUDGETS`."""
    common = min(curve[budget].max() for curve in curves.values())
    many = line_looks(curves)
    for (name, curve), colour in zip(curves.items(), cycle(COLOURS), strict=False):
        spent = np.append(0.0, curve[budget])
        reached = np.append(0.0, curve["hypervolume"])
        look = {"color": colour} if len(curves) == 2 else many[name]
        axes.step(spent, reached, where="post", linewidth=1.4, **look)
    axes.axvline(common, color=GREY, linewidth=0.8, dashes=(5, 3), zorder=1)
    axes.set_xlabel(textwrap.fill(BUDGETS[budget], 30), fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def budget_figure(curves: Mapping[str, pd.DataFrame], title: str, footer: Sequence[str]) -> Figure:
    """Draw the hypervolume against every budget that all sides know, side by side.

    More than two sides are named beside the panels.
    """
    two = len(curves) == 2
    budgets = common_budgets(curves.values())
    size = max(9.0, 2.6 * len(budgets)) + (0.0 if two else 2.5), 4.0 if two else 4.6
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(budgets), sharey=True)
    for budget, axes in zip(budgets, panels, strict=True):
        plot_budget(curves, budget, axes)
    panels[0].set_ylabel("hypervolume so far\nhigher is better →")
    handles = panels[0].lines[: len(curves)]  # a name with an underscore is no label to matplotlib
    place: dict[str, Any] = {"loc": "outside right center"}
    if two:
        place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 2}
        place["borderaxespad"] = 0.2
    legend = (panels[0] if two else figure).legend(
        handles, list(map(str, range(len(handles)))), frameon=False, fontsize="small", **place
    )
    for text, name in zip(legend.get_texts(), curves, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(short(name))
    reading = (
        f"{'dashed' if two else 'upright dashes'}: the largest budget that "
        f"{'both' if two else 'all'} have spent · one search a side, no interval"
    )
    return framed(figure, title, [reading, *footer])


def framed(figure: Figure, title: str, footer: Sequence[str]) -> Figure:
    """Put a title above all of a figure and `footer` below it, in small print."""
    width = int(160 * figure.get_figwidth() / 7)
    figure.suptitle(
        textwrap.fill(title, width // 2), x=0.01, ha="left", fontsize="large", parse_math=False
    )
    text = "\n".join(textwrap.fill(line, width) for line in footer)
    figure.supxlabel(text, x=0.01, ha="left", fontsize="xx-small", color=GREY, parse_math=False)
    return figure


def short(name: str) -> str:
    """Leave out the middle of a name that is too long for a picture."""
    return name if len(name) <= _LONG else f"{name[: _LONG // 2 - 1]}…{name[-_LONG // 2 :]}"
