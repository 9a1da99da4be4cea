"""Pictures of frontiers."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import long_name
from analysis.frontier import Frontier, Unit
from analysis.plots.arms import panel_notes, panels_figure
from analysis.plots.attainment import plot_attainment
from analysis.plots.files import picture_writers, write_all
from analysis.plots.names import name_frontiers
from analysis.plots.paper import paper_figure
from analysis.plots.points import draw_label, placed
from analysis.plots.provenance import frame, point_marks, provenance
from analysis.plots.style import looks
from analysis.plots.view import draw_limits, set_view


def plot_frontier(
    points: pd.DataFrame,
    axes: Axes,
    unit: Unit = "observation",
    *,
    attainment: pd.DataFrame | None = None,
) -> Axes:
    """Draw the points of `analysis.frontier.Frontier.points`: MI to the right, NLL upwards.

    Each label has a colour and a marker; its dominated points are faint and those that may or may
    not be on the frontier half filled. Its frontier, by the estimates, is a staircase, the border
    of what its trials dominate: a straight line from point to point would promise models that
    nobody trained. Bars are one Monte Carlo standard error. Where exact values and estimates
    meet, estimates are hollow. Dashed lines are the lowest possible NLL and the highest possible
    MI. `attainment`, the surfaces of `analysis.attainment`, is drawn as bands.

    The view holds the frontiers, or all points where the frontiers are only one or two of them.
    What lies outside it, such as a trial that went far astray, is counted above it.
    """
    axes.set_xlabel(f"{long_name(points)} (nats per {unit})\nhigher is better →")
    # Turned by 90°, this arrow points down.
    axes.set_ylabel(f"negative log-likelihood (nats per {unit})\n← lower is better")
    return _draw(placed(points), axes, attainment=attainment)


def plot_rate_distortion(points: pd.DataFrame, axes: Axes, unit: Unit = "observation") -> Axes:
    """Draw the same points as rate and distortion: MI to the right, NLL - MI upwards.

    The rate is the mutual information of the model, KL(p(z|x) || p(z)) averaged over the data,
    and the distortion -E_p(z|x)[ln p(x|z)]: what is left to say about x when z is known. Their
    sum is the NLL, so the distortion is recovered from the two columns, and a diagonal of slope
    -1 holds models of one NLL. A frontier is that of NLL and MI, drawn here: along a diagonal,
    NLL stays the same. Errors of the distortion take the covariance of NLL and MI into account.
    """
    axes.set_xlabel(f"rate: mutual information under the model (nats per {unit})")
    axes.set_ylabel(f"distortion: NLL − rate (nats per {unit})")
    variance = points["nll_error"] ** 2 + points["mi_error"] ** 2 - 2 * points["error_covariance"]
    moved = placed(points).assign(
        y=points["nll_value"] - points["mi_value"], y_error=np.sqrt(variance.clip(lower=0.0))
    )
    return _draw(moved, axes, slope=-1.0)


def _draw(
    points: pd.DataFrame,
    axes: Axes,
    *,
    slope: float = 0.0,
    attainment: pd.DataFrame | None = None,
) -> Axes:
    """Draw points at their `x` and `y`; y = NLL + `slope` x."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(useOffset=False)
    if points.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no finished trial to show", ha="center", transform=axes.transAxes)
        return axes
    look = looks(points["label"])
    for label, of_label in points.groupby("label", sort=True):
        draw_label(of_label, axes, look[str(label)], slope)
    set_view(points, axes)
    if attainment is not None:
        plot_attainment(attainment, axes, look)
    has_note = draw_limits(points, axes, slope=slope)
    name_frontiers(axes, points, look, above=1.5 if has_note else 0.2)
    return axes


def frontier_figure(
    frontier: Frontier, *, view: str = "frontier", attainment: pd.DataFrame | None = None
) -> Figure:
    """Draw a frontier with the experiment's name above it and its provenance below.

    `view` is "frontier", NLL against MI, "panels", with one for each label, or
    "rate-distortion".
    """
    if view == "panels":
        return panels_figure(
            frontier, figure_notes(frontier, view=view, attainment=attainment), attainment
        )
    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    axes = figure.add_subplot()
    frame(figure, frontier.points, figure_notes(frontier, view=view, attainment=attainment))
    if view == "rate-distortion":
        plot_rate_distortion(frontier.points, axes, frontier.unit)
    else:
        plot_frontier(frontier.points, axes, frontier.unit, attainment=attainment)
    return figure


def figure_notes(
    frontier: Frontier, *, view: str = "frontier", attainment: pd.DataFrame | None = None
) -> list[str]:
    """Give the lines below the figure."""
    how_to_read = point_marks(frontier.points)
    if view == "rate-distortion":
        how_to_read.append("frontier of NLL and MI")
    if view == "panels":
        how_to_read += panel_notes(frontier.points)
    if attainment is not None:
        how_to_read.append(band_note(attainment))
    return provenance(frontier, how_to_read)


def band_note(attainment: pd.DataFrame) -> str:
    """Say what the bands of the surfaces of `analysis.attainment` are."""
    levels = [f"{level:g}" for level in sorted(attainment["level"].unique())]
    sets = " or ".join(f"{n:,}" for n in sorted(attainment["sets"].unique()))
    of = " and ".join(sorted(attainment["band"].unique())) if "band" in attainment else "sets"
    return (
        f"bands: attained by at least {levels[0]} % and less than {levels[-1]} % of {sets} {of}"
        f", dashes: {', '.join(levels[1:-1])} %"
    )


def save_frontier(
    frontier: Frontier,
    directory: Path,
    *,
    view: str = "frontier",
    style: str = "default",
    attainment: pd.DataFrame | None = None,
) -> list[Path]:
    """Write the points as CSV and Parquet and the figure as PDF, PNG and SVG, each atomically.

    Gives the paths, `frontier.csv` first. The figure is named by the view and, unless that is
    the default, the style: `frontier.png`, `rate_distortion.png`, `frontier_paper.png`. With
    `attainment`, its surfaces are written as `attainment.csv`. The same frontier gives the same
    bytes. Raises `OSError` where the directory cannot be written.
    """
    notes = figure_notes(frontier, view=view, attainment=attainment)
    if style == "paper":
        figure = paper_figure(frontier, attainment=attainment)
    else:
        figure = frontier_figure(frontier, view=view, attainment=attainment)
    points = frontier.points.assign(unit=frontier.unit)
    name = view.replace("-", "_") + ("" if style == "default" else f"_{style}")
    writers: dict[str, Callable[[Path], object]] = {
        "frontier.csv": lambda path: points.to_csv(path, index=False),
        "frontier.parquet": lambda path: points.to_parquet(path, index=False),
    }
    if attainment is not None:
        surfaces = attainment.assign(unit=frontier.unit)
        writers["attainment.csv"] = lambda path: surfaces.to_csv(path, index=False)
    pictures: Mapping[str, Callable[[Path], object]] = picture_writers(figure, notes)
    writers |= {f"{name}.{kind}": write for kind, write in pictures.items()}
    return write_all(writers, directory)
