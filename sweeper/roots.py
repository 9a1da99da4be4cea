"""What holds runs, a directory or a prefix in an object store, and how one is found there."""

import os
from collections.abc import Iterable
from pathlib import Path

from sweeper.errors import SweeperError
from sweeper.located import nearest
from sweeper.mirror import mirror
from sweeper.runs import RunDirectory
from trainables.masking import mask
from trainables.storage import below, check, directories, is_remote

RUNS = "runs"
Storage = str | os.PathLike[str] | None  # where runs lie: a directory, an address, or `runs`


class Root:
    """What holds runs: a directory, or a prefix in an object store."""

    def __init__(self, storage: Storage = None) -> None:
        self.location = RUNS if storage is None else os.fspath(storage)
        if is_remote(self.location):
            self.location = _checked(self.location)

    def __str__(self) -> str:
        """Give the location, as it was named."""
        return self.location

    @property
    def is_remote(self) -> bool:
        """Say whether runs lie in an object store."""
        return is_remote(self.location)

    def run(self, name: str, *, to_drive: bool = False) -> RunDirectory:
        """Give the run of a name, whether it exists or not.

        Of one in an object store, what says which run it is has been fetched; unless it is
        `to_drive`, so has everything else. Raises `SweeperError` where that cannot be done.
        """
        if not self.is_remote:
            return RunDirectory(Path(self.location) / name)
        return remote_run(below(self.location, name), to_drive=to_drive)

    def holds(self, run: RunDirectory) -> bool:
        """Say whether a run is right below."""
        if run.mirror:
            return run.location.rpartition("/")[0] == self.location
        return run.path.resolve().parent == Path(self.location).resolve()

    def names(self) -> list[str]:
        """Give the names of what is there, runs for the most part, in order.

        Raises `SweeperError` where an object store cannot be used.
        """
        if not self.is_remote:
            found = Path(self.location).glob("[!.]*/experiment.yaml")
            return sorted(file.parent.name for file in found)
        try:
            return directories(self.location)
        except OSError as error:
            raise SweeperError(str(error)) from None


def remote_run(location: str, *, to_drive: bool = False) -> RunDirectory:
    """Give the run at an address, as `Root.run` does."""
    copy = mirror(_checked(location), driven=to_drive)
    if to_drive:
        copy.peek()
    else:
        copy.pull()
    return RunDirectory(copy.path, copy)


def _checked(location: str) -> str:
    try:
        return check(location)
    except ValueError as error:
        raise SweeperError(f"{mask(location)}: {error}") from None


def runs_root(storage: Storage = None) -> Root:
    """Give what holds runs: `--storage`, else `runs` where the command runs.

    Raises `SweeperError` for an address that is none.
    """
    return Root(storage)


def find_run(run: str, storage: Storage = None, *, to_drive: bool = False) -> RunDirectory:
    """Find a run by name, or by the path or address of its directory.

    Raises `SweeperError` where there is none.
    """
    root = runs_root(storage)
    if is_remote(run):
        above, _, name = run.rstrip("/").rpartition("/")
        root = Root(above)
        candidates: Iterable[RunDirectory] = [root.run(name, to_drive=to_drive)]
    elif root.is_remote:
        candidates = [] if not run else [root.run(run, to_drive=to_drive)]
    else:
        candidates = (RunDirectory(path) for path in (Path(root.location) / run, Path(run)))
    for found in candidates:
        if found.exists:
            return found
    hint = nearest(run, root.names())
    raise SweeperError(f"there is no run {run!r} in {root}{hint}; see `sweeper list runs`")


def list_runs(storage: Storage = None) -> list[RunDirectory]:
    """Give the runs that there are, by name."""
    root = runs_root(storage)
    return [run for run in map(root.run, root.names()) if run.exists]
