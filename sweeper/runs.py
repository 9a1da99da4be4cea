"""A run's directory: what lies where, whose it is, and who may write to it now."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sweeper.errors import SweeperError
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
        self.frontier = path / "frontier"
        self.ray = path / "ray"  # Tune's own state, which nothing depends on
        self._lock = path / "driver.lock"

    @property
    def exists(self) -> bool:
        """Say whether there is a run here."""
        return self.experiment_file.is_file()

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

    def described(self) -> dict[str, Any]:
        """Read the resolved experiment as plain data."""
        try:
            described: dict[str, Any] = yaml.safe_load(self.experiment_file.read_text("utf-8"))
        except FileNotFoundError:
            raise SweeperError(
                f"{self.path} is not a run: it has no experiment.yaml; "
                "`sweeper list runs` shows the runs here"
            ) from None
        return described

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Be the run's only driver; the kernel lets go when the process ends, however it ends.

        Raises `SweeperError` while another process drives the run.
        """
        with self._lock.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip() or "another process"
                raise SweeperError(
                    f"{self.path} is being driven by {owner}; wait for it, stop it with Ctrl-C, "
                    "or choose another --name"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}")
            file.flush()
            yield

    def is_driven(self) -> bool:
        """Say whether a driver is at work on this machine."""
        try:
            with self._lock.open("r", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def runs_root(storage: Path | None = None) -> Path:
    """Give the directory that holds runs: `--storage`, else `runs` where the command runs."""
    return storage if storage is not None else Path(RUNS)


def find_run(run: str, storage: Path | None = None) -> RunDirectory:
    """Find a run by name, or by the path of its directory.

    Raises `SweeperError` where there is none.
    """
    for path in (runs_root(storage) / run, Path(run)):
        if (path / "experiment.yaml").is_file():
            return RunDirectory(path)
    raise SweeperError(f"there is no run {run!r} in {runs_root(storage)}; see `sweeper list runs`")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees all of it or none."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
