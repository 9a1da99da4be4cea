"""A disk that is full, a real one, while a run is made or taken up again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from soak.faults.disks import fill, small_disk
from soak.scene import UnavailableError
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from tests.sweeper.parts import trial

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk where runs lie."""
    try:
        with small_disk(tmp_path / "runs"):
            yield tmp_path / "runs"
    except UnavailableError as error:
        pytest.skip(str(error))


def test_a_run_is_not_made_on_a_full_disk_and_made_once_there_is_space(
    disk: Path, sweeper: Callable[..., Any], experiment_file: Callable[..., Path]
) -> None:
    path, filler = experiment_file(), fill(disk)

    problem = sweeper("run", str(path)).is_one_error()

    assert problem.startswith("cannot write ")
    assert "No space left on device" in problem
    assert not list(disk.glob("*/*"))
    filler.unlink()
    RunDirectory(disk / "tiny").create(path.read_text())


def test_a_run_is_not_taken_up_on_a_full_disk_and_keeps_what_it_has(
    disk: Path,
    sweeper: Callable[..., Any],
    trained: Callable[..., RunDirectory],
    experiment: Callable[..., Any],
) -> None:
    run = trained("done")
    before = ResultStore(run.results).read()
    run.journal.unlink()  # to be made again, for which there is no room
    filler = fill(disk)

    answer = sweeper("resume", "tiny")

    assert answer.code == 2
    assert answer.err.startswith("error: cannot write ")
    assert len(answer.err.splitlines()) == 1
    assert ResultStore(run.results).read().equals(before)
    filler.unlink()
    sweep = Sweep(experiment(), run.journal, ResultStore(run.results), {"tiny": "5a"})
    assert sweep.n_remaining == 2


def test_a_part_that_does_not_fit_leaves_nothing_behind(disk: Path) -> None:
    store = ResultStore(disk / "run" / "results")
    store.append(trial("t"))
    filler = fill(disk)
    with pytest.raises(Exception, match=r"cannot write .*u\.parquet: No space left on device"):
        store.append(trial("u"))
    assert [path.name for path in store.directory.iterdir()] == ["t.parquet"]
    filler.unlink()
    store.append(trial("u"))
    assert store.read()["trial_id"].tolist() == ["t", "u"]
