"""What stored results say: the state of a run, and the frontier of one or several.

Needs neither torch nor Ray, so it works wherever results can be read.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from analysis import frontier as pareto
from analysis.plots.frontier import save_frontier
from analysis.tables import frontier_table, to_text
from sweeper.errors import SweeperError
from sweeper.results import ResultStore, read_runs
from sweeper.runs import RunDirectory

SHOWN_REASONS = 10


def frontier(
    runs: Sequence[RunDirectory],
    *,
    output: Path | None = None,
    per: str | None = None,
    damaged: list[str] | None = None,
) -> str:
    """Write the frontier of `runs` as a table and a picture, and say what it is and where it lies.

    `per` is "observation" or "token", by default token where observations have several. What is
    wrong with parts that cannot be read goes to `damaged`; without it, they are an error. Raises
    `SweeperError` where no trial is stored, where several runs have no `output` directory, and
    where that cannot be written.
    """
    if output is None and len(runs) > 1:
        raise SweeperError("several runs need a directory for their frontier; name it by --output")
    found = _frontier(runs, per, damaged)
    if found.points.empty:
        return "\n".join([*_described(found), "nothing to draw"])
    directory = output or runs[0].frontier
    try:
        paths = save_frontier(found, directory)
    except OSError as error:
        raise SweeperError(
            f"cannot write {directory}: {error.strerror or error}; "
            "free space or choose another --output"
        ) from None
    return "\n".join([*_described(found), "", *map(str, paths)])


def status(run: RunDirectory, *, damaged: list[str] | None = None) -> str:
    """Say how far a run is, how its trials ended and why, and what its frontier is so far.

    `damaged` is as for `frontier`.
    """
    n_trials = run.n_trials
    store = ResultStore(run.results, damaged)
    ended = store.read(["arm", "trial_id", "status", "reason"], final_only=True)
    counts = ended["status"].value_counts()
    state = _state(run, len(ended) >= n_trials)
    lines = [
        f"{run.path}: {state}; {len(ended)} of {n_trials} trials have ended"
        + "".join(f", {n} {status}" for status, n in counts.items())
    ]
    lines += [f"  from {path}" for path in run.merged_from]
    if state == "stopped":
        lines.append(f"continue with: sweeper resume {shlex.quote(str(run.path))}")
    reasons = ended[ended["status"] != "done"]
    for row in reasons.head(SHOWN_REASONS).itertuples():
        lines.append(f"  {row.arm} {row.trial_id} {row.status}: {row.reason}")
    if len(reasons) > SHOWN_REASONS:
        lines.append(f"  and {len(reasons) - SHOWN_REASONS} more")
    if (ended["status"] == "done").any():
        lines += ["", *_described(_frontier([run], None, damaged))]
    return "\n".join(lines)


def _state(run: RunDirectory, complete: bool) -> str:
    if run.merged_from:
        return "merged"
    if run.is_driven():
        return "running"
    return "finished" if complete else "stopped"


def _frontier(
    runs: Sequence[RunDirectory], per: str | None, damaged: list[str] | None
) -> pareto.Frontier:
    paths = [run.path for run in runs]
    rows = read_runs(paths, final_only=True, damaged=damaged)
    if rows.empty:
        names = ", ".join(str(path) for path in paths)
        raise SweeperError(f"{names}: no trial has ended yet, so there is no frontier")
    match per:
        case "observation" | "token":
            unit: pareto.Unit = per
        case None:
            unit = "token" if (rows["tokens"] > 1).any() else "observation"
        case _:
            raise SweeperError(f"--per takes observation or token; got {per!r}")
    return pareto.frontier_points(rows, unit)


def _described(found: pareto.Frontier) -> list[str]:
    """Give the frontier's table, what was left out of it, and what to beware of."""
    points = found.points
    n_on, n = points["on_frontier"].sum(), len(points)
    lines = [f"Pareto frontier, nats per {found.unit}: {n_on} of {n} trials"]
    if n:
        lines += ["", to_text(frontier_table(points))]
    if shared := pareto.shared_error(points):
        lines.append(f"shared by all points: {shared}")
    for reason, count in found.left_out.items():
        lines.append(f"left out: {count} {reason}")
    return [*lines, *(f"warning: {warning}" for warning in found.warnings)]
