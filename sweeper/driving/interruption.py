"""What ends a sweep before its work is done: a signal, or an error that forbids to go on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sweeper.errors import SweeperError
from sweeper.work import Listener

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interruption:
    """Whether the sweep is to stop, and why."""

    def __init__(self) -> None:
        self.requested = False
        self.error: SweeperError | None = None


@contextmanager
def signals(interruption: Interruption, listener: Listener) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGUSR1 end the sweep in good order; another Ctrl-C ends it at once.

    SIGUSR1 is how Slurm is asked to warn of a time limit. A cluster may well send SIGTERM after
    it, or the same signal to every process of a job and from them again.
    """

    def stop(signum: int, frame: Any) -> None:  # noqa: ARG001
        if not interruption.requested:
            interruption.requested = True
            listener.stopping()
        elif signum == signal.SIGINT:
            raise KeyboardInterrupt

    with _handled(stop):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the same signals raise `KeyboardInterrupt`, where there is no sweep to end yet."""

    def stop(signum: int, frame: Any) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    with _handled(stop):
        yield


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
