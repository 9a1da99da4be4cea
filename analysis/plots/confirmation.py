"""Pictures of confirmations: from the figures that points were chosen for to fresh ones."""

import textwrap
from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import AXES, MODEL
from analysis.confirmation import Confirmation
from analysis.frontier import Unit
from analysis.plots.files import write_all, writers
from analysis.plots.style import COLOURS, GREY, MARKERS


def plot_confirmation(
    points: pd.DataFrame, axes: Axes, unit: Unit = "observation", mi: str = AXES[MODEL].long
) -> Axes:
    """Draw the points of `analysis.confirmation.Confirmation.points`: MI rightwards, NLL upwards.

    Hollow: what a point was chosen for. A line leads from there to its fresh figures, filled:
    the mean over fresh seeds with its standard error, or else the fresh evaluation of the same
    model with its Monte Carlo error. A small cross is that evaluation where both are there.
    `mi` names the information.
    """
    axes.set_xlabel(f"{mi} (nats per {unit})\nhigher is better →")
    axes.set_ylabel(f"negative log-likelihood (nats per {unit})\n← lower is better")
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    labels = sorted(points["label"].unique())
    for label, colour, marker in zip(labels, cycle(COLOURS), cycle(MARKERS), strict=False):
        own = points[points["label"] == label].sort_values("mi_chosen")
        axes.plot(
            own["mi_chosen"],
            own["nll_chosen"],
            marker,
            color=colour,
            markerfacecolor="white",
            markersize=5,
            zorder=3,
        )
        _draw_fresh(own, axes, colour, marker)
        axes.plot([], [], marker, color=colour, label=label)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(labels),
        frameon=False,
        fontsize="small",
    )
    return axes


def _draw_fresh(points: pd.DataFrame, axes: Axes, colour: str, marker: str) -> None:
    both = points["nll_seeds"].notna() & ~points["exact"]
    axes.plot(
        points.loc[both, "mi_fresh"],
        points.loc[both, "nll_fresh"],
        "x",
        color=colour,
        markersize=4,
        zorder=4,
    )
    for _, point in points.iterrows():
        how = "seeds" if pd.notna(point["nll_seeds"]) else "fresh"
        end = point[f"mi_{how}"], point[f"nll_{how}"]
        if pd.isna(end[1]):
            continue
        start = point["mi_chosen"], point["nll_chosen"]
        axes.plot(*zip(start, end, strict=True), color=colour, linewidth=0.8, zorder=2)
        errors = [point[f"{name}_{how}_error"] for name in ("mi", "nll")]
        across, along = (0.0 if pd.isna(error) else error for error in errors)
        axes.errorbar(
            *end,
            xerr=across,
            yerr=along,
            fmt=marker,
            color=colour,
            markersize=6,
            elinewidth=0.8,
            zorder=5,
        )


def confirmation_figure(found: Confirmation) -> Figure:
    """Draw a confirmation with the experiment's name above it and its findings below."""
    lines = [text for line in _told(found) for text in textwrap.wrap(line, 160)]
    figure = Figure(figsize=(7.0, 4.2 + 0.1 * len(lines)), layout="constrained")
    figure.suptitle(found.experiment, x=0.01, ha="left", fontsize="large", parse_math=False)
    plot_confirmation(found.points, figure.add_subplot(), found.unit, found.mi)
    figure.supxlabel(
        "\n".join(lines),
        x=0.01,
        ha="left",
        fontsize="xx-small",
        color=GREY,
        parse_math=False,
    )
    return figure


def _told(found: Confirmation) -> list[str]:
    how = "hollow: chosen · filled: fresh ± one standard error · cross: same model, fresh samples"
    return [how, *found.findings, *(f"warning: {warning}" for warning in found.warnings)]


def save_confirmation(found: Confirmation, directory: Path) -> list[Path]:
    """Write the points as CSV and the figure as PDF, PNG and SVG, each atomically; give the paths.

    Raises `OSError` where the directory cannot be written.
    """
    table = found.points.assign(unit=found.unit)
    figure = confirmation_figure(found)
    return write_all(writers("confirmation", table, figure, _told(found)), directory)
