"""The lines below a picture that let a reader repeat and judge it."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.axes import MODEL, axis_of, long_name, place_name
from analysis.frontier import Frontier, shared_error
from analysis.membership import AMBIGUOUS, SURE
from analysis.plots.style import GREY


def provenance(frontier: Frontier, how_to_read: Sequence[str] = ()) -> list[str]:
    """Say where the points come from, how many there are, how to read them, and what to beware of.

    `how_to_read` are phrases about the picture; a line each for the rest.
    """
    points = frontier.points
    estimated = points[~points["exact"]]
    both = 0 < len(estimated) < len(points)
    ways = []
    if len(estimated) < len(points):
        ways.append("by enumeration" + " (filled)" * both)
    if len(estimated):
        sampling = f"by importance sampling, K = {names(estimated['samples'])}"
        ways.append(sampling + " (hollow)" * both)
    facts = {
        "run": names(points["run"]) if "run" in points else "",
        "scale": names(points["scale"].fillna("none")) if points["scale"].notna().any() else "",
        "split": names(points["split"]),
        **ways_of(points, " or ".join(ways)),
        "code": names(points["code_version"]),
    }
    n_ambiguous = (points["membership"] == AMBIGUOUS).sum()
    counts = {"done": len(points), "on a frontier": points["on_frontier"].sum()}
    if n_ambiguous:
        counts["ambiguous"] = n_ambiguous
    trials = ", ".join(f"{name}: {n}" for name, n in {**counts, **frontier.left_out}.items())
    return [
        " · ".join(f"{name}: {fact}" for name, fact in facts.items() if fact),
        " · ".join([f"trials {trials}", *how_to_read]),
        *(f"warning: {warning}" for warning in frontier.warnings),
    ]


def ways_of(points: pd.DataFrame, ways: str) -> dict[str, str]:
    """Say how NLL and MI were found; what is shown in its place has its own way."""
    if axis_of(points) == MODEL:
        return {"NLL and MI": ways}
    return {"NLL": ways, place_name(points): long_name(points)}


def point_marks(points: pd.DataFrame) -> list[str]:
    """Say what faint and half-filled markers and bars stand for, as far as there are any."""
    marks = ["faint: dominated"]
    if (points["membership"] == AMBIGUOUS).any():
        marks.append(
            f"half filled: ambiguous, on the frontier in {1 - SURE:.0%} to {SURE:.0%} of draws of "
            "the Monte Carlo errors, or of unknown error"
        )
    if (points["nll_error"] > 0).any():
        marks.append("bars: one Monte Carlo standard error")
    if shared := shared_error(points):
        marks.append(f"shared by all points: {shared}")
    return marks


def names(values: pd.Series) -> str:
    """Give the distinct values as a list."""
    return ", ".join(str(value) for value in values.dropna().unique())


def frame(figure: Figure, points: pd.DataFrame, lines: Sequence[str]) -> None:
    """Put the experiments' names above all of a figure and `lines` below it, in small print."""
    title = textwrap.fill(names(points["experiment"]), 70)
    figure.suptitle(title, x=0.01, ha="left", fontsize="large", parse_math=False)
    footer = "\n".join(textwrap.fill(line, 160) for line in lines)
    figure.supxlabel(footer, x=0.01, ha="left", fontsize="xx-small", color=GREY, parse_math=False)
