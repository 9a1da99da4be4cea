"""What stands between a sweep and Ray, without starting Ray; `test_end_to_end.py` does that."""

import errno
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from optuna.storages.journal import JournalFileBackend
from ray.tune.search import Searcher

from sweeper.corpora import data_checksums
from sweeper.driving import capacity, driver
from sweeper.driving.driver import drive
from sweeper.driving.interruption import SIGNALS, Interruption, interruptible, signals
from sweeper.driving.searcher import TaskSearcher
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep, Task
from trainables.trainable import Assignment
from trainables.trial import TrialConfig

MakeExperiment = Callable[..., Experiment]
EVALUATION = {"step": 4, "nll": 2.0, "mi": 1.0}
DONE = {"status": "done", "step": 4, "evaluations": [EVALUATION], "cost": [{}]}


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    @contextmanager
    def shown(self, n_workers: int) -> Iterator[None]:
        yield

    def started(self, task: Task) -> None:
        self.calls.append(("started", task.trial_id))

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        self.calls.append(("reported", task.trial_id))

    def lost(self, task: Task, said: str) -> None:
        self.calls.append(("lost", task.trial_id))

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        self.calls.append((rows[-1]["status"], task.trial_id))

    def stopping(self) -> None:
        self.calls.append(("stopping", ""))


class Tune:
    """A searcher and what is round it; the tests play Ray Tune."""

    def __init__(self, experiment: Experiment, path: Path) -> None:
        self.directory = RunDirectory(path)
        self.directory.create(experiment.to_yaml())
        self.store = ResultStore(self.directory.results)
        sweep = Sweep(experiment, self.directory.journal, self.store, {"tiny": "5a"})
        self.told, self.interruption = Told(), Interruption()
        self.searcher = TaskSearcher(sweep, self.directory, self.told, self.interruption)

    def statuses(self) -> list[str]:
        return list(self.store.read(final_only=True)["status"])


@pytest.fixture
def tune(experiment: MakeExperiment, tmp_path: Path) -> Tune:
    return Tune(experiment(search={"trials": 2}), tmp_path / "run")


@pytest.fixture(autouse=True)
def _no_ray() -> Iterator[None]:
    yield
    assert not ray.is_initialized()


def full(*args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_worker_is_told_all_it_needs(
    tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_DATA_DIR", "data")
    monkeypatch.chdir(tmp_path)
    suggested = tune.searcher.suggest("a")
    assert isinstance(suggested, dict)
    assignment = Assignment(**suggested)

    TrialConfig.model_validate(assignment.trial)
    assert (assignment.seed, assignment.device, assignment.threads) == (0, "cpu", 1)
    assert assignment.data_root == str(tmp_path / "data")
    assert Path(assignment.checkpoints).parent == tune.directory.checkpoints
    pickle.dumps(suggested)  # it goes to another process


def test_a_finished_trial_is_stored_told_and_needs_its_state_no_more(tune: Tune) -> None:
    suggested = tune.searcher.suggest("a")
    assert isinstance(suggested, dict)
    states = Path(suggested["checkpoints"])
    states.mkdir(parents=True)
    (states / "000000000002.pt").touch()
    tune.searcher.on_trial_result("a", {"status": "running", "step": 2, "train_loss": 1.0})
    tune.searcher.on_trial_complete("a", DONE)

    assert [call for call, _ in tune.told.calls] == ["started", "reported", "done"]
    assert tune.statuses() == ["done"]
    assert not states.exists()


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_trial_that_did_not_end_well_is_stored_with_its_reason(tune: Tune, status: str) -> None:
    tune.searcher.suggest("a")
    tune.searcher.on_trial_complete("a", {**DONE, "status": status, "reason": "why"})

    assert tune.store.read(final_only=True)["reason"].tolist() == ["why"]
    assert tune.statuses() == [status]
    assert isinstance(tune.searcher.suggest("b"), dict)


@pytest.mark.parametrize("report", [None, {"status": "running", "step": 2, "train_loss": 1.0}])
def test_a_trial_whose_worker_died_too_often_has_failed(
    tune: Tune, report: dict[str, Any] | None
) -> None:
    for trial in ("a", "b", "c"):
        assert tune.statuses() == []
        tune.searcher.suggest(trial)
        if report:
            tune.searcher.on_trial_result(trial, report)
        tune.searcher.on_trial_complete(trial, error=True)

    [row] = tune.store.read(final_only=True).to_dict("records")
    assert row["status"] == "failed"
    assert row["reason"].startswith("the worker process was lost 3 times, perhaps for lack of mem")
    assert row["step"] == (2 if report else 0)
    assert [call for call, _ in tune.told.calls if call != "reported"] == [
        *("started", "lost") * 3,
        "failed",
    ]
    log = (tune.directory.failures / f"{row['trial_id']}.log").read_text().splitlines()
    assert log[1::3] == ["Ray says nothing of how its worker ended."] * 3
    assert log[-1] == row["reason"]
    assert log[-3].endswith(f"the worker of tiny {row['trial_id']} was lost, time 3 of 3")


@pytest.mark.parametrize("most", [0, 1, 4])
def test_how_often_a_lost_worker_is_replaced_is_in_the_file(
    experiment: MakeExperiment, tmp_path: Path, most: int
) -> None:
    work, directory = prepared(experiment(resources={"max_failures": most}), tmp_path / "run")
    searcher = TaskSearcher(work, directory, Told(), Interruption())
    for n in range(most + 1):
        assert work.n_remaining == 3
        searcher.suggest(str(n))
        searcher.on_trial_complete(str(n), error=True)

    assert work.n_remaining == 2
    [reason] = work.store.read(final_only=True)["reason"]
    assert reason.startswith(f"the worker process was lost {most + 1} time{'s' * (most > 0)}, ")


@pytest.mark.parametrize("nodes", [10, 11])
def test_a_lost_node_does_not_count_against_its_trials(
    tune: Tune, monkeypatch: pytest.MonkeyPatch, nodes: int
) -> None:
    said = "The actor died because its node has died. Node Id: 5a"
    monkeypatch.setattr(tune.searcher.deaths, "said", lambda trial_id: said)
    for trial in map(str, range(nodes)):
        tune.searcher.suggest(trial)
        tune.searcher.on_trial_complete(trial, error=True)

    assert tune.statuses() == ["failed"] * (nodes > 10)  # which may be what brings them down
    assert len({trial for call, trial in tune.told.calls if call == "started"}) == 1


def test_there_are_no_more_trials_than_the_place_has_room_for(tune: Tune) -> None:
    tune.searcher.capacity = capacity.Here(1)
    tune.searcher.suggest("a")
    assert tune.searcher.suggest("b") is None
    tune.searcher.capacity = capacity.Here(2)
    assert isinstance(tune.searcher.suggest("b"), dict)


def test_the_traceback_of_a_trial_that_failed_is_logged(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_TOKEN", "correct-horse")
    tune.searcher.suggest("a")
    failed = {"status": "failed", "reason": "E: correct-horse", "traceback": "T\nE: correct-horse"}
    tune.searcher.on_trial_complete("a", {**DONE, **failed, "host": "h"})

    [row] = tune.store.read(final_only=True).to_dict("records")
    assert row["reason"] == "E: ***"
    [log] = tune.directory.failures.iterdir()
    assert log.name == f"{row['trial_id']}.log"
    first, *rest = log.read_text().splitlines()
    assert first.endswith(f"tiny {row['trial_id']} failed on h")
    assert rest == ["T", "E: ***"]


def test_a_trial_whose_worker_died_comes_back_even_as_the_last(tune: Tune) -> None:
    first, second = tune.searcher.suggest("a"), tune.searcher.suggest("b")
    assert tune.searcher.suggest("c") is None  # nothing for now
    tune.searcher.on_trial_complete("a", error=True)
    assert tune.searcher.suggest("c") == first
    tune.searcher.on_trial_complete("b", DONE)
    tune.searcher.on_trial_complete("c", DONE)

    assert first != second
    assert tune.searcher.suggest("d") == Searcher.FINISHED
    assert tune.statuses() == ["done", "done"]


def test_a_trial_that_is_stopped_stays_open(tune: Tune) -> None:
    tune.searcher.suggest("a")
    tune.searcher.on_trial_complete("a", {"status": "running", "step": 2})

    assert tune.statuses() == []
    assert tune.searcher.work.n_remaining == 2


def test_a_sweep_ends_when_all_trials_have_ended(tune: Tune) -> None:
    for trial in ("a", "b"):
        assert isinstance(tune.searcher.suggest(trial), dict)
        tune.searcher.on_trial_complete(trial, DONE)

    assert tune.searcher.suggest("c") == Searcher.FINISHED


def test_an_interrupted_sweep_gives_out_no_more_trials(tune: Tune) -> None:
    tune.interruption.requested = True

    assert tune.searcher.suggest("a") == Searcher.FINISHED
    assert tune.told.calls == []


def test_results_that_cannot_be_stored_stop_the_sweep_with_one_line(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune.searcher.suggest("a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        tune.searcher.on_trial_complete("a", DONE)

    assert tune.interruption.requested
    assert "No space left on device" in str(tune.interruption.error)
    assert "\n" not in str(tune.interruption.error)
    assert tune.searcher.suggest("b") == Searcher.FINISHED
    assert tune.statuses() == []
    assert "done" not in dict(tune.told.calls)


def test_a_journal_that_cannot_be_written_stops_the_sweep_with_one_line(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JournalFileBackend, "append_logs", full)

    assert tune.searcher.suggest("a") is None
    assert tune.interruption.requested
    assert str(tune.interruption.error) == (
        f"cannot write below {tune.directory.path}: No space left on device; "
        "mend it and resume the run"
    )


def test_data_that_went_missing_stops_the_sweep_and_fails_no_trial(tune: Tune) -> None:
    tune.searcher.suggest("a")
    tune.searcher.on_trial_complete("a", {**DONE, "status": "blocked", "reason": "No data."})

    assert tune.interruption.requested
    assert str(tune.interruption.error) == "No data. Then resume the run."
    assert tune.statuses() == []
    assert tune.searcher.work.n_remaining == 2


def test_ray_keeps_nothing_of_a_sweep(tune: Tune) -> None:
    tune.searcher.suggest("a")

    assert pickle.loads(pickle.dumps(tune.searcher)).__dict__ == {}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_first_signal_ends_the_sweep_in_good_order_and_another_ctrl_c_at_once(
    number: signal.Signals,
) -> None:
    told, interruption = Told(), Interruption()
    before = [signal.getsignal(known) for known in SIGNALS]
    with signals(interruption, told):
        os.kill(os.getpid(), number)
        assert interruption.requested
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert told.calls == [("stopping", "")]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(known) for known in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_are_taken_back_from_tune(tune: Tune, number: signal.Signals) -> None:
    """It has a handler of its own for SIGUSR1, put when it begins."""
    with signals(tune.interruption, tune.told):
        signal.signal(number, signal.SIG_IGN)
        assert isinstance(tune.searcher.suggest("a"), dict)
        os.kill(os.getpid(), number)
    assert tune.interruption.requested
    assert pickle.loads(pickle.dumps(tune.interruption)).requested


def test_a_sweep_that_tune_ends_before_its_work_is_done_is_not_finished(
    experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = SimpleNamespace(n_workers=1)
    monkeypatch.setattr(driver, "session", lambda *args: nullcontext(one))
    monkeypatch.setattr(driver, "_tuner", lambda *args: SimpleNamespace(fit=lambda: None))
    work, directory = prepared(experiment(), tmp_path / "run")
    state = Path(directory.shared("checkpoints")) / "t" / "000000000004.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"a state")

    assert not drive(work, directory, Told())
    assert state.exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_where_no_sweep_runs_a_signal_is_a_keyboard_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_missing_data_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path))

    with pytest.raises(SweeperError, match=r"lacks ptb/ptb\.train\.txt") as error:
        data_checksums(load("ptb_vimco_renyi.yaml"))
    assert "\n" not in str(error.value)


def test_every_arm_has_the_checksum_of_its_data(experiment: MakeExperiment) -> None:
    arms = {"eight": {}, "nine": {"data": {"vocabulary": 9}}}
    checksums = data_checksums(experiment(arms=arms))

    assert checksums.keys() == arms.keys()
    assert checksums["eight"] != checksums["nine"]


def prepared(experiment: Experiment, path: Path) -> tuple[Sweep, RunDirectory]:
    directory = RunDirectory(path)
    directory.create(experiment.to_yaml())
    store = ResultStore(directory.results)
    return Sweep(experiment, directory.journal, store, {"tiny": "5a"}), directory


@pytest.mark.skipif(capacity.torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told_before_ray_starts(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    tiny = experiment(resources={"gpu": 1})
    with pytest.raises(SweeperError, match=r"resources\.gpu is 1 but this machine has 0 usable"):
        drive(*prepared(tiny, tmp_path / "run"), Told())


def test_a_place_that_ray_cannot_use_is_one_line(
    experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = experiment()
    work, directory = prepared(tiny, tmp_path / "run")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "none"))
    with pytest.raises(SweeperError, match=r"Ray cannot work in .*none: No such file") as error:
        drive(work, directory, Told())
    assert "\n" not in str(error.value)

    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(deep))
    with pytest.raises(SweeperError, match="set RAY_TMPDIR to another directory with a short"):
        drive(work, directory, Told())
    assert list(deep.iterdir()) == []
