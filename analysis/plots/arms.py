"""Frontiers in a panel for each arm, which many of them, and their bands, need to be read."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import AXES, axis_of, long_name
from analysis.frontier import Frontier, ceilings
from analysis.plots.attainment import plot_attainment
from analysis.plots.panels import panels
from analysis.plots.points import draw_label, placed
from analysis.plots.provenance import frame
from analysis.plots.style import GREY, looks
from analysis.plots.view import outside, set_view

OTHERS = "0.78"


def panels_figure(
    frontier: Frontier, lines: Sequence[str], attainment: pd.DataFrame | None = None
) -> Figure:
    """Draw every label's points, frontier and band in a panel before the frontiers of the others.

    The panels share their axes, which hold what `plot_frontier` shows. `lines` are put below.
    """
    points = placed(frontier.points)
    look = looks(points["label"])
    figure, drawn, _ = panels(list(look), long_name(points), frontier.unit)
    frame(figure, points, lines)
    figure.supylabel(
        f"negative log-likelihood (nats per {frontier.unit})\n← lower is better", fontsize="small"
    )
    for axes, label in zip(drawn, look, strict=True):
        axes.ticklabel_format(useOffset=False)
        for other, of_other in points[points["on_frontier"]].groupby("label", sort=True):
            if other != label:
                steps = of_other.sort_values(["x", "y"])
                line: dict[str, Any] = {"color": OTHERS, "linewidth": 0.7, "zorder": 1}
                axes.plot(steps["x"], steps["y"], drawstyle="steps-pre", **line)
        draw_label(points[points["label"] == label], axes, look[label])
    set_view(points, drawn[0])
    for axes, label in zip(drawn, look, strict=True):
        _draw_limits(points[points["label"] == label], axes)
        if attainment is not None and (attainment["label"] == label).any():
            plot_attainment(attainment[attainment["label"] == label], axes, look)
    return figure


def panel_notes(points: pd.DataFrame) -> list[str]:
    """Say how to read the panels, and how many points lie outside their view."""
    notes = ["light grey: the frontiers of the other arms"]
    if points["floor"].notna().any():
        floors = ", ".join(f"{floor:.4g}" for floor in points["floor"].dropna().round(9).unique())
        notes.append(f"dashed across: lowest possible NLL {floors}")
    if any(ceilings(of_label) for _, of_label in points.groupby("label")):
        told = AXES[axis_of(points)].limit.rstrip(",")
        notes.append(f"dashed upright: the {told} of that arm, if it has one in view")
    axes = Figure().add_subplot()
    where = placed(points)
    set_view(where, axes)
    return [*notes, *outside(where, axes)]


def _draw_limits(points: pd.DataFrame, axes: Axes) -> None:
    """Draw the NLL floor and the MI ceiling where they are in view."""
    line: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "dashes": (5, 3), "zorder": 1}
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for floor in points["floor"].dropna().round(9).unique():
        if bottom < floor < top:
            axes.axhline(floor, **line)
    for ceiling in ceilings(points):
        if left < ceiling < right:
            axes.axvline(ceiling, **line)
