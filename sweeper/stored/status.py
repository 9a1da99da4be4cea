"""A look at a run in words, and as a document for programs."""

import math
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from analysis.axes import axis_of
from analysis.frontier import Frontier
from sweeper.clock import clock
from sweeper.heartbeat import ENDED, SILENT_SECONDS, STOPPING, Beat, RunningTrial
from sweeper.stored import reading
from sweeper.stored.looking import (
    CLOCKS_AGREE_SECONDS,
    CONFIRMING,
    FINISHED,
    LIVE,
    MERGED,
    SILENT,
    STOPPED,
    Failure,
    Look,
)
from trainables.failures import REASON_CHARACTERS, shortened

SHOWN_REASONS = 10
SHOWN_RUNNING = 20
FORMAT = 1  # of the document; keys are added, never changed


def text(seen: Look) -> str:
    """Say how far a run is, what is at work, what failed and why, and its frontier so far."""
    known, run = seen.stored, seen.run
    lines = [
        f"{run.location}: {seen.state}; {known.n_ended} of {known.n_trials} trials have ended"
        + _by_status(known.ended)
    ]
    lines += [f"  from {path}" for path in run.merged_from]
    if seen.state == STOPPED:
        lines.append(f"continue with: {_resume(seen)}")
    lines += _driver(seen)
    if seen.state == CONFIRMING and seen.beat is not None:
        n, ended = seen.beat.trials, seen.beat.ended
        lines.append(
            f"  its confirmation: {seen.beat.n_ended} of {n} fresh trials have ended"
            + _by_status(ended)
        )
    elif known.confirmed:
        n = sum(known.confirmed.values())
        lines.append(f"  its confirmation: {n} fresh trials{_by_status(known.confirmed)}")
    running = _running(seen)
    lines += [_at_work(trial, seen) for trial in running[:SHOWN_RUNNING]]
    if len(running) > SHOWN_RUNNING:
        lines.append(f"  and {len(running) - SHOWN_RUNNING} more at work")
    for failure in known.failures[:SHOWN_REASONS]:
        lines += _told(failure)
    if len(known.failures) > SHOWN_REASONS:
        more = len(known.failures) - SHOWN_REASONS
        lines.append(f"  and {more} more; see the rows, or --json")
    if known.ended.get("failed") and seen.state in (STOPPED, FINISHED):
        lines.append(f"train what failed again with: {_resume(seen)} --retry-failed")
    if known.frontier is not None:
        lines += ["", *reading.described(known.frontier)]
    return "\n".join(lines)


def document(seen: Look) -> dict[str, Any]:
    """Give all of it as JSON values, under keys that stay; numbers that are not known are null."""
    known, beat = seen.stored, seen.beat
    live = seen.state in LIVE
    return {
        "format": FORMAT,
        "run": seen.run.location,
        "time": seen.time.isoformat(timespec="seconds"),
        "state": seen.state,
        "trials": {
            "total": known.n_trials,
            "ended": known.n_ended,
            "running": len(_running(seen)),
            "by_status": dict(known.ended),
        },
        "confirmation": {
            "total": beat.trials if seen.state == CONFIRMING and beat else None,
            "ended": sum(known.confirmed.values()),
            "by_status": dict(known.confirmed),
        },
        "seconds_left": beat.seconds_left if live and beat else None,
        "driver": _driver_document(beat, seen.age),
        "running": [trial.model_dump(mode="json") for trial in _running(seen)],
        "failures": [
            {**failure._asdict(), "log": str(failure.log) if failure.log else None}
            for failure in known.failures
        ],
        "frontier": None if known.frontier is None else _points(known.frontier),
        "merged_from": list(seen.run.merged_from),
        "resume": _resume(seen) if seen.state in (STOPPED, SILENT) else None,
    }


def _driver_document(beat: Beat | None, age: float | None) -> dict[str, Any] | None:
    if beat is None:
        return None
    kept = beat.model_dump(mode="json", exclude={"running", "trials", "ended", "seconds_left"})
    return {**kept, "age_seconds": age}


def _points(found: Frontier) -> dict[str, Any]:
    on = found.points[found.points["on_frontier"]].sort_values(["label", "mi_value"])
    columns = {
        "arm": "arm",
        "trial_id": "trial",
        "seed": "seed",
        "nll_value": "nll",
        "nll_error": "nll_se",
        "mi_value": "mi",
        "mi_error": "mi_se",
        "exact": "exact",
        "membership": "membership",
    }
    records = on[list(columns)].rename(columns=columns).to_dict("records")
    points = [{str(key): _json(value) for key, value in point.items()} for point in records]
    return {"unit": found.unit, "axis": axis_of(found.points), "points": points}


def _json(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _running(seen: Look) -> list[RunningTrial]:
    return list(seen.beat.running) if seen.beat and seen.state in LIVE else []


def _resume(seen: Look) -> str:
    return f"sweeper resume {shlex.quote(seen.run.location)}"


def _driver(seen: Look) -> Iterator[str]:
    """Say who drives a run, or how its last driver ended."""
    beat, age = seen.beat, seen.age
    if beat is None or age is None or seen.state == MERGED:
        return
    who = f"process {beat.pid} on {beat.host}"
    if seen.state == SILENT:
        yield (
            f"  {who} has given no sign of life for {clock(age)}, since {_at(beat.time)}: it, or "
            "its machine, may have died or be cut off"
        )
        yield f"  once that is certain, continue with: {_resume(seen)}"
    elif beat.state == ENDED:
        if seen.state == STOPPED and beat.outcome == "interrupted":
            yield f"  interrupted at {_at(beat.time)}"
        elif seen.state == STOPPED and beat.outcome != "done":
            yield f"  ended at {_at(beat.time)} by an error: {beat.outcome}"
    elif seen.state not in LIVE:
        yield f"  {who} ended without a word after {_at(beat.time)}, as it does when it is killed"
    else:
        yield f"  driven by {who} since {_at(beat.started)}; {_sign(age)}"
        yield "  " + "; ".join(_conditions(seen, beat))


def _sign(age: float) -> str:
    if age < -CLOCKS_AGREE_SECONDS:
        return (
            f"its last sign of life is {clock(-age)} ahead of this machine's clock, so the clocks "
            "differ; --watch sees whether it moves"
        )
    if age > SILENT_SECONDS:
        return f"no sign of life for {clock(age)}: it hangs, or is held still"
    return f"last sign of life {max(0, round(age))} s ago"


def _conditions(seen: Look, beat: Beat) -> Iterator[str]:
    if beat.workers == 0:
        yield "its workers are starting"
    else:
        yield f"{beat.workers} worker{'s' * (beat.workers != 1)}"
    if beat.address:
        yield f"Ray at {beat.address}"
    if beat.state == STOPPING:
        yield "stopping: running trials save their state"
    elif beat.seconds_left is not None:
        yield f"about {clock(beat.seconds_left)} left"
    if beat.lost_workers:
        lost = "1 worker was" if beat.lost_workers == 1 else f"{beat.lost_workers} workers were"
        yield f"{lost} lost, see {seen.run.failures}"


def _at_work(trial: RunningTrial, seen: Look) -> str:
    loss = "" if trial.loss is None else f", loss {trial.loss:.4g}"
    now = seen.beat.time if seen.beat else seen.time  # by the clock that has seen it begin
    was = "last seen running" if seen.state == SILENT else "running"
    return (
        f"  {trial.arm} {trial.trial} {was}: step {trial.step}/{trial.n_steps or '?'}{loss}, "
        f"for {clock(max(0.0, (now - trial.since).total_seconds()))}"
    )


def _told(failure: Failure) -> Iterator[str]:
    yield f"  {failure.arm} {failure.trial} {failure.status}: {failure.reason}"
    if failure.log is not None:
        if failure.last_line and failure.last_line not in failure.reason:
            yield f"    last line: {shortened(failure.last_line, REASON_CHARACTERS)}"
        yield f"    in full: {failure.log}"


def _by_status(counts: Mapping[str, int]) -> str:
    return "".join(f", {n} {status}" for status, n in counts.items())


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
