"""A run's directory: what lies where, whose it is, and who may write to it now."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from sweeper.errors import SweeperError
from sweeper.lease import leased
from sweeper.lock import is_locked, locked
from sweeper.mirror import Mirror
from sweeper.results import RESULTS
from trainables.storage import below, remove, write

CHECKPOINTS, MODELS = "checkpoints", "models"  # which workers read and write


class RunDirectory:
    """`runs/<name>/` of one experiment.

    `path` is where its files are on this machine, `location` where the run lies: the same, unless
    it lies in an object store and has a `mirror` here. Reading it needs neither torch nor Ray.
    """

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        self.path, self.mirror = path, mirror
        self.location = mirror.location if mirror else str(path)
        self.experiment_file = path / "experiment.yaml"
        self.results = path / RESULTS
        self.journal = path / "study.journal"
        self.checkpoints = path / CHECKPOINTS
        self.models = path / MODELS  # of the trials on a frontier
        self.confirmation = path / "confirmation"  # a store like `results`
        self.frontier = path / "frontier"
        self.comparison = path / "comparison"
        self.failures = path / "failures"  # a log for each trial that failed or lost its worker
        self.events = path / "events.jsonl"  # the structured log
        self.heartbeat = path / "driver.json"  # the driver's signs of life
        self.logs = path / "logs"  # for other programs, where they were asked for
        self.ray = path / "ray"  # Tune's own state, which nothing depends on
        self._n_distinct = path / "distinct_trials"
        self._merged_from = path / "merged_from"
        self._is_lost = False  # to another driver, of a run in an object store
        # Beside a copy, which may be put away as a whole.
        self._lock = path.with_name(f"{path.name}.lock") if mirror else path / "driver.lock"

    @property
    def exists(self) -> bool:
        """Say whether there is a run here.

        Raises `SweeperError` where that cannot be seen.
        """
        try:
            return self.experiment_file.is_file()
        except OSError as error:
            raise SweeperError(
                f"cannot look into {self.path}: {error.strerror}; name another run"
            ) from None

    def create(self, experiment_text: str) -> None:
        """Make the directory of a new run.

        Raises `SweeperError` where it cannot be written or holds something that is no run.
        """
        try:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise SweeperError(
                    f"{self.path} exists and is not a run; choose another --name, or move it away"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.experiment_file, experiment_text)
            if self.mirror:
                self.mirror.identify()
            self.publish()
        except OSError as error:
            raise SweeperError(
                f"cannot write the run directory {self.path}: {error.strerror}; "
                "free space or choose another --storage"
            ) from None

    def shared(self, *names: str) -> str:
        """Give the location of something that all workers read and write, as text.

        It is one for `trainables.storage`; a path is absolute.
        """
        root = self.mirror.location if self.mirror else str(self.path.absolute())
        return below(root, *names)

    def publish(self, *names: str) -> None:
        """Bring an object store up to date with what was written, or with the files of `names`.

        Raises `SweeperError` where that cannot be done.
        """
        if self.mirror:
            self.mirror.push(names or None)

    @property
    def description(self) -> str:
        """What the experiment says of itself.

        Raises `SweeperError` where its file is damaged, as `n_trials` does.
        """
        return str(self.document().get("description", ""))

    @property
    def sampler(self) -> str:
        """The name of what proposed the trials, as the experiment says it, e.g. `auto`.

        Raises `SweeperError` where its file is damaged.
        """
        try:
            return str(self.document()["search"].get("sampler", {}).get("name", "auto"))
        except (KeyError, TypeError, AttributeError) as error:
            raise self._damaged(error) from None

    @property
    def maximizes(self) -> str:
        """The information on its frontier's axis, as the experiment says it, e.g. `mi_q`.

        Raises `SweeperError` where its file is damaged.
        """
        try:
            return str(self.document().get("frontier", {}).get("maximize", "mi"))
        except AttributeError as error:
            raise self._damaged(error) from None

    @property
    def n_trials(self) -> int:
        """The number of trials that the whole run has.

        As many as its experiment says, or the fewer that were left when a sweep that proposed
        some of them twice was finished.
        """
        described = self.document()
        try:
            search = described["search"]
            planned = int(len(described["arms"]) * search["trials"] * search["seeds"])
            left = int(self._n_distinct.read_text()) if self._n_distinct.exists() else planned
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise self._damaged(error) from None
        return min(planned, left)

    @property
    def merged_from(self) -> tuple[str, ...]:
        """The directories of the runs that this one is the union of; none if it was trained.

        Raises `SweeperError` where that cannot be read.
        """
        try:
            return tuple(self._merged_from.read_text("utf-8").splitlines())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise SweeperError(
                f"cannot read {self._merged_from}: {error}; merge the runs again"
            ) from None

    def merge(self, runs: Sequence[Path | str], n_trials: int) -> None:
        """Note that this is the union of other runs, and that it has `n_trials`.

        Raises `OSError` where that cannot be written.
        """
        write_atomically(self._n_distinct, str(n_trials))
        write_atomically(self._merged_from, "".join(f"{run}\n" for run in runs))

    def refuse_merged(self) -> None:
        """Raise `SweeperError` where this is the union of other runs, which has no studies."""
        if runs := self.merged_from:
            raise SweeperError(
                f"{self.location} is merged from {', '.join(runs)} and cannot be trained further; "
                "extend one of those and merge them again"
            )

    def extend(self, experiment_text: str) -> None:
        """Put an experiment with more trials in the place of the one before.

        The caller holds the run's lock. Raises `SweeperError` where it cannot be written.
        """
        try:
            self._n_distinct.unlink(missing_ok=True)  # first: to be without it does no harm
            write_atomically(self.experiment_file, experiment_text)
        except OSError as error:
            raise SweeperError(
                f"cannot write below {self.path}: {error.strerror}; free space and try again"
            ) from None

    def finish(self, n_trials: int) -> None:
        """Note that all trials have ended, and that they are `n_trials`.

        Raises `SweeperError` where that cannot be written.
        """
        if n_trials >= self.n_trials:
            return
        try:
            write_atomically(self._n_distinct, str(n_trials))
        except OSError as error:
            raise SweeperError(
                f"cannot write {self._n_distinct}: {error.strerror}; free space and resume the run"
            ) from None

    def document(self) -> dict[str, Any]:
        """Give the stored experiment as plain values.

        Raises `SweeperError` where its file is damaged.
        """
        try:
            described = yaml.safe_load(self.experiment_file.read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise self._damaged(error) from None
        if not isinstance(described, dict):
            raise self._damaged("it holds no experiment")
        return described

    def _damaged(self, why: object) -> SweeperError:
        reason = " ".join(str(why).split())
        return SweeperError(
            f"{self.experiment_file} is damaged ({reason}); put back a copy, or move the run away"
        )

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Be the run's only driver.

        Raises `SweeperError` while another process drives the run, and where the directory cannot
        be written.
        """
        with locked(self._lock, self.location):
            if self.mirror is None:
                yield
                return
            with leased(
                self.mirror.location + "/driver.lease",
                self.location,
                beat=lambda: self.publish(self.heartbeat.name, self.events.name),
                lost=self._lost,
                say=print,
            ):
                self.mirror.pull()
                self.mirror.identify()
                yield
                if not self._is_lost:
                    self.publish()

    @contextmanager
    def marked(self) -> Iterator[str]:
        """Give the location of a file whose text is its name, to be looked for from elsewhere.

        Raises `SweeperError` where it cannot be written.
        """
        name = f".seen-{uuid4().hex}"
        marker = self.shared(name)
        try:
            write(marker, name.encode())
            yield marker
        except OSError as error:
            raise SweeperError(
                f"cannot write {marker}: {error.strerror or error}; make the run writable"
            ) from None
        finally:
            with suppress(OSError):
                remove(marker)

    def is_driven(self) -> bool:
        """Say whether a driver is at work on this machine."""
        return is_locked(self._lock)

    def _lost(self) -> None:
        """Stop in good order where another driver has taken over."""
        self._is_lost = True
        print(
            f"{self.location}: another driver has taken over while the store was out of reach",
            flush=True,
        )
        os.kill(os.getpid(), signal.SIGTERM)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees all of it or none."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that was killed, or a link to elsewhere
        with partial.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
