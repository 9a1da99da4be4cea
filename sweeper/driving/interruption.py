"""What ends a sweep before its work is done: a signal, or an error that forbids to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweeper.errors import SweeperError
from sweeper.work import Listener


class Interruption:
    """Whether the sweep is to stop, and why."""

    def __init__(self) -> None:
        self.requested = False
        self.error: SweeperError | None = None


@contextmanager
def signals(interruption: Interruption, listener: Listener) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the sweep in good order; a second one ends it at once."""

    def stop(signum: int, frame: Any) -> None:  # noqa: ARG001
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True
        listener.stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
