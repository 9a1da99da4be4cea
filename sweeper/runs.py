"""A run's directory: what lies where, whose it is, and who may write to it now."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import yaml

from sweeper.errors import SweeperError
from sweeper.located import nearest
from sweeper.results import RESULTS

RUNS = "runs"


class RunDirectory:
    """`runs/<name>/` of one experiment.

    Reading it needs neither torch nor Ray.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.experiment_file = path / "experiment.yaml"
        self.results = path / RESULTS
        self.journal = path / "study.journal"
        self.checkpoints = path / "checkpoints"
        self.models = path / "models"  # of the trials on a frontier
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
        self._lock = path / "driver.lock"

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
        except OSError as error:
            raise SweeperError(
                f"cannot write the run directory {self.path}: {error.strerror}; "
                "free space or choose another --storage"
            ) from None

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

    def merge(self, runs: Sequence[Path], n_trials: int) -> None:
        """Note that this is the union of other runs, and that it has `n_trials`.

        Raises `OSError` where that cannot be written.
        """
        write_atomically(self._n_distinct, str(n_trials))
        write_atomically(self._merged_from, "".join(f"{run}\n" for run in runs))

    def refuse_merged(self) -> None:
        """Raise `SweeperError` where this is the union of other runs, which has no studies."""
        if runs := self.merged_from:
            raise SweeperError(
                f"{self.path} is merged from {', '.join(runs)} and cannot be trained further; "
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
        """Be the run's only driver; the kernel lets go when the process ends, however it ends.

        Raises `SweeperError` while another process drives the run, and where the directory cannot
        be written.
        """
        try:
            file = self._lock.open("a+", encoding="utf-8")
        except OSError as error:
            raise SweeperError(
                f"cannot write {self._lock}: {error.strerror}; make the run writable"
            ) from None
        with file:
            try:
                _lock(file)
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip() or "another process"
                raise SweeperError(
                    f"{self.path} is being driven by {owner}; wait for it, stop it with Ctrl-C, "
                    "or choose another --name"
                ) from None
            with contextlib.suppress(OSError):  # a full disk; the lock itself is the kernel's
                file.truncate(0)
                file.write(f"process {os.getpid()} on {os.uname().nodename}")
                file.flush()
            yield

    @contextmanager
    def marked(self) -> Iterator[Path]:
        """Give a file with a text that is nowhere else, to be looked for from other machines.

        Raises `SweeperError` where it cannot be written.
        """
        marker = (self.path / f".seen-{uuid4().hex}").absolute()
        try:
            write_atomically(marker, marker.name)
            yield marker
        except OSError as error:
            raise SweeperError(
                f"cannot write {marker}: {error.strerror}; make the run writable"
            ) from None
        finally:
            marker.unlink(missing_ok=True)

    def is_driven(self) -> bool:
        """Say whether a driver is at work on this machine."""
        try:
            with self._lock.open("r", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _lock(file: TextIO) -> None:
    for _ in range(20):  # whoever looks at the run holds the lock too, for an instant
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.01)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def runs_root(storage: Path | None = None) -> Path:
    """Give the directory that holds runs: `--storage`, else `runs` where the command runs."""
    return storage if storage is not None else Path(RUNS)


def find_run(run: str, storage: Path | None = None) -> RunDirectory:
    """Find a run by name, or by the path of its directory.

    Raises `SweeperError` where there is none.
    """
    root = runs_root(storage)
    for path in (root / run, Path(run)):
        if (found := RunDirectory(path)).exists:
            return found
    hint = nearest(run, [known.path.name for known in list_runs(storage)])
    raise SweeperError(f"there is no run {run!r} in {root}{hint}; see `sweeper list runs`")


def list_runs(storage: Path | None = None) -> list[RunDirectory]:
    """Give the runs that there are, by name."""
    files = sorted(runs_root(storage).glob("[!.]*/experiment.yaml"))
    return [RunDirectory(file.parent) for file in files]


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees all of it or none."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
