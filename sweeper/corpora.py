"""Corpora on this machine: what there is, fetching it and checking it."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

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
from trainables.data.corpus import RemoteFile
from trainables.data.fetch import fetch
from trainables.data.files import DataError, data_root, require, verify
from trainables.pretraining import reserve


def listing() -> str:
    """List the data sets, their files' state, where to get them and their licences."""
    root = data_root()
    width = max(map(len, DATA)) + 1
    lines = [f"data directory: {root}  (set SWEEPER_DATA_DIR to choose another)"]
    for name, data in DATA.items():
        lines.append(f"{name:{width}} {_state(name, root)}")
        if data.source:
            files = ", ".join(file.name for file in data.files)
            lines.append(f"{'':{width}} put here {files}, from {data.source}")
        if data.licence:
            lines.append(f"{'':{width}} {data.licence}")
    return "\n".join(lines)


def _state(name: str, root: Path) -> str:
    data = DATA[name]
    if not data.files:
        return "made on the fly"
    found = Counter(verify(file, root) for file in data.files)
    state = f"{found['ok'] + found['unchecked']} of {len(data.files)} files here"
    sizes = [file.size for file in data.files]
    if known := sum(size for size in sizes if size is not None) / 1e6:
        state += f", {'at least ' * (None in sizes)}{known:.1f} MB in all"
    if unchecked := found["unchecked"]:
        state += f"; {unchecked} without a published checksum"
    if wrong := found["wrong checksum"]:
        state += f"; {wrong} not as published, see `sweeper data verify {name}`"
    return state


def fetch_all(names: Sequence[str], *, force: bool) -> None:
    """Fetch data sets with a progress bar on stderr.

    Of a data set's files, `NAME/FILE` fetches one. Raises `SweeperError` for unknown names, before
    anything is fetched, and for what cannot be fetched.
    """
    for name, files in known(names).items():
        data = DATA[name.partition("/")[0]]
        try:
            if data.source:  # nothing to fetch, all the more to say
                require(data.model_validate({"name": name}), data_root())
                print(f"{name}: all files are here")
            else:
                _fetch(name, files, force=force)
        except DataError as error:
            raise SweeperError(str(error)) from None


def _fetch(name: str, files: Sequence[RemoteFile], *, force: bool) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    if not files:
        print(f"{name}: made on the fly, nothing to fetch")
    for file in files:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task(file.name, total=file.size)
            advance = partial(_advance, progress, bar)
            path = fetch(file, data_root(), siblings=files, force=force, on_progress=advance)
        print(f"{name}: {path}")


def data_checksums(experiment: Experiment) -> dict[str, str]:
    """Load every arm's data once; give their checksums by arm.

    Raises `SweeperError` where data is missing or wrong, or too little for an arm's objective.
    """
    checksums = {}
    for arm, trial in experiment.example_trials().items():
        try:
            corpus = trial.data.load(data_root())
            beforehand = trial.training.pretraining
            trained = reserve(corpus, beforehand.share).training if beforehand else corpus
        except DataError as error:
            raise SweeperError(str(error)) from None
        n_observations = len(trained.splits["train"])
        if why := trial.objective.refuses_batches(trial.training.batch_size, n_observations):
            raise SweeperError(f"arm {arm}: objective {trial.objective.name!r}: {why}")
        checksums[arm] = corpus.sha256
    return checksums


def _advance(progress: Progress, bar: TaskID, done: int, total: int) -> None:
    progress.update(bar, completed=done, total=total)


def verification(names: Sequence[str] | None) -> tuple[str, bool]:
    """Say of every file whether it is as published, and whether all are."""
    lines, complete = [], True
    for name, files in known(names).items():
        for file in files:
            try:
                state = verify(file, data_root())
            except DataError as error:
                raise SweeperError(str(error)) from None
            complete &= state in ("ok", "unchecked")
            said = "here, without a published checksum" if state == "unchecked" else state
            lines.append(f"{name}: {file.name}: {said}")
        if not files:
            lines.append(f"{name}: made on the fly, nothing to verify")
    return "\n".join(lines), complete


def known(names: Sequence[str] | None) -> dict[str, tuple[RemoteFile, ...]]:
    """Check names of data sets and give their files; without any, name all.

    `NAME/FILE` names a single file of a data set with a public home, FILE without its ending.
    Raises `SweeperError` for a name that no data set and no file has.
    """
    return {name: _files(name) for name in names or DATA}


def _files(name: str) -> tuple[RemoteFile, ...]:
    whole, _, part = name.partition("/")
    if whole not in DATA or (DATA[whole].source and part):
        raise SweeperError(f"there is no data set {name!r}; there are {', '.join(DATA)}")
    if "/" not in name:
        return DATA[whole].files
    files = {Path(file.name).stem: file for file in DATA[whole].files}
    if part not in files:
        raise SweeperError(
            f"there is no file {part!r} of data set {whole}; there are {', '.join(files)}"
        )
    return (files[part],)
