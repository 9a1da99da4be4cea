"""More trials in a run; the driver is replaced by a loop in this process, so Ray is not needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sweeper import sweeping
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.extending import extend
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep, Task
from sweeper.source import dump
from sweeper.work import Listener

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
TrainRun = Callable[..., RunDirectory]
FIGURES = {"tokens": 1.0, "nll_se": 0.01, "mi_se": 0.01, "ess": 50.0}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, ended: MakeRows) -> list[Task]:
    """The trials that a driver was given, none of which it really trains."""
    tasks: list[Task] = []

    def drive(work: Sweep, directory: RunDirectory, listener: Listener, *where: object) -> bool:
        for task in iter(work.next, None):
            tasks.append(task)
            rows: Sequence[Mapping[str, Any]] = ended(work.experiment, task, **FIGURES)
            work.finish(task, rows)
            listener.finished(task, rows)
        return True

    monkeypatch.setattr(sweeping, "drive", drive)
    return tasks


def known(run: RunDirectory, arm: str) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(run.journal)))
    return optuna.load_study(study_name=arm, storage=storage).trials


def test_a_finished_run_goes_on_from_what_it_knows(
    experiment: MakeExperiment,
    train_run: TrainRun,
    given: list[Task],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train_run(experiment(arms={"a": {}, "b": {"objective": {"lambda": 0.1}}}))
    stored = ResultStore(run.results).read()
    proposed = [trial.params for trial in known(run, "a")]

    assert extend(run, 2, workers=None) == 0
    assert [task.arm for task in given] == ["a", "b", "a", "b"]
    assert [task.number for task in given] == [3, 3, 4, 4]
    after = ResultStore(run.results).read()
    assert len(after) == 10
    assert set(stored["trial_id"]) < set(after["trial_id"])
    assert [trial.params for trial in known(run, "a")][:3] == proposed
    assert all(trial.state.is_finished() for trial in known(run, "a"))
    assert load(run.experiment_file).search.trials == 5
    assert run.n_trials == 10
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"{run.path}: 3 + 2 = 5 configurations an arm from now on",
        f"{run.path}: 6 of 10 trials are done; training the rest",
    ]


def test_an_interrupted_run_is_finished_and_extended(
    experiment: MakeExperiment, train_run: TrainRun, given: list[Task]
) -> None:
    run = train_run(experiment(), 1)

    assert extend(run, 1, workers=None) == 0
    assert len(given) == 3
    assert len(ResultStore(run.results).finished()) == 4


def test_a_run_that_had_fewer_trials_left_is_extended(
    experiment: MakeExperiment, train_run: TrainRun, given: list[Task]
) -> None:
    space = {"training.learning_rate": {"kind": "categorical", "choices": [0.1, 0.2]}}
    run = train_run(experiment(search={"trials": 9, "space": space}))
    run.finish(2)

    assert extend(run, 1, workers=None) == 0
    assert given == []
    assert run.n_trials == 2
    assert load(run.experiment_file).search.trials == 10


def test_the_experiment_it_was_is_refused_and_what_to_do_is_told(
    experiment: MakeExperiment, train_run: TrainRun, given: list[Task]
) -> None:
    tiny = experiment()
    run = train_run(tiny)
    extend(run, 1, workers=None)

    with pytest.raises(SweeperError) as error:
        sweeping.run(tiny, storage=run.path.parent, workers=None)
    assert str(error.value).splitlines()[1:] == [
        "  search.trials: 4 -> 3",
        f"the run itself has 4 trials an arm; go on with: sweeper resume {run.path}",
    ]


def test_another_sampler_is_told(
    experiment: MakeExperiment,
    given: list[Task],
    capsys: pytest.CaptureFixture[str],
    train_run: TrainRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = train_run(experiment(search={"trials": 1, "sampler": {"name": "auto"}}), 1)
    monkeypatch.setattr("sweeper.samplers.GP_TRIALS", 1)

    assert extend(run, 1, workers=None) == 0
    told = "tiny: beyond 100 configurations the sampler `auto` is tpe, no longer gp; "
    assert capsys.readouterr().out.splitlines()[1].startswith(told)
    assert len(given) == 1


def test_a_sampler_that_stays_is_not_told(
    experiment: MakeExperiment,
    given: list[Task],
    train_run: TrainRun,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train_run(experiment(search={"sampler": {"name": "auto"}}))

    assert extend(run, 1, workers=None) == 0
    assert "`auto`" not in capsys.readouterr().out


def test_what_cannot_be_extended_stays_as_it_is(
    experiment: MakeExperiment, train_run: TrainRun, given: list[Task]
) -> None:
    run = train_run(experiment(name="swept"))
    fixed = train_run(experiment(name="fixed", search={"trials": 1}), 0)
    document = fixed.document()
    document["search"]["space"] = {}
    document["trial"]["training"]["learning_rate"] = 0.01
    fixed.experiment_file.write_text(dump(document))
    merged = train_run(experiment(name="merged"))
    merged.merge([run.path, fixed.path], 3)
    before = {path: path.read_bytes() for path in run.path.parent.rglob("*") if path.is_file()}

    with run.driven(), pytest.raises(SweeperError, match="is being driven by process"):
        extend(run, 1, workers=None)
    with pytest.raises(SweeperError, match="would train one configuration that often"):
        extend(fixed, 1, workers=None)
    with pytest.raises(SweeperError, match="cannot be trained further"):
        extend(merged, 1, workers=None)
    after = {path: path.read_bytes() for path in run.path.parent.rglob("*") if path.is_file()}
    assert {p: c for p, c in after.items() if p.name != "driver.lock"} == before
    assert given == []
