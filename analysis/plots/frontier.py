"""Pictures of frontiers."""

import textwrap
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.frontier import Frontier, Unit, shared_error
from analysis.plots.style import COLOURS, GREY, MARKERS

_FEW = 3  # frontier points below which they span no view
_MANY = 2_000  # points beyond which they are a bitmap without bars, also in a vector file


def plot_frontier(points: pd.DataFrame, axes: Axes, unit: Unit = "observation") -> Axes:
    """Draw the points of `analysis.frontier.Frontier.points`: MI to the right, NLL upwards.

    Each label has a colour and a marker; its dominated points are faint. Its frontier is a
    staircase, the border of what its trials dominate: a straight line from point to point would
    promise models that nobody trained. Bars are one Monte Carlo standard error. Where exact
    values and estimates meet, estimates are hollow. Dashed lines are the lowest possible NLL and
    the highest possible MI.

    The view holds the frontiers, or all points where the frontiers are only one or two of them.
    What lies outside it, such as a trial that went far astray, is counted above it.
    """
    axes.set_xlabel(f"mutual information (nats per {unit})\nhigher is better →")
    # Turned by 90°, this arrow points down.
    axes.set_ylabel(f"negative log-likelihood (nats per {unit})\n← lower is better")
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    if points.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no finished trial to show", ha="center", transform=axes.transAxes)
        return axes
    points = points.assign(hollow=~points["exact"] & bool(points["exact"].any()))
    labels = sorted(points["label"].unique())
    handles = [
        _draw_label(points[points["label"] == label], axes, colour, marker)
        for label, colour, marker in zip(labels, cycle(COLOURS), cycle(MARKERS), strict=False)
    ]
    _set_view(points, axes)
    has_note = _draw_limits(points, axes)
    _add_legend(axes, handles, labels, above=1.5 if has_note else 0.2)
    return axes


def _draw_label(points: pd.DataFrame, axes: Axes, colour: str, marker: str) -> Line2D:
    """Draw one colour's points; the result stands for them in the legend."""
    frontier = points[points["on_frontier"]].sort_values(["mi_value", "nll_value"])
    dominated = points[~points["on_frontier"]]
    axes.plot(
        frontier["mi_value"],
        frontier["nll_value"],
        drawstyle="steps-pre",
        color=colour,
        linewidth=1.2,
        zorder=4,
    )
    faint = (0.3, 4.0) if len(dominated) <= _MANY else (0.08, 2.0)
    for some, (alpha, size), zorder in ((dominated, faint, 2), (frontier, (1.0, 5.5), 5)):
        for hollow, alike in some.groupby("hollow"):
            many = len(alike) > _MANY
            axes.errorbar(
                alike["mi_value"],
                alike["nll_value"],
                xerr=None if many else alike["mi_error"].fillna(0.0),
                yerr=None if many else alike["nll_error"].fillna(0.0),
                fmt=marker,
                color=colour,
                alpha=alpha,
                markersize=size,
                markerfacecolor="white" if hollow else colour,
                markeredgewidth=1.0 if hollow else 0.0,
                elinewidth=0.8,
                zorder=zorder,
                rasterized=many,
            )
    face = "white" if points["hollow"].all() else colour
    return Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linewidth=1.2)


def _set_view(points: pd.DataFrame, axes: Axes) -> None:
    """Show the frontiers, without their points that went far astray, and the limits nearby."""
    frontier = points[points["on_frontier"]]
    if len(frontier) < _FEW:
        frontier = points
    lowest = frontier["nll_value"].min()
    above = frontier["nll_value"] - lowest
    near = frontier[above <= 10 * max(above.median(), 0.05 * abs(lowest))]
    highest = near["nll_value"].max()
    bars = near["nll_error"].fillna(0.0).clip(upper=highest - lowest)
    lowest, highest = (near["nll_value"] - bars).min(), (near["nll_value"] + bars).max()
    floor, ceiling = points["floor"].max(), points["ceiling"].max()
    if lowest - floor <= max(highest - lowest, 0.1 * abs(floor)):
        lowest = min(lowest, floor)
    least, most = min(0.0, near["mi_value"].min()), max(0.01, near["mi_value"].max())
    if most > 0.6 * ceiling:  # and what lies beyond the ceiling cannot be
        most = ceiling
    _limit(axes.set_xlim, least, most)
    _limit(axes.set_ylim, lowest, highest)


def _limit(set_limits: Callable[[float, float], object], low: float, high: float) -> None:
    margin = max(0.07 * (high - low), 0.002 * abs(high), 1e-6)
    set_limits(low - margin, high + margin)


def _draw_limits(points: pd.DataFrame, axes: Axes) -> bool:
    """Draw the NLL floor and the MI ceiling; note above, if need be, what is out of view."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    line: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "dashes": (5, 3), "zorder": 1}
    text: dict[str, Any] = {"color": GREY, "fontsize": "x-small", "textcoords": "offset points"}
    notes = []
    inside = points["mi_value"].between(left, right) & points["nll_value"].between(bottom, top)
    if n_outside := (~inside).sum():
        n_frontier = (points["on_frontier"] & ~inside).sum()
        notes.append(
            f"{n_outside} of {len(points)} trials outside this view"
            + (f", {n_frontier} of them on a frontier" if n_frontier else "")
        )
    for floor in points["floor"].dropna().round(9).unique():
        name = f"lowest possible NLL {floor:.4g}"
        if bottom < floor < top:
            axes.axhline(floor, **line)
            row = axes.get_yaxis_transform()
            axes.annotate(name, (0.0, floor), (4, -3), row, va="top", **text)
        else:
            notes.append(name)
    for ceiling in points["ceiling"].dropna().round(9).unique():
        name = f"highest possible MI {ceiling:.4g}"
        if left < ceiling < right:
            axes.axvline(ceiling, **line)
            column = axes.get_xaxis_transform()
            axes.annotate(name, (ceiling, 1.0), (3, 0), column, rotation=90, va="top", **text)
        else:
            notes.append(name)
    axes.annotate(" · ".join(notes), (0.0, 1.0), (4, 3), "axes fraction", va="bottom", **text)
    return bool(notes)


def _add_legend(axes: Axes, handles: list[Line2D], labels: list[str], above: float) -> None:
    """Put the legend above the axes, where it covers nothing, `above` lines higher."""
    shown = [label if len(label) <= 70 else f"{label[:34]}…{label[-35:]}" for label in labels]
    legend = axes.legend(
        handles,
        shown,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=max(1, min(len(labels), 84 // (max(map(len, shown)) + 6))),
        frameon=False,
        fontsize="small",
        borderaxespad=above,
    )
    for text, label in zip(legend.get_texts(), shown, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(label)


def frontier_figure(frontier: Frontier) -> Figure:
    """Draw a frontier with the experiment's name above it and its provenance below."""
    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    plot_frontier(frontier.points, figure.add_subplot(), frontier.unit)
    title = textwrap.fill(_names(frontier.points["experiment"]), 70)
    figure.suptitle(title, x=0.01, ha="left", fontsize="large", parse_math=False)
    footer = "\n".join(textwrap.fill(line, 160) for line in _provenance(frontier))
    figure.supxlabel(footer, x=0.01, ha="left", fontsize="xx-small", color=GREY, parse_math=False)
    return figure


def _provenance(frontier: Frontier) -> list[str]:
    """Give the lines that let a reader repeat and judge the figure."""
    points = frontier.points
    estimated = points[~points["exact"]]
    both = 0 < len(estimated) < len(points)
    ways = []
    if len(estimated) < len(points):
        ways.append("by enumeration" + " (filled)" * both)
    if len(estimated):
        sampling = f"by importance sampling, K = {_names(estimated['samples'])}"
        ways.append(sampling + " (hollow)" * both)
    facts = {
        "run": _names(points["run"]) if "run" in points else "",
        "scale": _names(points["scale"].fillna("none")) if points["scale"].notna().any() else "",
        "split": _names(points["split"]),
        "NLL and MI": " or ".join(ways),
        "code": _names(points["code_version"]),
    }
    counts = {"done": len(points), "on a frontier": points["on_frontier"].sum()}
    trials = ", ".join(f"{name}: {n}" for name, n in {**counts, **frontier.left_out}.items())
    how_to_read = ["faint: dominated"]
    if (points["nll_error"] > 0).any():
        how_to_read.append("bars: one Monte Carlo standard error")
    if shared := shared_error(points):
        how_to_read.append(f"shared by all points: {shared}")
    return [
        " · ".join(f"{name}: {fact}" for name, fact in facts.items() if fact),
        " · ".join([f"trials {trials}", *how_to_read]),
    ]


def _names(values: pd.Series) -> str:
    return ", ".join(str(value) for value in values.dropna().unique())


def save_frontier(frontier: Frontier, directory: Path) -> list[Path]:
    """Write the points as CSV and Parquet and the figure as PNG and SVG, each atomically.

    Gives the four paths, `frontier.csv` first. The same frontier gives the same bytes.
    Raises `OSError` where the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    figure = frontier_figure(frontier)
    points = frontier.points.assign(unit=frontier.unit)
    writers: Mapping[str, Callable[[Path], object]] = {
        "csv": lambda path: points.to_csv(path, index=False),
        "parquet": lambda path: points.to_parquet(path, index=False),
        "png": lambda path: figure.savefig(path, format="png", dpi=200),
        "svg": lambda path: figure.savefig(path, format="svg", metadata={"Date": None}),
    }
    paths = []
    with mpl.rc_context({"svg.hashsalt": "sweeper"}):
        for kind, write in writers.items():
            path = directory / f"frontier.{kind}"
            partial = path.with_name(f"{path.name}.partial")
            try:
                write(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            paths.append(path)
    return paths
