"""Pictures of what each swept knob does to NLL, MI and collapse."""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.axes import short_name
from analysis.collapse import collapse_by_knob, collapse_threshold
from analysis.frontier import Unit
from analysis.importance import is_numeric, swept_knobs
from analysis.plots.style import COLOURS, GREY, MARKERS

_MANY = 2_000  # points beyond which they are a bitmap, also in a vector file
_PER_BLOCK = 4  # knobs beside each other
_DECADES = 2.0  # of positive values, from which on an axis is logarithmic


def on_log_scale(values: pd.Series, declared: bool = False) -> bool:
    """Say whether a knob belongs on a log axis: as the space says, or from two decades on."""
    known = values.dropna().astype("float64")
    if known.empty or not (known > 0).all():
        return False
    return declared or math.log10(known.max() / known.min()) > _DECADES


def label_styles(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give each label its colour and marker, those of the frontier plot."""
    ordered = sorted(set(labels))
    return {
        label: (colour, marker)
        for label, colour, marker in zip(ordered, cycle(COLOURS), cycle(MARKERS), strict=False)
    }


def plot_knob(
    points: pd.DataFrame, axes: Axes, knob: str, column: str, *, log: bool = False
) -> Axes:
    """Draw a figure of the trials, such as `nll_value`, against a numeric knob.

    `points` are those of `analysis.frontier.Frontier`. Colours and markers are those of the
    frontier plot, trials on a frontier full and the others faint. Trials far above the others are
    out of view and counted at the top.
    """
    styles = label_styles(points["label"])
    for (label, on_frontier), some in points.groupby(["label", "on_frontier"]):
        colour, marker = styles[str(label)]
        axes.plot(
            some[knob].astype("float64"),
            some[column],
            marker,
            color=colour,
            alpha=0.95 if on_frontier else 0.35,
            markersize=4.5 if on_frontier else 4.0,
            markeredgewidth=0,
            rasterized=len(some) > _MANY,
            zorder=4 if on_frontier else 3,
        )
    _knob_axis(axes, knob, log)
    shown = points.loc[points[knob].notna(), column]
    _set_view(shown, axes)
    return axes


def plot_collapsed(
    shares: pd.DataFrame, axes: Axes, knob: str, labels: Iterable[str], *, log: bool = False
) -> Axes:
    """Draw the share of collapsed trials by part of a knob's range, with its 95% interval.

    `shares` are those of `analysis.collapse.collapse_by_knob`, all of one knob. `labels` are all
    that the picture has, which stand beside each other within a part. Faint lines are its ends.
    """
    styles = label_styles(labels)
    for number, (label, (colour, marker)) in enumerate(styles.items()):
        some = shares[shares["label"] == label]
        at = (number + 1) / (len(styles) + 1)
        low, high = some["low"].to_numpy(), some["high"].to_numpy()
        x = low * (high / low) ** at if log else low + (high - low) * at
        share = some["share"].to_numpy()
        reach = np.abs(some[["share_low", "share_high"]].to_numpy().T - share)
        axes.errorbar(
            x,
            share,
            yerr=reach,
            fmt=marker,
            color=colour,
            markersize=4.5,
            markeredgewidth=0,
            elinewidth=0.8,
            zorder=4,
        )
    for edge in sorted({*shares["low"], *shares["high"]}):
        axes.axvline(edge, color="0.9", linewidth=0.6, zorder=1)
    _knob_axis(axes, knob, log)
    axes.set_ylim(-0.05, 1.05)
    return axes


def _knob_axis(axes: Axes, knob: str, log: bool) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize="small")
    axes.set_xlabel(knob, fontsize="small", parse_math=False)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        low, high = axes.get_xlim()
        if high < 50 * low:  # so that powers of ten would be too few
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _set_view(values: pd.Series, axes: Axes) -> None:
    """Leave out what lies far above the rest, and say how many trials that are."""
    if values.empty:
        return
    lowest = values.min()
    above = values - lowest
    usual = 6 * max(above.quantile(0.75), 1e-9)
    outside = above > usual
    top = values[~outside].max()
    margin = max(0.06 * (top - lowest), 1e-6)
    axes.set_ylim(lowest - margin, top + margin)
    if outside.any():
        axes.annotate(
            f"{outside.sum()} of {len(values)} trials above",
            (1.0, 1.0),
            (0, 1),
            "axes fraction",
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize="xx-small",
            color=GREY,
        )


def numeric_knobs(points: pd.DataFrame) -> list[str]:
    """Give the swept knobs that are numbers: those that can be an axis."""
    return [knob for knob in swept_knobs(points) if is_numeric(points[knob])]


def knobs_figure(
    points: pd.DataFrame,
    unit: Unit,
    *,
    log: Collection[str] = (),
    collapsed_below: float | None = None,
    footer: Sequence[str] = (),
) -> Figure:
    """Draw NLL, MI and the share of collapsed trials against every swept numeric knob.

    `log` names knobs that were swept on a log scale. Four knobs stand beside each other. Raises
    `ValueError` where no numeric knob was swept.
    """
    knobs = numeric_knobs(points)
    if not knobs:
        raise ValueError("no numeric knob was swept.")
    blocks = [knobs[at : at + _PER_BLOCK] for at in range(0, len(knobs), _PER_BLOCK)]
    n_columns = len(blocks[0])
    figure = Figure(figsize=(1.0 + 2.3 * n_columns, 0.7 + 5.6 * len(blocks)), layout="constrained")
    grid = figure.subplots(3 * len(blocks), n_columns, squeeze=False)
    for number, block in enumerate(blocks):
        rows = grid[3 * number : 3 * number + 3]
        for column, knob in enumerate(block):
            axes = rows[:, column]
            is_log = on_log_scale(points[knob], knob in log)
            plot_knob(points, axes[0], knob, "nll_value", log=is_log)
            plot_knob(points, axes[1], knob, "mi_value", log=is_log)
            shares = collapse_by_knob(points, knob, unit, log=is_log, nats=collapsed_below)
            plot_collapsed(shares, axes[2], knob, points["label"], log=is_log)
            for one in axes:
                one.set_xlim(axes[0].get_xlim())
                one.tick_params(labelleft=column == 0, labelbottom=one is axes[2])
            for above in axes[:2]:
                above.set_xlabel("")
        for unused in grid[3 * number : 3 * number + 3, len(block) :].flat:
            unused.set_axis_off()
        mi = short_name(points)
        names = (f"NLL (nats per {unit})", f"{mi} (nats per {unit})", "share collapsed")
        for axes, name in zip(rows[:, 0], names, strict=True):
            axes.set_ylabel(name, fontsize="small")
    _legend(figure, points)
    threshold = np.unique(collapse_threshold(points, unit, collapsed_below).round(6))
    below = f"{threshold.min():.3g}" + f" to {threshold.max():.3g}" * (len(threshold) > 1)
    notes = [
        f"full: on the frontier, faint: dominated · collapsed: MI below {below} nats per {unit}, "
        "bars: 95% Wilson interval",
        *footer,
    ]
    figure.supxlabel(
        "\n".join(notes), x=0.01, ha="left", fontsize="xx-small", color=GREY, parse_math=False
    )
    return figure


def _legend(figure: Figure, points: pd.DataFrame) -> None:
    styles = label_styles(points["label"])
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markeredgewidth=0)
        for colour, marker in styles.values()
    ]
    legend = figure.legend(
        handles,
        list(styles),
        loc="outside upper left",
        ncols=max(1, min(len(styles), 84 // (max(map(len, styles)) + 6))),
        frameon=False,
        fontsize="small",
    )
    for text, label in zip(legend.get_texts(), styles, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(label)
