"""Pictures of collapse by dimension, of active units, and of what latents tell of labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.axes import short_name
from analysis.frontier import Unit
from analysis.meters import LOWEST_EPSILON
from analysis.plots.provenance import frame
from analysis.plots.style import GREY, line_looks, looks

ACTIVE = 0.01  # the usual threshold of active units, Burda et al. (2016)
ACCURACIES = {"probe_accuracy": "linear probe", "knn_accuracy": "k nearest neighbours"}


def plot_collapse(curves: pd.DataFrame, axes: Axes) -> Axes:
    """Draw `analysis.meters.collapse_curves`: the median of each label, with its quartiles.

    Thresholds are on a log axis; what collapses below its left end is collapsed there.
    """
    _frame_curves(axes)
    axes.set_xlabel("ε (nats)")
    axes.set_ylabel("share of collapsed dimensions")
    top = max(1.0, 2.0 * curves["epsilon"].max())
    lines = line_looks(curves["label"])
    left = LOWEST_EPSILON
    for label, some in curves.groupby("label", sort=True):
        below = some[some["epsilon"] < left].tail(1)
        start = below if len(below) else some.head(1).assign(low=0.0, median=0.0, high=0.0)
        inside = some[some["epsilon"] >= left]
        drawn = pd.concat(
            [start.assign(epsilon=left), inside, some.tail(1).assign(epsilon=top)],
            ignore_index=True,
        )
        _draw(drawn, "epsilon", axes, lines[str(label)], "post")
    axes.set_xlim(left, top)
    axes.set_ylim(-0.03, 1.03)
    return axes


def plot_activity(curves: pd.DataFrame, axes: Axes) -> Axes:
    """Draw `analysis.meters.activity_curves`: the median of each label, with its quartiles."""
    _frame_curves(axes)
    axes.set_xlabel("threshold on the variance of posterior means")
    axes.set_ylabel("active units")
    positive = curves.loc[curves["mean_variance"] > 0, "mean_variance"]
    left = min(ACTIVE / 100, max(LOWEST_EPSILON, 0.5 * positive.min() if len(positive) else 1.0))
    right = max(1.0, 2.0 * curves["mean_variance"].max())
    lines = line_looks(curves["label"])
    for label, some in curves.groupby("label", sort=True):
        inside = some[some["mean_variance"] >= left]
        first = (inside if len(inside) else some.tail(1).assign(low=0.0, median=0.0, high=0.0))[:1]
        end = first.assign(mean_variance=right, low=0.0, median=0.0, high=0.0)
        drawn = pd.concat([first.assign(mean_variance=left), inside, end], ignore_index=True)
        _draw(drawn, "mean_variance", axes, lines[str(label)], "pre")
    axes.axvline(ACTIVE, color=GREY, linewidth=0.8, dashes=(5, 3), zorder=1)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom=0.0)
    return axes


def plot_accuracy(points: pd.DataFrame, axes: Axes, column: str, unit: Unit) -> Axes:
    """Draw one of `ACCURACIES` against the information, a point for each trial with an error.

    `points` are those of `analysis.frontier.Frontier` with the columns of the meters; trials on
    a frontier are full and the others faint. The dashed line is what always guessing the
    commonest label attains.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"{short_name(points)} (nats per {unit})")
    axes.set_ylabel(f"accuracy, {ACCURACIES[column]}")
    look = looks(points["label"])
    for (label, on_frontier), some in points.groupby(["label", "on_frontier"], sort=True):
        axes.errorbar(
            some["mi_value"],
            some[column].astype("float64"),
            yerr=some[f"{column}_se"].astype("float64"),
            fmt=look[str(label)].marker,
            color=look[str(label)].colour,
            alpha=0.95 if on_frontier else 0.35,
            markersize=4.5 if on_frontier else 4.0,
            markeredgewidth=0.0,
            elinewidth=0.8,
            zorder=4 if on_frontier else 3,
        )
    for chance in points["probe_chance"].dropna().round(9).unique():
        axes.axhline(float(chance), color=GREY, linewidth=0.8, dashes=(5, 3), zorder=1)
    return axes


def collapse_figure(
    collapse: pd.DataFrame, activity: pd.DataFrame, title: pd.DataFrame, lines: Sequence[str]
) -> Figure:
    """Draw collapse and, where there is any, activity beside it, with `lines` below.

    `title` are rows that have an `experiment`.
    """
    n = 1 if activity.empty else 2
    figure = Figure(figsize=(4.6 * n + 1.8, 4.6), layout="constrained")
    frame(figure, title, lines)
    axes = figure.subplots(1, n, squeeze=False)[0]
    plot_collapse(collapse, axes[0])
    if n > 1:
        plot_activity(activity, axes[1])
    _legend(figure, line_looks(collapse["label"]))
    return figure


def accuracy_figure(points: pd.DataFrame, unit: Unit, lines: Sequence[str]) -> Figure:
    """Draw both accuracies beside each other, with `lines` below."""
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    frame(figure, points, lines)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column in zip((left, right), ACCURACIES, strict=True):
        plot_accuracy(points, axes, column, unit)
    marks = {
        label: {"color": look.colour, "marker": look.marker, "linestyle": ""}
        for label, look in looks(points["label"]).items()
    }
    _legend(figure, marks)
    return figure


def _frame_curves(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log")


def _draw(curve: pd.DataFrame, x: str, axes: Axes, line: dict[str, Any], step: Any) -> None:
    at, low, high = (curve[name].to_numpy(np.float64) for name in (x, "low", "high"))
    band = {"color": line["color"], "alpha": 0.18, "linewidth": 0.0, "zorder": 2}
    axes.fill_between(at, low, high, step=step, **band)
    axes.plot(at, curve["median"], drawstyle=f"steps-{step}", linewidth=1.3, zorder=3, **line)


def _legend(figure: Figure, looks: dict[str, dict[str, Any]]) -> None:
    """Put a legend beside all axes, a line for each label."""
    shown = [label if len(label) <= 40 else f"{label[:19]}…{label[-20:]}" for label in looks]
    legend = figure.legend(
        [Line2D([], [], markeredgewidth=0.0, **look) for look in looks.values()],
        shown,
        loc="outside right center",
        frameon=False,
        fontsize="small",
    )
    for text, label in zip(legend.get_texts(), shown, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(label)
