"""What stored results say: the frontier of one run or several.

Needs neither torch nor Ray, so it works wherever results can be read.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import frontier as pareto
from analysis.attainment import error_attainment, seed_attainment
from analysis.axes import MODEL, axis_lines, axis_of
from analysis.membership import AMBIGUOUS
from analysis.plots.frontier import save_frontier
from analysis.plots.training import save_training
from analysis.tables import frontier_table, to_text
from analysis.training import has_several_steps, training_curves
from sweeper.errors import SweeperError
from sweeper.results import read_runs
from sweeper.runs import RunDirectory
from sweeper.stored.choices import (
    UNITS,
    check_choice,
    placed,
    refuse_mixed,
    unit_of,
    writable,
)

VIEWS = ("frontier", "panels", "rate-distortion", "training")
STYLES = ("default", "paper")
BANDS = ("seeds", "error")


def frontier(
    runs: Sequence[RunDirectory],
    *,
    output: Path | None = None,
    per: str | None = None,
    view: str = "frontier",
    style: str = "default",
    band: str | None = None,
    mi: str | None = None,
    force: bool = False,
    damaged: list[str] | None = None,
) -> str:
    """Write the frontier of `runs` as a table and a picture, and say what it is and where it lies.

    `per` is one of `UNITS`, by default token where observations have several; `view`, `style` and
    `band` are of `VIEWS`, `STYLES` and `BANDS`. `mi` is the information shown, as for
    `sweeper.stored.choices.placed`. Runs of different experiments need `force`. What is wrong with
    parts that cannot be read goes to `damaged`; without it, they are an error.

    Raises `SweeperError` for a choice that does not exist or does not go with the others, where
    no trial is stored, where a band or a view needs what the runs do not have, where several runs
    have no `output` directory, and where that cannot be written.
    """
    for option, given, choices in (
        ("--per", per, UNITS),
        ("--view", view, VIEWS),
        ("--style", style, STYLES),
        ("--band", band, BANDS),
    ):
        check_choice(option, given, choices)
    if style == "paper" and view != "frontier":
        raise SweeperError(f"--style paper goes with --view frontier only; got --view {view}")
    if band and view not in ("frontier", "panels"):
        raise SweeperError(
            f"--band {band} goes with --view frontier or panels only; got --view {view}"
        )
    if output is None and len(runs) > 1:
        raise SweeperError("several runs need a directory for their frontier; name it by --output")
    rows = _rows(runs, damaged, mi, final_only=view != "training")
    refuse_mixed(rows, runs, force)
    if view == "rate-distortion" and axis_of(rows) != MODEL:
        raise SweeperError(
            f"--view rate-distortion is about the information of the model; add --mi {MODEL}"
        )
    found = _frontier(rows, per)
    if found.points.empty:
        return "\n".join([*described(found), "nothing to draw"])
    directory = output or runs[0].frontier
    lines = described(found)
    with writable(directory):
        if view == "training":
            paths = save_training(_curves(rows, found, runs), found, directory)
        else:
            surfaces = None
            if band is not None:
                surfaces = _surfaces(found.points, band)
                without = set(found.points["label"]) - set(surfaces["label"])
                lines += [f"no band: {label}, for want of {band}" for label in sorted(without)]
            paths = save_frontier(found, directory, view=view, style=style, attainment=surfaces)
    return "\n".join([*lines, "", *map(str, paths)])


def frontier_so_far(run: RunDirectory, damaged: list[str] | None = None) -> pareto.Frontier:
    """Give the frontier of a run, which need not be complete; `damaged` is as for `frontier`.

    Raises `SweeperError` where no trial has ended.
    """
    return _frontier(_rows([run], damaged, None), None)


def _rows(
    runs: Sequence[RunDirectory],
    damaged: list[str] | None,
    mi: str | None,
    *,
    final_only: bool = True,
) -> pd.DataFrame:
    paths = [run.path for run in runs]
    rows = read_runs(paths, final_only=final_only, damaged=damaged)
    if rows.empty:
        names = ", ".join(str(path) for path in paths)
        raise SweeperError(f"{names}: no trial has ended yet, so there is no frontier")
    return placed(rows, runs, mi)


def _frontier(rows: pd.DataFrame, per: str | None) -> pareto.Frontier:
    return pareto.frontier_points(rows, unit_of(rows, per))


def _surfaces(points: pd.DataFrame, band: str) -> pd.DataFrame:
    if band == "seeds":
        surfaces = seed_attainment(points).assign(band="seeds")
        problem = "no arm has two; train every configuration with several by search.seeds"
    else:
        surfaces = error_attainment(points).assign(band="draws of the Monte Carlo errors")
        problem = "no point has a known error above 0; exact values need no band"
    if surfaces.empty:
        raise SweeperError(f"--band {band}: {problem}")
    return surfaces


def _curves(
    rows: pd.DataFrame, found: pareto.Frontier, runs: Sequence[RunDirectory]
) -> pd.DataFrame:
    curves = training_curves(rows, found)
    if not has_several_steps(curves):
        raise SweeperError(
            f"{' '.join(run.location for run in runs)}: every trial was evaluated at its last "
            "step only; set evaluation.every in the experiment and run it under another name"
        )
    return curves


def described(found: pareto.Frontier) -> list[str]:
    """Give the frontier's table, what was left out of it, and what to beware of."""
    points = found.points
    n_on, n = points["on_frontier"].sum(), len(points)
    lines = [f"Pareto frontier, nats per {found.unit}: {n_on} of {n} trials"]
    lines += axis_lines(points)
    if n:
        lines += ["", to_text(frontier_table(points, found.unit))]
    if n_ambiguous := (points["membership"] == AMBIGUOUS).sum():
        n_shown = (points["on_frontier"] & (points["membership"] == AMBIGUOUS)).sum()
        lines.append(
            f"ambiguous: {n_ambiguous} of {n} trials, {n_shown} of them above; by their Monte "
            "Carlo errors they may or may not be on the frontier"
        )
    if shared := pareto.shared_error(points):
        lines.append(f"shared by all points: {shared}")
    for reason, count in found.left_out.items():
        lines.append(f"left out: {count} {reason}")
    return [*lines, *(f"warning: {warning}" for warning in found.warnings)]
