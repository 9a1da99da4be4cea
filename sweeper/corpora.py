"""Corpora on this machine: what there is, fetching it and checking it."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from trainables.data import DATA
from trainables.data.fetch import fetch
from trainables.data.files import DataError, data_root, verify


def listing() -> str:
    """List the data sets, their files' state and their licences."""
    root = data_root()
    lines = [f"data directory: {root}  (set SWEEPER_DATA_DIR to choose another)"]
    for name, data in DATA.items():
        if not data.files:
            state = "made on the fly"
        else:
            found = Counter(verify(file, root) for file in data.files)
            size = sum(file.size for file in data.files) / 1e6
            state = f"{found['ok']} of {len(data.files)} files here, {size:.1f} MB in all"
            if wrong := found["wrong checksum"]:
                state += f"; {wrong} not as published, see `sweeper data verify {name}`"
        lines.append(f"{name:12} {state}")
        if data.licence:
            lines.append(f"{'':12} {data.licence}")
    return "\n".join(lines)


def fetch_all(names: Sequence[str] | None, *, force: bool) -> None:
    """Fetch data sets with a progress bar on stderr.

    Raises `SweeperError` for unknown names and for what cannot be fetched.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    for name in known(names):
        files = DATA[name].files
        if not files:
            print(f"{name}: made on the fly, nothing to fetch")
        for file in files:
            with Progress(*columns, console=console) as progress:
                bar = progress.add_task(file.name, total=file.size)
                advance = partial(_advance, progress, bar)
                try:
                    path = fetch(
                        file, data_root(), siblings=files, force=force, on_progress=advance
                    )
                except DataError as error:
                    raise SweeperError(str(error)) from None
            print(f"{name}: {path}")


def data_checksums(experiment: Experiment) -> dict[str, str]:
    """Load every arm's data once; give their checksums by arm.

    Raises `SweeperError` where data is missing or wrong.
    """
    checksums = {}
    for arm, trial in experiment.example_trials().items():
        try:
            checksums[arm] = trial.data.load(data_root()).sha256
        except DataError as error:
            raise SweeperError(str(error)) from None
    return checksums


def _advance(progress: Progress, bar: TaskID, done: int, total: int) -> None:
    progress.update(bar, completed=done, total=total)


def verification(names: Sequence[str] | None) -> tuple[str, bool]:
    """Say of every file whether it is as published, and whether all are."""
    lines, complete = [], True
    for name in known(names):
        for file in DATA[name].files:
            try:
                state = verify(file, data_root())
            except DataError as error:
                raise SweeperError(str(error)) from None
            complete &= state == "ok"
            lines.append(f"{name}: {file.name}: {state}")
        if not DATA[name].files:
            lines.append(f"{name}: made on the fly, nothing to verify")
    return "\n".join(lines), complete


def known(names: Sequence[str] | None) -> Sequence[str]:
    """Check names of data sets; without any, name all.

    Raises `SweeperError` for a name that no data set has.
    """
    for name in names or []:
        if name not in DATA:
            raise SweeperError(f"there is no data set {name!r}; there are {', '.join(DATA)}")
    return names or list(DATA)
