"""A copy, on this machine, of a run that lies in an object store.

Everything that reads or writes a run works on files. So a run at `s3://bucket/runs/name` has a
local copy, which is brought up to date before it is used and written back after every change. What
workers write while they train, their states and models, goes to the store at once, from whatever
machine they are on. Optuna's journal needs a file system that appends and locks, which object
stores do not: its copy in the store is complete after each trial that was begun or has ended.

A driver's copy is its own. Who only looks at a run has another, so neither disturbs the other.
"""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sweeper.errors import SweeperError
from sweeper.parts import is_whole
from trainables import storage
from trainables.storage import File, StorageError, below

CACHE = "SWEEPER_CACHE_DIR"  # names the directory for copies
RUN_ID = "run.id"  # tells a run from an earlier one of the same name
_REMOTE = ("checkpoints/", "models/")  # which workers read and write themselves
_SENT = "sent"  # a local list of the rows' files that the store has had
_LOCAL = ("ray/", "driver.lock", "driver.lease", _SENT)
_TABLES = ("curves/", "embeddings/")  # of trials
_STORES = ("results/", "confirmation/", *_TABLES)
_PARTS = ".parquet"  # of which each is written once
_FIRST = (RUN_ID, "experiment.yaml", "distinct_trials", "merged_from")


class Mirror:
    """The local copy at `path` of the run at `location`; one that is `driven` is ahead of it.

    All methods raise `SweeperError` where the store cannot be used or the copy cannot be written.
    """

    def __init__(self, location: str, path: Path, *, driven: bool = False) -> None:
        self.location, self.path, self.driven = location, path, driven
        self._synced: dict[str, str] = {}  # local stamps of what the store has, by name

    def peek(self) -> None:
        """Bring what says which run it is up to date, and nothing else."""
        with _refusing():
            self._forget_another()
            for name in _FIRST:
                self._fetch(name)

    def pull(self) -> None:
        """Bring everything up to date.

        What the store has never had stays, to be pushed; but rows that it has had and that have
        gone there, merged or withdrawn by another driver, go here too.
        """
        with _refusing():
            remote = {file.name: file for file in storage.files(self.location)}
            self.peek()
            wanted = {name: file for name, file in remote.items() if not _is_apart(name)}
            here = {file.name: file for file in storage.files(str(self.path))}
            for name, file in wanted.items():
                if name not in _FIRST and not (
                    _is_part(name)
                    and name in here
                    and here[name].size == file.size
                    and is_whole(self.path / name)
                ):
                    self._fetch(name)
            sent = self._sent()
            for name in here.keys() - remote.keys():
                if _is_part(name) and (name in sent or not self.driven):
                    (self.path / name).unlink(missing_ok=True)
            here = {file.name: file for file in storage.files(str(self.path))}
            self._remember(name for name in wanted if _is_part(name))
        self._synced = {name: here[name].stamp for name in wanted if name in here}

    def _sent(self) -> set[str]:
        try:
            return set((self.path / _SENT).read_text("utf-8").splitlines())
        except FileNotFoundError:
            return set()

    def _remember(self, names: Iterable[str]) -> None:
        if new := set(names) - self._sent():
            with (self.path / _SENT).open("a", encoding="utf-8") as file:
                file.writelines(f"{name}\n" for name in sorted(new))

    def identify(self) -> None:
        """Mark a run that has no mark yet, for it is new or was copied there by hand."""
        with _refusing():
            if not (self.path / RUN_ID).exists():
                storage.write(str(self.path / RUN_ID), uuid4().hex.encode())

    def push(self, only: Collection[str] | None = None) -> None:
        """Write what has changed here since the last push or pull to the store.

        What was removed here is removed there. `only` names the files to look at.
        """
        with _refusing():
            here = {file.name: file for file in self._here() if only is None or file.name in only}
            for name in sorted(here, key=_order):
                if self._synced.get(name) != here[name].stamp:
                    self._send(name)
                    self._synced[name] = here[name].stamp
            self._remember(name for name in here if _is_part(name))
            if only is None:
                for name in self._synced.keys() - here.keys():
                    storage.remove(below(self.location, name))
                    del self._synced[name]

    def _here(self) -> Iterator[File]:
        for file in storage.files(str(self.path)):
            if not _is_apart(file.name) and not file.name.endswith((".partial", ".lock")):
                yield file

    def _send(self, name: str) -> None:
        try:
            content = (self.path / name).read_bytes()
        except FileNotFoundError:  # replaced or removed since it was listed
            return
        storage.write(below(self.location, name), content)

    def _fetch(self, name: str) -> None:
        try:
            content = storage.read(below(self.location, name))
        except FileNotFoundError:
            if name in _FIRST:
                (self.path / name).unlink(missing_ok=True)
            return
        storage.write(str(self.path / name), content)

    def _forget_another(self) -> None:
        """Put away the copy of an earlier run of the same name, which was moved or deleted."""
        mine = self.path / RUN_ID
        try:
            theirs = storage.read(below(self.location, RUN_ID))
        except FileNotFoundError:
            theirs = b""
        if self.path.exists() and (not mine.exists() or mine.read_bytes() != theirs):
            if mine.exists():
                self.path.rename(self.path.with_name(f"{self.path.name}.{uuid4().hex[:8]}"))
            else:
                shutil.rmtree(self.path)


def mirror(location: str, *, driven: bool) -> Mirror:
    """Give the copy of a run for one who drives it, or for one who only looks."""
    scheme, _, path = location.partition("://")
    kind = "driven" if driven else "read"
    return Mirror(location, cache() / kind / scheme / path, driven=driven)


def cache() -> Path:
    """Give the directory for copies: what `SWEEPER_CACHE_DIR` names, or the usual place."""
    if named := os.environ.get(CACHE):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweeper"


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a store, or this machine, refuses into what the command line prints."""
    try:
        yield
    except StorageError as error:
        raise SweeperError(f"{error}; mend the access, then go on") from None
    except OSError as error:
        raise SweeperError(
            f"cannot keep a copy in {cache()}: {error.strerror or error}; free space, or let "
            f"{CACHE} name another directory"
        ) from None


def _is_part(name: str) -> bool:
    return name.startswith(_STORES) and name.endswith(_PARTS)


def _is_apart(name: str) -> bool:
    return name.startswith((*_REMOTE, *_LOCAL))


def _order(name: str) -> tuple[int, str]:
    """Rows first: should the rest be lost, it can be made again from them.

    But for the tables of trials, which are there before their rows are.
    """
    return 0 if name.startswith(_TABLES) else 1 if name.startswith("results/") else 2, name
