"""The sign of life of a run's driver, `driver.json`, written anew every few seconds.

Whoever looks at the run, from wherever its directory can be read, learns by whom it is driven and
what is at work. Reading it needs neither torch nor Ray.
"""

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from sweeper.runs import write_atomically

if TYPE_CHECKING:
    from sweeper.progress import Progress

BEAT_SECONDS = 5.0
# Without a sign for so long, the driver has died or its machine cannot be reached. A network file
# system may show a file as it was a minute ago.
SILENT_SECONDS = 90.0

RUN, CONFIRM = "run", "confirm"  # what a driver does
RUNNING, STOPPING, ENDED = "running", "stopping", "ended"  # its states


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # of a newer version, perhaps


class RunningTrial(_Record):
    """A trial at work, as far as its worker has told."""

    trial: str
    arm: str
    seed: int
    step: int
    n_steps: int | None
    loss: float | None
    since: AwareDatetime


class Beat(_Record):
    """What a driver says of itself at one time."""

    attempt: str
    command: str  # RUN, also for `resume` and `extend`, or CONFIRM
    state: str
    outcome: str | None  # of what has ended: done, interrupted, or the error
    pid: int
    host: str
    started: AwareDatetime
    time: AwareDatetime
    every_seconds: float
    address: str | None  # of the Ray cluster, where it is not this machine's own
    workers: int  # 0 while they start
    trials: int
    ended: dict[str, int]  # trials by their status
    lost_workers: int
    seconds_left: float | None
    running: Sequence[RunningTrial]

    @property
    def n_ended(self) -> int:
        """Trials that have ended, however they did."""
        return sum(self.ended.values())

    def age(self, now: datetime) -> float:
        """Seconds since this sign, negative where the driver's clock is ahead of `now`'s."""
        return (now - self.time).total_seconds()


def read(path: Path) -> Beat | None:
    """Read the last sign of life; none where there is none, or one that cannot be read."""
    with contextlib.suppress(OSError, ValidationError):
        return Beat.model_validate_json(path.read_bytes())
    return None


class Heartbeat:
    """Writes signs of life to `path` while its body lasts, and a last one after it.

    `display` knows what is at work. A sign that cannot be written, as on a full disk, is left out.
    """

    def __init__(
        self,
        path: Path,
        display: "Progress",
        *,
        attempt: str,
        command: str = RUN,
        address: str | None = None,
        seconds: float = BEAT_SECONDS,
    ) -> None:
        self.path, self.display, self.seconds = path, display, seconds
        self.attempt, self.command, self.address = attempt, command, address
        self.outcome: str | None = None  # for the caller to say
        self.started = datetime.now(UTC)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        """Give a first sign at once."""
        self._write(RUNNING)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give a last sign, which says that there will be no more."""
        self._end.set()
        self._thread.join()
        self._write(ENDED)

    def _beat(self) -> None:
        while not self._end.wait(self.seconds):
            self._write(STOPPING if self.display.is_stopping else RUNNING)

    def _write(self, state: str) -> None:
        with contextlib.suppress(OSError):
            write_atomically(self.path, self.beat(state).model_dump_json(indent=1) + "\n")

    def beat(self, state: str) -> Beat:
        """Say how things are now."""
        display, now = self.display, datetime.now(UTC)
        ended = state == ENDED
        return Beat(
            attempt=self.attempt,
            command=self.command,
            state=state,
            outcome=self.outcome if ended else None,
            pid=os.getpid(),
            host=os.uname().nodename,
            started=self.started,
            time=now,
            every_seconds=self.seconds,
            address=self.address,
            workers=display.n_workers if display.is_shown else 0,
            trials=display.n_trials,
            ended=dict(display.statuses),
            lost_workers=display.n_lost,
            seconds_left=None if ended else display.seconds_left(),
            running=[] if ended else self._running(now),
        )

    def _running(self, now: datetime) -> list[RunningTrial]:
        begun = time.monotonic()
        return [
            RunningTrial(
                trial=trial.task.trial_id,
                arm=trial.task.arm,
                seed=trial.task.seed,
                step=trial.step,
                n_steps=trial.n_steps or trial.task.config.training.total_steps,
                loss=trial.loss,
                since=now - timedelta(seconds=begun - trial.since),
            )
            for trial in list(self.display.running.values())
        ]
