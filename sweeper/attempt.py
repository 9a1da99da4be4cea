"""One start or resume of a run's work, and all who are told of it."""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from uuid import uuid4

from sweeper.errors import SweeperError
from sweeper.eventlog import EventLog
from sweeper.heartbeat import RUN, Heartbeat
from sweeper.loggers import Everybody, Logger
from sweeper.progress import Progress
from sweeper.runs import RunDirectory
from sweeper.work import Listener
from trainables.failures import describe
from trainables.masking import mask

DONE, INTERRUPTED = "done", "interrupted"  # outcomes; any other is an error's text


@contextmanager
def attempt(
    directory: RunDirectory,
    display: Progress,
    loggers: Sequence[Logger] = (),
    *,
    command: str = RUN,
    address: str | None = None,
) -> Iterator[Listener]:
    """Give the listener of a drive that tells the display, the loggers and the run's directory.

    While the body lasts the directory holds a heartbeat; its beginning, its events and its end
    go to the structured log. The caller holds the run's lock. `address` is that of the Ray
    cluster, where it is not started for this run.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"
    log = EventLog(directory.events, name)
    log.write(
        "run_started",
        command=command,
        pid=os.getpid(),
        host=platform.node(),
        address=address,
        version=version("sweeper"),
        trials=display.n_trials,
        ended=display.statuses,
    )
    heartbeat = Heartbeat(
        directory.heartbeat, display, attempt=name, command=command, address=address
    )
    with heartbeat:
        try:
            yield Everybody(display, loggers, log)
            heartbeat.outcome = INTERRUPTED if display.is_stopping else DONE
        except BaseException as error:
            heartbeat.outcome = _outcome(error)
            raise
        finally:
            log.write("run_ended", outcome=heartbeat.outcome, ended=display.statuses)


def _outcome(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, SweeperError):
        return mask(str(error))
    return describe(error).reason
