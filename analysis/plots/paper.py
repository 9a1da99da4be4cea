"""Frontiers as the MICMCO paper lays them out, for one column of a page."""

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import short_name
from analysis.frontier import Frontier, Unit
from analysis.plots.attainment import plot_attainment
from analysis.plots.names import name_frontiers
from analysis.plots.style import GREY, looks
from analysis.plots.view import outside, set_view

SIZE = (3.3, 2.5)  # inches
_SETTINGS: dict[Any, Any] = {
    "font.size": 7.0,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.handlelength": 1.4,
    "lines.markersize": 2.8,
}


def plot_paper(
    points: pd.DataFrame,
    axes: Axes,
    unit: Unit = "observation",
    *,
    attainment: pd.DataFrame | None = None,
) -> Axes:
    """Draw the frontiers of `analysis.frontier.Frontier.points` as Melis, György and Blunsom do.

    Theirs, as design/methods.md has it in section 11: latent use to the right and NLL upwards,
    both per token for text, latent use being the mutual information of the model (there,
    the mean of U^K - ln p-hat^K), and only trials that are Pareto optimal.

    Ours: the size, straight thin lines between the points, the markers, colours and names, no
    bars and no title. Straight lines are easy to follow where several frontiers cross, but
    promise models between the points that nobody trained; `plot_frontier` draws what is attained.
    Points that went far astray are left out of the view, and counted above it.
    """
    axes.set_xlabel(f"latent usage: {short_name(points)} (nats per {unit})")
    axes.set_ylabel(f"NLL (nats per {unit})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    frontier = points[points["on_frontier"]].sort_values(["mi_value", "nll_value"])
    if frontier.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no finished trial to show", ha="center", transform=axes.transAxes)
        return axes
    frontier = frontier.assign(
        x=frontier["mi_value"],
        y=frontier["nll_value"],
        x_error=0.0,
        y_error=0.0,
        hollow=False,
    )
    look = looks(points["label"])
    for label, of_label in frontier.groupby("label", sort=True):
        colour, marker, dashes = look[str(label)]
        axes.plot(
            of_label["x"],
            of_label["y"],
            color=colour,
            marker=marker,
            linestyle=dashes,
            linewidth=0.7,
            markeredgewidth=0.0,
        )
    set_view(frontier, axes)
    if attainment is not None:
        plot_attainment(attainment, axes, look)
    for note in outside(frontier, axes):
        axes.annotate(
            note,
            *((0.0, 1.0), (4, 3), "axes fraction", "offset points"),
            color=GREY,
            fontsize="x-small",
        )
    name_frontiers(axes, frontier, look, above=None)
    return axes


def paper_figure(frontier: Frontier, *, attainment: pd.DataFrame | None = None) -> Figure:
    """Draw `plot_paper` in the size of one column."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        plot_paper(frontier.points, figure.add_subplot(), frontier.unit, attainment=attainment)
    return figure
