"""How a run is doing, from wherever its directory can be read: what `sweeper status` says.

The rows say what has ended, the driver's signs of life what is at work. A driver on this machine
is known by its lock; one on another machine, whose locks may not show here, by the age of its
signs. Needs neither torch nor Ray.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.frontier import Frontier
from sweeper.failures import last_line, log_path
from sweeper.heartbeat import CONFIRM, ENDED, SILENT_SECONDS, Beat, read
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import reading

# The states of a run.
MERGED, RUNNING, CONFIRMING, SILENT = "merged", "running", "confirming", "silent"
STOPPED, FINISHED = "stopped", "finished"
LIVE = (RUNNING, CONFIRMING, SILENT)  # those that may change by themselves
NO_FAILURES = ("done", "pruned")  # statuses that nobody needs to look into
CLOCKS_AGREE_SECONDS = 10.0


class Failure(NamedTuple):
    """A trial that did not end well; `log` tells the whole of it, where there is more to tell."""

    trial: str
    arm: str
    seed: int
    status: str
    reason: str
    confirms: str | None
    log: Path | None
    last_line: str | None


class Stored(NamedTuple):
    """What the rows of a run say; trials are counted by their status."""

    n_trials: int
    ended: Mapping[str, int]
    confirmed: Mapping[str, int]  # the fresh trials of its confirmation
    failures: Sequence[Failure]
    frontier: Frontier | None

    @property
    def n_ended(self) -> int:
        """Trials that have ended, however they did."""
        return sum(self.ended.values())


class Look(NamedTuple):
    """A run as it is now. `age` is that of the last sign of life, in seconds, if there is one.

    It is negative where the driver's clock is ahead of this machine's.
    """

    run: RunDirectory
    state: str
    stored: Stored
    beat: Beat | None
    age: float | None
    time: datetime


def stored(run: RunDirectory, damaged: list[str] | None = None) -> Stored:
    """Read what the rows of a run say.

    What is wrong with parts that cannot be read goes to `damaged`; without it, they are an error.
    Raises `SweeperError` for these, and where the experiment is damaged.
    """
    n_trials = run.n_trials
    ended, fresh = (
        ResultStore(directory, damaged).read(
            ["trial_id", "arm", "seed", "status", "reason", "confirms"], final_only=True
        )
        for directory in (run.results, run.confirmation)
    )
    frontier = None
    if (ended["status"] == "done").any():
        frontier = reading.frontier_so_far(run, damaged)
    failures = [_failure(run, row) for table in (ended, fresh) for row in _badly_ended(table)]
    return Stored(n_trials, _counts(ended), _counts(fresh), failures, frontier)


def look(
    run: RunDirectory,
    known: Stored,
    *,
    age: float | None = None,
    now: datetime | None = None,
    host: str | None = None,
) -> Look:
    """Say how a run is doing, of which it is `known` what its rows say.

    `age` is for who has seen how long the last sign of life has not moved; by default it is what
    the two clocks say. `now` and `host` are this machine's.
    """
    now = now or datetime.now(UTC)
    beat = read(run.heartbeat)
    if beat is not None and age is None:
        age = beat.age(now)
    complete = known.n_ended >= known.n_trials
    state = _state(run, beat, age, complete, host or os.uname().nodename)
    return Look(run, state, known, beat, age if beat else None, now)


def _state(
    run: RunDirectory, beat: Beat | None, age: float | None, complete: bool, host: str
) -> str:
    at_rest = FINISHED if complete else STOPPED
    if run.merged_from:
        return MERGED
    is_driven = run.is_driven()
    if beat is None or age is None or beat.state == ENDED:
        return RUNNING if is_driven else at_rest
    if not is_driven and beat.host == host and _would_show(run, beat):
        return at_rest
    if is_driven or age < SILENT_SECONDS:
        return CONFIRMING if beat.command == CONFIRM else RUNNING
    return FINISHED if complete and beat.command != CONFIRM else SILENT


def _would_show(run: RunDirectory, beat: Beat) -> bool:
    """Say whether a driver on this machine would be seen to be at work.

    By its lock; but a driver of a run in an object store holds that of another copy than ours.
    """
    if run.mirror is None:
        return True
    try:
        os.kill(beat.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        return False
    return False


def _badly_ended(table: pd.DataFrame) -> list[dict[str, object]]:
    return table[~table["status"].isin(NO_FAILURES)].to_dict("records")  # type: ignore[return-value]


def _failure(run: RunDirectory, row: Mapping[str, object]) -> Failure:
    trial, reason, confirms = (row[name] for name in ("trial_id", "reason", "confirms"))
    log = log_path(run.failures, str(trial))
    last = last_line(log)
    return Failure(
        trial=str(trial),
        arm=str(row["arm"]),
        seed=int(str(row["seed"])),
        status=str(row["status"]),
        reason="" if pd.isna(reason) else str(reason),  # type: ignore[call-overload]
        confirms=None if pd.isna(confirms) else str(confirms),  # type: ignore[call-overload]
        log=None if last is None else log,
        last_line=last,
    )


def _counts(ended: pd.DataFrame) -> dict[str, int]:
    return {str(status): int(n) for status, n in ended["status"].value_counts().items()}
