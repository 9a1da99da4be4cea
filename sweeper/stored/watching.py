"""`sweeper status --watch`: one look at a run after another, until it is at rest."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeper.heartbeat import SILENT_SECONDS, read
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import status
from sweeper.stored.looking import LIVE, Look, Stored, look, stored

Draw = Callable[[str], None]


class Watcher:
    """Looks at a run again and again; rows are read anew only when there are new ones."""

    def __init__(self, run: RunDirectory, damaged: list[str] | None = None) -> None:
        self.run, self.damaged = run, damaged
        self._known: tuple[object, Stored] | None = None
        self._sign: datetime | None = None
        self._sign_since, self._has_moved = 0.0, False

    def look(self) -> Look:
        """Look at the run; raises `SweeperError` as `looking.stored` does.

        Also where it lies in an object store that cannot be used.
        """
        if self.run.mirror is not None:
            self.run.mirror.pull()
        return look(self.run, self._stored(), age=self._age())

    def _stored(self) -> Stored:
        stores = (self.run.results, self.run.confirmation)
        key = (*(ResultStore(directory).stamp() for directory in stores), self.run.n_trials)
        if self._known is None or self._known[0] != key:
            self._known = key, stored(self.run, self.damaged)
        return self._known[1]

    def _age(self) -> float | None:
        """Give how long the driver's last sign of life has stood still before our eyes.

        None before it has moved, or stood still for as long as its own clock tells.
        """
        beat, now = read(self.run.heartbeat), time.monotonic()
        if beat is None:
            return None
        if beat.time != self._sign:
            self._has_moved = self._sign is not None
            self._sign, self._sign_since = beat.time, now
        seen_still = now - self._sign_since
        return seen_still if self._has_moved or seen_still > SILENT_SECONDS else None


def show(run: RunDirectory, *, as_json: bool = False, damaged: list[str] | None = None) -> str:
    """Say how a run is doing now."""
    seen = look(run, stored(run, damaged))
    if as_json:
        return json.dumps(status.document(seen), ensure_ascii=False, indent=1)
    return status.text(seen)


def watch(
    run: RunDirectory,
    every: float,
    *,
    as_json: bool = False,
    damaged: list[str] | None = None,
) -> None:
    """Print how a run is doing every so many seconds until it is at rest, or until Ctrl-C.

    A terminal is drawn anew; elsewhere one report follows the other, as JSON one a line.
    """
    watcher = Watcher(run, damaged)
    try:
        with _drawing(as_json) as draw:
            while True:
                seen = watcher.look()
                if as_json:
                    draw(json.dumps(status.document(seen), ensure_ascii=False))
                else:
                    draw(status.text(seen))
                if seen.state not in LIVE:
                    return
                time.sleep(every)
    except KeyboardInterrupt:
        return  # who has seen enough has made no mistake


@contextmanager
def _drawing(as_json: bool) -> Iterator[Draw]:
    if as_json or not sys.stdout.isatty():
        yield lambda text: print(text if as_json else f"{text}\n", flush=True)
        return
    with Live(console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda text: live.update(Text(text), refresh=True)
