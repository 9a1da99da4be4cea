"""The structured log of a run, `events.jsonl`: one JSON object a line, for programs and `tail -f`.

Every line has `time` (UTC), `event` and `attempt`, which is one start or resume. The events are
`run_started`, `workers_ready`, `trial_started`, `trial_progress` (of a trial, once a minute),
`worker_lost`, `trial_ended`, `noted`, `stopping` and `run_ended`. The rows, not this, are the
truth: a log that cannot be written is told of once, and the sweep goes on.
"""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweeper.columns import COLUMNS
from sweeper.search import Task
from trainables.masking import mask

LARGEST_BYTES = 8 * 2**20  # then the log becomes `events.1.jsonl`, in place of an older one
PROGRESS_SECONDS = 60.0  # between two reports of one trial
TEXT_CHARACTERS = 2000  # of one text in an event; `failures/` has the whole

_FIGURES = {column.name for column in COLUMNS if str(column.type) == "double"}


class EventLog:
    """Appends events to a file, each by one write, so that a reader sees whole lines.

    The caller holds the run's lock. What a driver that was killed left of a line is cut off.
    """

    def __init__(self, path: Path, attempt: str) -> None:
        self.path, self.attempt = path, attempt
        self.is_broken = False
        self.told_at: dict[str, float] = {}  # when each running trial was last written of
        self.begun_at: dict[str, float] = {}
        with contextlib.suppress(OSError):
            _cut_torn_line(path)

    def write(self, event: str, **fields: Any) -> None:
        """Append an event; texts are without secrets, numbers that are not finite are null."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        document = {"time": now, "event": event, "attempt": self.attempt, **fields}
        line = json.dumps(_plain(document), ensure_ascii=False) + "\n"
        try:
            if self.path.exists() and self.path.stat().st_size > LARGEST_BYTES:
                self.path.replace(self.path.with_suffix(".1.jsonl"))
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, line.encode(errors="replace"))
            finally:
                os.close(file)
            self.is_broken = False
        except OSError as error:
            if not self.is_broken:
                print(f"warning: cannot write {self.path}: {error.strerror}", file=sys.stderr)
            self.is_broken = True

    @contextmanager
    def shown(self, n_workers: int) -> Iterator[None]:
        """Note with how many workers the body trains."""
        self.write("workers_ready", workers=n_workers)
        yield

    def started(self, task: Task) -> None:
        """A worker takes a trial."""
        self.told_at[task.trial_id] = self.begun_at[task.trial_id] = time.monotonic()
        self.write("trial_started", **_identity(task), status="running", knobs=task.values)

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        """A trial has come further."""
        now = time.monotonic()
        if now - self.told_at.get(task.trial_id, now) < PROGRESS_SECONDS:
            return
        self.told_at[task.trial_id] = now
        self.write(
            "trial_progress",
            **_identity(task),
            status="running",
            **{key: report.get(key) for key in ("step", "n_steps", "train_loss", "host")},
        )

    def noted(self, message: str) -> None:
        """Something happened that a person should know of."""
        self.write("noted", message=message)

    def lost(self, task: Task, said: str) -> None:
        """The worker of a trial was lost."""
        self._forget(task)
        self.write("worker_lost", **_identity(task), said=said)

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """A trial has ended."""
        row = rows[-1]
        self.write(
            "trial_ended",
            **_identity(task),
            **{key: row.get(key) for key in ("status", "reason", "step", "host", "device")},
            seconds=self._forget(task),
            figures={name: row[name] for name in row if name in _FIGURES},
        )

    def stopping(self) -> None:
        """The sweep is to end early."""
        self.write("stopping")

    def _forget(self, task: Task) -> float | None:
        self.told_at.pop(task.trial_id, None)
        begun_at = self.begun_at.pop(task.trial_id, None)
        return None if begun_at is None else round(time.monotonic() - begun_at, 3)


def _identity(task: Task) -> dict[str, Any]:
    return {"trial": task.trial_id, "arm": task.arm, "seed": task.seed}


def _plain(value: Any) -> Any:
    """Give a value that is JSON for every reader."""
    match value:
        case Mapping():
            return {str(key): _plain(below) for key, below in value.items()}
        case list() | tuple():
            return [_plain(below) for below in value]
        case bool() | int() | None:
            return value
        case float():
            return float(value) if math.isfinite(value) else None
        case str():
            return mask(value)[:TEXT_CHARACTERS]
        case _:
            return str(value)


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2**20))  # a line is far shorter
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
