"""A run's trials as Optuna studies, read back by Optuna."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from sweeper.stored.exporting import export

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
TrainRun = Callable[..., RunDirectory]
SPACE = {
    "training.learning_rate": {"kind": "float", "low": 1.0e-3, "high": 1.0e-1, "log": True},
    "objective.samples": {"kind": "int", "low": 2, "high": 6, "step": 2},
    "objective.estimator": {"kind": "categorical", "choices": ["vimco", "reinforce"]},
}


def studies(path: Path) -> dict[str, optuna.Study]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    names = optuna.get_all_study_names(storage)
    return {name: optuna.load_study(study_name=name, storage=storage) for name in names}


def test_each_arm_is_a_study_of_its_trials(
    experiment: MakeExperiment, train_run: TrainRun, tmp_path: Path
) -> None:
    trial = {"objective": {"samples": None, "estimator": None}}
    arms = {"a": {}, "b": {"objective": {"lambda": 0.1}}}
    run = train_run(experiment(arms=arms, trial=trial, search={"space": SPACE, "seeds": 2}))
    path = tmp_path / "study.journal"

    assert export(run, "optuna", output=path) == (
        f"{path}: an Optuna journal; studies: a with 6 trials, b with 6 trials"
    )
    found = studies(path)
    assert list(found) == ["a", "b"]
    stored = ResultStore(run.results).table().to_pandas().set_index("trial_id")
    for arm, study in found.items():
        assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
        assert study.user_attrs == {"run": str(run.path)}
        assert [trial.number for trial in study.trials] == list(range(6))
        for trial in study.trials:
            row = stored.loc[trial.user_attrs["trial_id"]]
            assert trial.state == TrialState.COMPLETE
            assert trial.values == [row["nll_exact"], row["mi_exact"]]
            assert trial.params == {path: row[path] for path in SPACE}
            assert trial.distributions == {
                "training.learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
                "objective.samples": IntDistribution(2, 6, step=2),
                "objective.estimator": CategoricalDistribution(("vimco", "reinforce")),
            }
            for name in ("config_hash", "seed", "nll", "nll_se", "mi", "step", "code_version"):
                assert trial.user_attrs[name] == row[name]
            assert row["arm"] == trial.user_attrs["arm"] == arm
            assert trial.datetime_complete is not None
            seconds = row["train_seconds"] + row["eval_seconds"]
            assert trial.duration is not None
            assert trial.duration.total_seconds() == pytest.approx(seconds, abs=1e-5)


def test_an_arm_that_sweeps_otherwise_has_its_own_distributions(
    experiment: MakeExperiment, train_run: TrainRun, tmp_path: Path
) -> None:
    rate = "training.learning_rate"
    search = {"space": {rate: SPACE[rate]}, "arms": {"b": {rate: {"low": 0.05}}}, "trials": 2}
    arms = {"a": {}, "b": {"objective": {"lambda": 0.1}}}
    run = train_run(experiment(arms=arms, search=search))
    export(run, "optuna", output=tmp_path / "study.journal")

    found = studies(tmp_path / "study.journal")
    for arm, low in {"a": 1e-3, "b": 0.05}.items():
        for trial in found[arm].trials:
            assert trial.distributions == {rate: FloatDistribution(low, 1e-1, log=True)}
            assert low <= trial.params[rate] <= 1e-1


def test_the_best_trials_are_the_frontier_and_a_study_can_go_on(
    experiment: MakeExperiment, train_run: TrainRun, tmp_path: Path
) -> None:
    run = train_run(experiment())
    export(run, "optuna", output=tmp_path / "study.journal")
    study = studies(tmp_path / "study.journal")["tiny"]

    from analysis.frontier import frontier_points

    points = frontier_points(ResultStore(run.results).read()).points
    on = set(points["trial_id"][points["on_frontier"]])
    assert {trial.user_attrs["trial_id"] for trial in study.best_trials} == on
    assert study.ask().number == 3


def test_what_did_not_end_well_has_failed_there(
    experiment: MakeExperiment, ended: MakeRows, tmp_path: Path
) -> None:
    tiny = experiment(search={"trials": 4})
    run = RunDirectory(tmp_path / "tiny")
    run.create(tiny.to_yaml())
    sweep = Sweep(tiny, run.journal, ResultStore(run.results), {"tiny": "5a"})
    for status in ("diverged", "failed", "done", "pruned"):
        task = sweep.next()
        assert task is not None
        sweep.finish(task, ended(tiny, task, status))
    export(run, "optuna")
    trials = studies(run.path / "export/study.journal")["tiny"].trials

    states = {trial.user_attrs["status"]: trial.state for trial in trials}
    assert states == {
        "diverged": TrialState.FAIL,
        "failed": TrialState.FAIL,
        "done": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
    }
    [failed] = [trial for trial in trials if trial.user_attrs["status"] == "failed"]
    assert failed.user_attrs["reason"] == "as the test wants it"
    assert failed.params.keys() == {"training.learning_rate"}


def test_a_knob_that_its_parameter_cannot_have_is_an_attribute(
    experiment: MakeExperiment, train_run: TrainRun
) -> None:
    """As in a union of runs that was forced."""
    run = train_run(experiment())
    narrow = {"kind": "float", "low": 1.0, "high": 2.0}
    run.experiment_file.write_text(
        run.experiment_file.read_text().replace("low: 0.001, high: 0.1", "low: 1.0, high: 2.0")
    )
    assert run.document()["search"]["space"]["training.learning_rate"].items() >= narrow.items()
    export(run, "optuna")

    for trial in studies(run.path / "export/study.journal")["tiny"].trials:
        assert trial.params == {}
        assert 0.001 <= trial.user_attrs["training.learning_rate"] <= 0.1


def test_an_experiment_without_a_space_is_one_line(
    experiment: MakeExperiment, train_run: TrainRun
) -> None:
    run = train_run(experiment())
    run.experiment_file.write_text("name: tiny\narms: {tiny: {}}\n")

    with pytest.raises(SweeperError, match=r"experiment\.yaml has no search space: ") as error:
        export(run, "optuna")
    assert "\n" not in str(error.value)
    assert not (run.path / "export/study.journal").exists()
