"""Which swept knob moved NLL and MI, and where trials collapsed (`sweeper knobs`).

Needs neither torch nor Ray; for importances, scikit-learn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.axes import CODE_SPACE, axis_lines, axis_of
from analysis.collapse import collapse_by_knob
from analysis.frontier import frontier_points
from analysis.importance import (
    EXPLAINED,
    MIN_CONFIGURATIONS,
    importances,
    swept_knobs,
)
from analysis.plots.files import write_all, writers
from analysis.plots.knobs import knobs_figure, numeric_knobs, on_log_scale
from analysis.tables import to_text
from sweeper.errors import SweeperError
from sweeper.results import read_runs
from sweeper.runs import RunDirectory
from sweeper.stored.choices import placed, refuse_mixed, unit_of, writable
from sweeper.stored.protocols import stored_document
from sweeper.swept import swept

NEEDS = "importances need scikit-learn, which is not installed; pip install 'sweeper[analysis]'"


def describe(
    runs: Sequence[RunDirectory],
    *,
    output: Path | None = None,
    force: bool = False,
    collapsed_below: float | None = None,
    mi: str | None = None,
    damaged: list[str] | None = None,
) -> str:
    """Say how much each knob matters and where trials collapse, and write tables and a picture.

    `knobs.csv`, `collapsed.csv` and the picture `knobs` are written to `output`, by default
    where the run's frontier lies. `collapsed_below` is an MI in the unit of the picture.
    `mi` and `damaged` are as for `sweeper.stored.reading.frontier`. Raises
    `SweeperError` where no trial is done or nothing was swept, where runs are of several
    experiments and not `force`, where several runs have no `output`, where the code space is to
    be shown, and where that cannot be written.
    """
    if output is None and len(runs) > 1:
        raise SweeperError("several runs need a directory for their knobs; name it by --output")
    paths = [run.path for run in runs]
    shown = ", ".join(map(str, paths))
    rows = placed(read_runs(paths, final_only=True, damaged=damaged), runs, mi)
    if axis_of(rows) == CODE_SPACE:
        raise SweeperError(
            f"knobs move information, but the code space is a knob; give --mi another than {mi}"
        )
    refuse_mixed(rows, runs, force)
    unit = unit_of(rows)
    found_points = frontier_points(rows, unit)
    points = found_points.points
    if points.empty:
        raise SweeperError(f"{shown}: no trial is done, so there is nothing to learn about knobs")
    if not swept_knobs(points):
        raise SweeperError(f"{shown}: no knob was swept, or all trials have one value of it")
    log = _swept_on_log_scale(runs)
    shares = [
        collapse_by_knob(
            points, knob, unit, log=on_log_scale(points[knob], knob in log), nats=collapsed_below
        )
        for knob in numeric_knobs(points)
    ]
    tables = {"collapsed": pd.concat(shares)} if shares else {}
    lines = [f"{len(points)} trials of {shown}, nats per {unit}"]
    lines += [*axis_lines(points), ""]
    if n_pruned := found_points.left_out.get("pruned"):
        lines[-1:] = [
            f"warning: {n_pruned} pruned trials are left out, so this says little of the knobs "
            "they had",
            "",
        ]
    try:
        found = importances(points)
    except ModuleNotFoundError:
        lines.append(NEEDS)
    else:
        tables["knobs"] = found
        lines += _importance_lines(found)
    if shares:
        lines += ["", "share of collapsed trials, with its 95% interval"]
        lines += [to_text(_collapse_table(of_knob)) for of_knob in shares]
    figure = None
    if shares:
        code = ", ".join(points["code_version"].dropna().unique())
        footer = [f"run: {', '.join(path.name for path in paths)} · code: {code}"]
        figure = knobs_figure(
            points, unit, log=log, collapsed_below=collapsed_below, footer=footer
        )
    written = _save(output or runs[0].frontier, tables, figure)
    return "\n".join([*lines, "", *map(str, written)])


def _swept_on_log_scale(runs: Sequence[RunDirectory]) -> set[str]:
    documents = [stored_document(run) for run in runs]
    spaces = [
        swept(document.get("search", {}), arm)
        for document in documents
        for arm in document.get("arms", {})
    ]
    return {
        path
        for space in spaces
        for path, parameter in space.items()
        if isinstance(parameter, dict) and parameter.get("log")
    }


def _importance_lines(found: pd.DataFrame) -> list[str]:
    """Lay importances out, a line for each arm and figure and a column for each knob."""
    short = _short(list(dict.fromkeys(found["knob"])))
    rows = []
    for (label, figure), some in found.groupby(["label", "figure"], sort=False):
        first = some.iloc[0]
        row = {"arm": str(label), "figure": str(figure), "trials": str(first["n_configurations"])}
        row["R²"] = "" if pd.isna(first["r2"]) else f"{first['r2']:.2f}"
        cells = {short[knob]: "" for knob in short}
        for one in some.itertuples():
            told = f"{one.importance:.2f} ± {one.standard_error:.2f}"
            read = one.verdict in ("matters", "not shown to matter")
            cells[short[str(one.knob)]] = told if read else str(one.verdict)
        rows.append({**row, **cells})
    return [
        "importance: share of the variance among the trials that depends on a knob, ± its "
        "standard error",
        to_text(pd.DataFrame(rows)),
        f"not explained: the forest's cross-validated R² is below {EXPLAINED:g}; "
        f"{MIN_CONFIGURATIONS} configurations an arm are needed",
    ]


def _collapse_table(shares: pd.DataFrame) -> pd.DataFrame:
    """Lay shares out, a line for each part of a knob's range and a column for each arm."""
    [knob] = shares["knob"].unique()
    parts = shares.groupby(["low", "high"], sort=True)
    rows = []
    for (low, high), some in parts:
        row = {str(knob): f"{low:.3g} to {high:.3g}", **dict.fromkeys(shares["label"], "")}
        for one in some.itertuples():
            row[str(one.label)] = (
                f"{one.n_collapsed} of {one.n_trials} [{one.share_low:.2f}, {one.share_high:.2f}]"
            )
        rows.append(row)
    return pd.DataFrame(rows)


def _short(knobs: Sequence[str]) -> dict[str, str]:
    last = [knob.rpartition(".")[2] for knob in knobs]
    return {
        knob: short if last.count(short) == 1 else knob
        for knob, short in zip(knobs, last, strict=True)
    }


def _save(
    directory: Path, tables: Mapping[str, pd.DataFrame], figure: Figure | None
) -> list[Path]:
    files = {k: w for name, table in tables.items() for k, w in writers(name, table).items()}
    with writable(directory):
        return write_all({**files, **writers("knobs", figure=figure)}, directory)
