"""From the id of a point back to its stored trial."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sweeper.errors import SweeperError
from sweeper.results import ResultStore
from sweeper.roots import Storage, find_run, list_runs, runs_root
from sweeper.runs import RunDirectory

SHORTEST = 6  # characters of an id that are enough to name it
SHOWN = 8


class Point(NamedTuple):
    """A stored trial: its id, its run, its final row with the column `trial`."""

    trial_id: str
    run: RunDirectory
    row: "dict[str, Any]"
    also_in: Sequence[RunDirectory]


def find_point(name: str, *, run: str | None = None, storage: Storage = None) -> Point:
    """Find a trial by its id, or by the beginning of it, in one run or in all there are.

    Where several runs have it, the first of them by name counts. Raises `SweeperError` where there
    is none, or several trials begin so, and where its rows cannot be read.
    """
    runs = [find_run(run, storage)] if run is not None else list_runs(storage)
    where = runs[0].location if run is not None else f"the runs in {runs_root(storage)}"
    damaged: list[str] = []
    stores = [ResultStore(each.results, damaged) for each in runs]
    ids = [store.finished() for store in stores]
    known = sorted(set().union(*ids))
    found = [name] if name in known else [trial for trial in known if trial.startswith(name)]
    unread = "".join(f"\n{problem}" for problem in damaged)
    if not found:
        raise SweeperError(f"there is no trial {name!r} in {where}{_like(name, known)}{unread}")
    if name not in known and len(name) < SHORTEST:
        raise SweeperError(f"{name!r} is too short to name a trial; give {SHORTEST} characters")
    if len(found) > 1:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SweeperError(
            f"{name!r} begins {len(found)} trials: {', '.join(found[:SHOWN])}{more}; name one"
        )
    [trial] = found
    first, *others = [index for index, known in enumerate(ids) if trial in known]
    rows = ResultStore(runs[first].results).trial(trial)
    row = {str(column): value for column, value in rows.iloc[-1].items()}
    return Point(trial, runs[first], row, [runs[index] for index in others])


def _like(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else "; `sweeper frontier` shows ids"
