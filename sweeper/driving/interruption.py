"""What ends a sweep before its work is done: a signal, or an error that forbids to go on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sweeper.errors import SweeperError
from sweeper.work import Listener

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

Handler = Callable[[int, Any], None]


class Interruption:
    """Whether the sweep is to stop, and why."""

    def __init__(self) -> None:
        self.requested = False
        self.error: SweeperError | None = None
        self.handler: Handler | None = None  # of the signals, while they are listened to

    def __getstate__(self) -> dict[str, Any]:
        """Leave the handler, and all that it knows, behind."""
        return {**self.__dict__, "handler": None}

    def take_signals(self) -> None:
        """Take the signals back from whoever has put a handler of their own since.

        Tune does so for SIGUSR1 when it begins, and would end as if all were done.
        """
        if self.handler is not None:
            for number in SIGNALS:
                signal.signal(number, self.handler)


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

    interruption.handler = stop
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
def _handled(handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
