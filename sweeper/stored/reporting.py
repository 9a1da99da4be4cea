"""The report on stored runs: one HTML page that needs nothing else.

Needs neither torch nor Ray, as `sweeper.stored.reading`.
"""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from analysis.report import report_page
from sweeper.errors import SweeperError
from sweeper.results import read_runs
from sweeper.roots import Storage, runs_root
from sweeper.runs import RunDirectory, write_atomically
from sweeper.stored.choices import placed, refuse_mixed, unit_of, writable

REPORT = "report.html"


def report(
    runs: Sequence[RunDirectory],
    *,
    output: Path | None = None,
    per: str | None = None,
    mi: str | None = None,
    force: bool = False,
    storage: Storage = None,
    damaged: list[str] | None = None,
) -> str:
    """Write the page on `runs`, and say where it lies and what it holds.

    `per` is "observation" or "token", what is shown first, and `mi` the information shown, as for
    `sweeper.stored.choices.placed`. `storage` is where the page's commands
    look for the runs, where that is not the default place. What is wrong with parts that cannot
    be read goes to `damaged`; without it, they are an error. Raises `SweeperError` where no trial
    is stored, where several runs have no `output` file or are of different experiments without
    `force`, and where the page cannot be written.
    """
    if output is None and len(runs) > 1:
        raise SweeperError("several runs need a file for their report; name it by --output")
    path = output or runs[0].frontier / REPORT
    if path.is_dir():
        raise SweeperError(f"cannot write {path}: it is a directory; name a file by --output")
    rows = placed(_rows(runs, damaged), runs, mi)
    refuse_mixed(rows, runs, force)
    page = report_page(
        rows,
        _described(runs, storage),
        unit=unit_of(rows, per),
        written=f"Written by sweeper {version('sweeper')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page)
    counts = ", ".join(f"{n} {status}" for status, n in rows["status"].value_counts().items())
    return f"{path}: {len(page.encode()) / 1e6:.1f} MB, trials: {counts}"


def _rows(runs: Sequence[RunDirectory], damaged: list[str] | None) -> pd.DataFrame:
    """Final rows with all columns, the long `trial` among them."""
    paths = [run.path for run in runs]
    rows = read_runs(paths, final_only=True, damaged=damaged)
    if rows.empty:
        names = ", ".join(str(path) for path in paths)
        raise SweeperError(f"{names}: no trial has ended yet, so there is nothing to report")
    key = ["run", "trial_id"]
    trials = read_runs(paths, ["trial_id", "trial"], final_only=True, damaged=damaged)
    return rows.merge(trials[[*key, "trial"]], on=key, how="left", validate="one_to_one")


def _described(runs: Sequence[RunDirectory], storage: Storage) -> list[Mapping[str, str]]:
    """What each run says of itself, under the name that `read_runs` gives it."""
    distinct = {run.path.resolve(): run for run in runs}
    names = [path.name for path in distinct]
    return [
        {
            "name": path.name if names.count(path.name) == 1 else str(path),
            "description": run.description,
            "experiment": run.experiment_file.read_text("utf-8"),
            "rerun": _rerun(run, storage),
        }
        for path, run in distinct.items()
    ]


def _rerun(run: RunDirectory, storage: Storage) -> str:
    """Give the command that trains a trial of `run` again, TRIAL_ID for its id."""
    if not runs_root(storage).holds(run):
        return f"sweeper rerun TRIAL_ID --run {shlex.quote(run.location)}"
    return "sweeper rerun TRIAL_ID" + (
        f" --storage {shlex.quote(str(storage))}" if storage else ""
    )
