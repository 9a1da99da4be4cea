"""`run` and `resume` where nothing is left to train, so that Ray is not needed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeper import sweeping
from sweeper.corpora import data_checksums
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from sweeper.sweeping import DONE, INTERRUPTED, TRIALS_FAILED

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
Store = Callable[..., RunDirectory]
FIGURES = {"tokens": 1.0, "nll_se": 0.01, "mi_se": 0.01, "ess": 50.0}


@pytest.fixture
def trained(tmp_path: Path, ended: MakeRows, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Stores a run whose trials have ended with these statuses."""
    monkeypatch.chdir(tmp_path)

    def store(experiment: Experiment, *statuses: str) -> RunDirectory:
        run = RunDirectory(Path("runs") / experiment.name)
        run.create(experiment.to_yaml())
        checksums = data_checksums(experiment)
        sweep = Sweep(experiment, run.journal, ResultStore(run.results), checksums)
        for status, task in zip(statuses, iter(sweep.next, None), strict=True):
            sweep.finish(task, ended(experiment, task, status, **FIGURES))
        return run

    return store


@pytest.mark.parametrize(
    ("statuses", "allowed", "code"),
    [
        (("done", "done", "done"), 0, DONE),
        (("diverged", "diverged", "diverged"), 0, DONE),
        (("done", "failed", "diverged"), 0, TRIALS_FAILED),
        (("done", "failed", "failed"), 1, TRIALS_FAILED),
        (("done", "failed", "failed"), 2, DONE),
    ],
)
def test_trials_that_failed_decide_the_exit_code_and_diverged_ones_do_not(
    experiment: MakeExperiment,
    trained: Store,
    statuses: tuple[str, ...],
    allowed: int,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = experiment(search={"allowed_failures": allowed})
    run = trained(tiny, *statuses)

    assert sweeping.run(tiny, storage=None, workers=None) == code
    assert sweeping.resume(run, workers=None) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs/tiny: all 3 trials are done"
    failures = f"{statuses.count('failed')} trials failed, more than search.allowed_failures "
    assert any(line.startswith(failures) for line in lines) == (code == TRIALS_FAILED)


def test_a_sweep_that_proposed_a_trial_twice_is_complete_with_fewer(
    experiment: MakeExperiment, trained: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"training.learning_rate": {"kind": "categorical", "choices": [0.1, 0.2]}}
    tiny = experiment(search={"trials": 9, "space": space})
    run = trained(tiny, "done", "done")

    assert sweeping.run(tiny, storage=None, workers=None) == DONE
    assert run.n_trials == 2
    assert sweeping.run(tiny, storage=None, workers=None) == DONE
    assert "runs/tiny: all 2 trials are done" in capsys.readouterr().out


def test_the_frontier_is_drawn_at_the_end(experiment: MakeExperiment, trained: Store) -> None:
    tiny = experiment()
    run = trained(tiny, "done", "done", "diverged")
    sweeping.run(tiny, storage=None, workers=None)

    written = {path.suffix for path in run.frontier.iterdir()}
    assert written == {".csv", ".parquet", ".pdf", ".png", ".svg"}


def test_an_interruption_at_any_time_ends_with_how_to_continue(
    experiment: MakeExperiment,
    trained: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = experiment()
    trained(tiny, "done", "done", "done")

    def interrupted(*args: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeping, "drive", interrupted)
    assert sweeping.run(tiny, storage=None, workers=None) == INTERRUPTED
    assert capsys.readouterr().out.splitlines()[-1] == (
        "interrupted with 3 of 3 trials done; continue with: sweeper resume runs/tiny"
    )


def test_how_to_continue_can_be_pasted_into_a_shell(
    experiment: MakeExperiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sweeping, "drive", lambda *args: False)
    sweeping.run(experiment(), storage=tmp_path / "my runs", workers=None)

    assert f"sweeper resume '{tmp_path}/my runs/tiny'" in capsys.readouterr().out


def test_another_experiment_does_not_touch_a_run(
    experiment: MakeExperiment, trained: Store
) -> None:
    run = trained(experiment(), "done", "done", "done")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}

    with pytest.raises(SweeperError, match=r"search\.trials: 3 -> 4"):
        sweeping.run(experiment(search={"trials": 4}), storage=None, workers=None)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_nothing_is_created_where_data_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "data"))
    ptb = load("ptb_vimco_renyi.yaml")

    with pytest.raises(SweeperError, match="run `sweeper data fetch ptb`") as error:
        sweeping.run(ptb, storage=tmp_path / "runs", workers=None)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_opened_is_one_line(
    experiment: MakeExperiment, trained: Store
) -> None:
    run = trained(experiment(), "done", "done", "done")
    run.journal.unlink()
    run.journal.mkdir()

    with pytest.raises(SweeperError, match=r"cannot write .*study\.journal: Is a directory"):
        sweeping.resume(run, workers=None)


def test_a_driven_run_is_refused(experiment: MakeExperiment, trained: Store) -> None:
    tiny = experiment()
    run = trained(tiny, "done", "done", "done")
    with run.driven(), pytest.raises(SweeperError, match="is being driven by process"):
        sweeping.run(tiny, storage=None, workers=None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_run_is_not_resumed_without_the_gpus_that_it_asks_for(
    experiment: MakeExperiment, trained: Store
) -> None:
    run = trained(experiment(resources={"gpu": 1}), "done", "done", "done")
    with pytest.raises(SweeperError, match=r"resources\.gpu is 1 but .* has 0 usable GPUs"):
        sweeping.resume(run, workers=1)


def test_a_run_that_was_moved_continues_where_it_is(
    experiment: MakeExperiment, trained: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(experiment(), "done", "done", "done")
    shutil.move(run.path, "elsewhere")

    assert sweeping.resume(RunDirectory(Path("elsewhere")), workers=None) == DONE
    assert "elsewhere: all 3 trials are done" in capsys.readouterr().out


def test_what_is_damaged_is_set_aside_and_named_and_trained_again(
    experiment: MakeExperiment,
    trained: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = trained(experiment(), "done", "done", "done")
    store = ResultStore(run.results)
    first, *others = sorted(store.finished())
    part = run.results / f"{first}.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    run.journal.write_bytes(b"junk\n" + run.journal.read_bytes())
    given: list[str] = []

    def drive(sweep: Sweep, *args: object) -> bool:
        given.extend(task.trial_id for task in iter(sweep.next, None))
        return False

    monkeypatch.setattr(sweeping, "drive", drive)
    assert sweeping.resume(run, workers=None) == INTERRUPTED

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{part} is damaged (")
    assert lines[0].endswith(
        f" and lies in {run.results}/damaged/{first}.parquet now; its trials are trained again"
    )
    assert lines[1] == "runs/tiny: 2 of 3 trials are done; training the rest"
    assert lines[2].startswith(f"{run.journal} is damaged (")
    assert lines[2].endswith("a new one is made from the stored rows")
    assert len(given) == 1  # in another study's words, the journal being lost
    assert set(given).isdisjoint(others)
    assert store.finished() == set(others)


def test_a_part_that_is_damaged_is_trained_again_as_it_was(
    experiment: MakeExperiment, trained: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(experiment(), "done", "done", "done")
    first, *_ = sorted(ResultStore(run.results).finished())
    (run.results / f"{first}.parquet").write_bytes(b"")
    given: list[str] = []

    def drive(sweep: Sweep, *args: object) -> bool:
        given.extend(task.trial_id for task in iter(sweep.next, None))
        return False

    monkeypatch.setattr(sweeping, "drive", drive)
    assert sweeping.resume(run, workers=None) == INTERRUPTED
    assert given == [first]


def test_trials_that_failed_are_trained_again_where_that_is_asked_for(
    experiment: MakeExperiment,
    trained: Store,
    ended: MakeRows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = experiment()
    run = trained(tiny, "failed", "diverged", "done")
    [failed] = ResultStore(run.results).read().query("status == 'failed'")["trial_id"]

    def drive(sweep: Sweep, *args: object) -> bool:
        for task in iter(sweep.next, None):
            assert task.trial_id == failed
            sweep.finish(task, ended(tiny, task, **FIGURES))
        return True

    monkeypatch.setattr(sweeping, "drive", drive)
    assert sweeping.resume(run, workers=None) == TRIALS_FAILED
    capsys.readouterr()
    sweeping.resume(run, workers=None, retry_failed=True)

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "runs/tiny: 1 trials that failed are trained again",
        "runs/tiny: 2 of 3 trials are done; training the rest",
    ]
    statuses = ResultStore(run.results).read(final_only=True)["status"]
    assert sorted(statuses) == ["diverged", "done", "done"]
    assert (run.results / "withdrawn" / f"{failed}.parquet").exists()
    assert sweeping.resume(run, workers=None) == DONE
