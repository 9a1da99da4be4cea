"""Pictures of NLL and MI along training."""

from pathlib import Path
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import short_name
from analysis.frontier import Frontier, Unit
from analysis.plots.files import write_all, writers
from analysis.plots.names import add_legend
from analysis.plots.provenance import frame, provenance
from analysis.plots.style import GREY, looks
from analysis.plots.view import astray, limit

NOTES = ["a line per trial, bold where it ends on the frontier, with a marker at its end"]
BOUND = (
    "dashed: the bound that a contrast gives on training batches, with cr_vae one of the "
    "information between two views, dotted: its ceiling"
)


def plot_training(
    curves: pd.DataFrame,
    axes: Axes,
    quantity: Literal["nll", "mi"],
    unit: Unit = "observation",
) -> Axes:
    """Draw NLL or MI of `analysis.training.training_curves` against the optimiser step.

    A line per trial in the colour of its label, from its first evaluation to its last, which has
    a marker; trials that end on the frontier are bold and the others faint. Evaluations whose NLL
    went far astray do not set the view; they are counted above it.
    """
    name = {"nll": "NLL", "mi": short_name(curves)}[quantity]
    axes.set_ylabel(f"{name} (nats per {unit})")
    axes.set_xlabel("optimiser steps")
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    look = looks(curves["label"])
    key = [column for column in ("run", "trial_id") if column in curves]
    for _, trial in curves.groupby(key, sort=False):
        colour, marker, _ = look[str(trial["label"].iloc[0])]  # dashes are for the bound
        bold = bool(trial["on_frontier"].iloc[-1])
        axes.plot(
            trial["step"],
            trial[f"{quantity}_value"],
            color=colour,
            marker=marker,
            markevery=[len(trial) - 1],
            markersize=4.5 if bold else 3.0,
            markeredgewidth=0.0,
            alpha=1.0 if bold else 0.35,
            linewidth=1.3 if bold else 0.8,
            zorder=3 if bold else 2,
        )
    far = astray(curves["nll_value"]) if quantity == "nll" else pd.Series(False, curves.index)
    values = curves.loc[~far, f"{quantity}_value"]
    if len(values):
        limit(axes.set_ylim, values.min(), values.max())
    if far.any():
        axes.annotate(
            f"{far.sum()} of {len(curves)} evaluations outside this view",
            *((0.0, 1.0), (4, 3), "axes fraction", "offset points"),
            color=GREY,
            fontsize="x-small",
        )
    return axes


def has_bound(curves: pd.DataFrame, unit: Unit = "observation") -> bool:
    """Tell whether any evaluation has the bound of a contrast, which is per observation."""
    known = "critic_bound" in curves and bool(curves["critic_bound"].notna().any())
    return known and unit == "observation"


def plot_bound(curves: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the contrast's bound of information beside the MI of `plot_training`, nats.

    With inference critics it bounds I_q from below; with CR-VAE the information between two
    views, which is another. Each has a ceiling that it cannot exceed. The view holds MI and all
    bounds above zero, below which they say nothing.
    """
    look = looks(curves["label"])
    key = [column for column in ("run", "trial_id") if column in curves]
    given = curves.dropna(subset=["critic_bound"])
    for _, trial in given.groupby(key, sort=False):
        bold = bool(trial["on_frontier"].iloc[-1])
        axes.plot(
            trial["step"],
            trial["critic_bound"],
            color=look[str(trial["label"].iloc[0])][0],
            linestyle="dashed",
            alpha=1.0 if bold else 0.35,
            linewidth=1.0 if bold else 0.6,
        )
    for ceiling in sorted(given["critic_ceiling"].dropna().unique()):
        axes.axhline(ceiling, color=GREY, linestyle="dotted", linewidth=0.8, zorder=1)
    values = pd.concat([curves["mi_value"], given["critic_bound"].clip(lower=0)])
    limit(axes.set_ylim, values.min(), values.max())
    return axes


def training_figure(curves: pd.DataFrame, frontier: Frontier) -> Figure:
    """Draw NLL above MI along training, with the experiment's name and the provenance.

    Beside MI is the bound that a contrast gives, where the objective has one.
    """
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    bound = has_bound(curves, frontier.unit)
    frame(figure, curves, provenance(frontier, [*NOTES, *[BOUND] * bound]))
    upper, lower = figure.subplots(2, 1, sharex=True)
    plot_training(curves, upper, "nll", frontier.unit)
    plot_training(curves, lower, "mi", frontier.unit)
    if bound:
        plot_bound(curves, lower)
    upper.set_xlabel("")
    add_legend(upper, looks(curves["label"]), above=1.5 if upper.texts else 0.2)
    return figure


def save_training(curves: pd.DataFrame, frontier: Frontier, directory: Path) -> list[Path]:
    """Write the evaluations as `training.csv` and the figure as PDF, PNG and SVG.

    Gives the paths. Raises `OSError` where the directory cannot be written.
    """
    table = curves.assign(unit=frontier.unit)
    figure = training_figure(curves, frontier)
    return write_all(writers("training", table, figure, provenance(frontier, NOTES)), directory)
