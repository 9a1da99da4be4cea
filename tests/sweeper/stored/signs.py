"""Signs of life of drivers that tests make up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sweeper.heartbeat import RUN, RUNNING, Beat, RunningTrial
from sweeper.runs import RunDirectory

NOW = datetime(2026, 11, 26, 14, 0, 0, tzinfo=UTC)
AT_WORK = RunningTrial(
    trial="c0ffee-0",
    arm="tiny",
    seed=0,
    step=3,
    n_steps=8,
    loss=1.23456,
    since=NOW - timedelta(seconds=61),
)


def beat(age: float = 2.0, **changes: Any) -> Beat:
    """A sign, by default of a driver that is at work on another machine."""
    usual = {
        "attempt": "a",
        "command": RUN,
        "state": RUNNING,
        "outcome": None,
        "pid": 12,
        "host": "there",
        "started": NOW - timedelta(hours=1),
        "time": NOW - timedelta(seconds=age),
        "every_seconds": 5.0,
        "address": None,
        "workers": 2,
        "trials": 3,
        "ended": {},
        "lost_workers": 0,
        "seconds_left": 90.0,
        "running": [AT_WORK],
    }
    return Beat.model_validate({**usual, **changes})


def leave(run: RunDirectory, age: float = 2.0, **changes: Any) -> None:
    """Leave a sign in a run's directory."""
    run.heartbeat.write_text(beat(age, **changes).model_dump_json())
