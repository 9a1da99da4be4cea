"""Runs as one; their trials are stored by the tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper import listing, sweeping
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.stored import reading
from sweeper.stored.looking import look, stored
from sweeper.stored.merging import merge
from sweeper.stored.status import text
from trainables.trial import config_hash, trial_id

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
Store = Callable[..., RunDirectory]
ARMS = {"a": {}, "b": {"objective": {"lambda": 0.1}}}
FIGURES = {"nll_se": 0.01, "mi_se": 0.01, "tokens": 1.0, "ess": 50.0}


@pytest.fixture
def store(
    experiment: MakeExperiment, ended: MakeRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """Stores a run with a trial of each learning rate, in the first arm or the one given."""
    monkeypatch.chdir(tmp_path)

    def store(
        name: str, *rates: float, arm: str | None = None, status: str = "done", **options: Any
    ) -> RunDirectory:
        figures = {**FIGURES, **options.pop("figures", {})}
        tiny = experiment(name=name, **options)
        run = RunDirectory(Path("runs") / name)
        run.create(tiny.to_yaml())
        arm = arm or next(iter(tiny.arms))
        for number, rate in enumerate(rates):
            values = {"training.learning_rate": rate}
            config = tiny.trial_config(arm, values)
            identity = config_hash(config, "5a")
            task = Task(arm, number, 0, values, config, "5a", identity, trial_id(identity, 0))
            ResultStore(run.results).append(ended(tiny, task, status, nll=rate, **figures))
        return run

    return store


def contents(*runs: RunDirectory) -> dict[Path, bytes]:
    files = [path for run in runs for path in run.path.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files}


def test_a_union_has_every_trial_once_and_the_runs_stay(store: Store) -> None:
    first, second = store("first", 0.01, 0.02, arms=ARMS), store("second", 0.02, 0.03, arms=ARMS)
    before = contents(first, second)
    told = merge([first, second], Path("runs/both"))

    assert told.splitlines() == [
        "runs/both: 3 trials",
        "  2 of runs/first",
        "  1 of runs/second, 1 more were there already",
    ]
    both = RunDirectory(Path("runs/both"))
    rows = ResultStore(both.results).table().to_pandas()
    assert sorted(rows["training.learning_rate"]) == [0.01, 0.02, 0.03]
    expected = pd.concat([ResultStore(run.results).table().to_pandas() for run in (first, second)])
    expected["experiment"] = "both"
    expected = expected.drop_duplicates("trial_id").sort_values("trial_id", ignore_index=True)
    pd.testing.assert_frame_equal(
        rows.sort_values("trial_id", ignore_index=True), expected, check_like=True
    )
    assert contents(first, second) == before
    assert sorted(path.name for path in Path("runs").iterdir()) == ["both", "first", "second"]


def test_a_union_is_a_run_to_all_that_read(store: Store) -> None:
    merge([store("first", 0.01), store("second", 0.02, 0.03)], Path("runs/both"))
    both = RunDirectory(Path("runs/both"))

    status = text(look(both, stored(both)))
    assert status.startswith("runs/both: merged; 3 of 3 trials have ended, 3 done\n  from /")
    assert "Pareto frontier, nats per observation: 1 of 3 trials" in status
    assert "runs/both/frontier/frontier.svg" in reading.frontier([both])
    assert "  both    3 trials, merged from first, second; A small one" in listing.text(
        "runs", Path("runs")
    )


def test_a_union_is_not_trained(store: Store) -> None:
    merge([store("first", 0.01), store("second", 0.02)], Path("runs/both"))
    both = RunDirectory(Path("runs/both"))

    with pytest.raises(SweeperError, match="extend one of those and merge them again"):
        sweeping.resume(both, workers=None)
    with pytest.raises(SweeperError, match="cannot be trained further"):
        sweeping.run(load(both.experiment_file), storage=Path("runs"), workers=None)


def test_an_experiment_that_is_its_own_arm_stays_so(store: Store) -> None:
    """Two runs of it have arms of two names, which are the same."""
    merge([store("first", 0.01), store("second", 0.02)], Path("runs/both"))
    both = RunDirectory(Path("runs/both"))

    assert set(ResultStore(both.results).read()["arm"]) == {"both"}
    assert set(ResultStore(both.results).read()["experiment"]) == {"both"}
    stored = load(both.experiment_file)
    assert (stored.name, list(stored.arms), stored.search.trials) == ("both", ["both"], 2)


def test_runs_may_differ_in_name_description_trials_and_the_seed_of_the_sampler(
    store: Store,
) -> None:
    first = store("first", 0.01, description="One", search={"trials": 4})
    second = store("second", 0.02, description="Two", search={"sampler": {"seed": 3}})

    assert "2 trials" in merge([first, second], Path("runs/both"))
    assert RunDirectory(Path("runs/both")).description == "One"


def test_runs_of_different_experiments_are_refused_with_what_differs(store: Store) -> None:
    first = store("first", 0.01, arms=ARMS)
    second = store(
        "second",
        0.02,
        arms={**ARMS, "c": {"objective": {"lambda": 0.2}}},
        trial={"training": {"steps": 5}},
        search={"sampler": {"name": "tpe"}},
    )

    with pytest.raises(SweeperError) as error:
        merge([first, second], Path("runs/both"))
    assert str(error.value).splitlines() == [
        "these are runs of different experiments:",
        "  runs/first -> runs/second:",
        "    trial.training.steps: 4 -> 5",
        "    arms.c: not set -> {objective: {lambda: 0.2}}",
        "    search.sampler.name: random -> tpe",
        "--force merges them nevertheless, under the experiment of the first",
    ]
    assert not Path("runs/both").exists()
    told = merge([first, second], Path("runs/both"), force=True)
    assert "    trial.training.steps: 4 -> 5" in told.splitlines()
    both = load("runs/both/experiment.yaml")
    assert list(both.arms) == ["a", "b", "c"]
    assert both.arms["a"].trial["training"]["steps"] == 4
    union = RunDirectory(Path("runs/both"))
    assert text(look(union, stored(union))).startswith("runs/both: merged; 2 of 2")
    with pytest.raises(SweeperError, match=r"2 experiments \(first, second\) may not compare"):
        reading.frontier([RunDirectory(Path("runs/both"))])


def test_trials_with_other_figures_are_refused_by_name(store: Store) -> None:
    first = store("first", 0.01, 0.02, figures={"mi": 1.0})
    second = store("second", 0.01, figures={"mi": 1.5})
    [trial] = ResultStore(second.results).finished()

    with pytest.raises(SweeperError) as error:
        merge([first, second], Path("runs/both"))
    assert str(error.value).splitlines() == [
        "some trials have other figures in another run:",
        f"  {trial}: mi 1.0 in runs/first, 1.5 in runs/second",
        "--force keeps those of the run that is named first",
    ]
    told = merge([second, first], Path("runs/both"), force=True)
    assert f"  {trial}: mi 1.5 in runs/second, 1.0 in runs/first" in told.splitlines()
    rows = ResultStore(Path("runs/both/results")).read().set_index("trial_id")
    assert rows.loc[trial, "mi"] == 1.5
    assert len(rows) == 2


def test_a_trial_that_failed_elsewhere_is_another(store: Store) -> None:
    first, second = store("first", 0.01), store("second", 0.01, status="failed")

    with pytest.raises(SweeperError, match="-0: done in runs/first, failed in runs/second"):
        merge([first, second], Path("runs/both"))


@pytest.mark.parametrize("order", [1, -1])
def test_a_trial_that_was_pruned_elsewhere_is_the_one_that_was_not(
    store: Store, order: int
) -> None:
    whole = store("whole", 0.01, 0.02)
    short = store("short", 0.01, 0.03, 0.04, status="pruned")

    told = merge([whole, short][::order], Path("runs/both"))

    assert told.startswith("runs/both: 4 trials")
    rows = ResultStore(Path("runs/both/results")).read(final_only=True)
    assert sorted(rows["status"]) == ["done", "done", "pruned", "pruned"]
    assert list(rows.loc[rows["status"] == "done", "training.learning_rate"]) == [0.01, 0.02]


def test_figures_that_differ_by_rounding_or_are_new_are_the_same(store: Store) -> None:
    first = store("first", 0.01, figures={"mi": 1.0})
    second = store("second", 0.01, figures={"mi": 1.0 + 1e-9, "elbo": -2.0, "train_seconds": 9.0})

    assert merge([first, second], Path("runs/both")).startswith("runs/both: 1 trials")


def test_many_conflicts_are_cut_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.stored.merging.SHOWN", 1)
    first = store("first", 0.01, 0.02, 0.03, figures={"mi": 1.0})
    second = store("second", 0.01, 0.02, 0.03, figures={"mi": 1.5})

    with pytest.raises(SweeperError) as error:
        merge([first, second], Path("runs/both"))
    assert str(error.value).splitlines()[2] == "  and 2 more"


def test_a_run_without_trials_gives_none(store: Store) -> None:
    told = merge([store("first"), store("second", 0.02)], Path("runs/both"))

    assert told.splitlines() == ["runs/both: 1 trials", "  0 of runs/first", "  1 of runs/second"]


def test_unions_can_be_merged_again(store: Store) -> None:
    runs = [store(name, rate) for name, rate in (("a", 0.01), ("b", 0.02), ("c", 0.03))]
    merge(runs[:2], Path("runs/ab"))
    merge([RunDirectory(Path("runs/ab")), *runs], Path("elsewhere/abc"))

    assert ResultStore(Path("elsewhere/abc/results")).read()["nll"].tolist() == [0.01, 0.02, 0.03]


def test_what_a_driven_run_will_still_store_is_told_of(store: Store) -> None:
    first, second = store("first", 0.01), store("second", 0.02)
    with second.driven():
        told = merge([first, second], Path("runs/both"))

    assert told.splitlines()[2] == "  1 of runs/second; it is being driven, so there will be more"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("runs/first", r"runs/first exists; choose another --output"),
        ("runs/a b", r"--output runs/a b: a name has 1 to 64 letters"),
        ("runs/first/experiment.yaml/x", r"cannot write .*Not a directory"),
    ],
)
def test_a_place_that_cannot_be_is_refused(store: Store, target: str, message: str) -> None:
    runs = [store("first", 0.01), store("second", 0.02)]
    before = contents(*runs)

    with pytest.raises(SweeperError, match=message) as error:
        merge(runs, Path(target))
    assert "\n" not in str(error.value)
    assert contents(*runs) == before
    assert sorted(path.name for path in Path("runs").iterdir()) == ["first", "second"]


def test_a_union_is_there_whole_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [store("first", 0.01), store("second", 0.02)]

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    for broken in ("sweeper.parts.pq.write_table", "sweeper.runs.RunDirectory.merge"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, full)
            with pytest.raises(SweeperError, match="No space left on device"):
                merge(runs, Path("runs/both"))
        assert sorted(path.name for path in Path("runs").iterdir()) == ["first", "second"]


def test_a_union_needs_two_runs_and_some_trials(store: Store) -> None:
    first, second = store("first"), store("second")

    with pytest.raises(SweeperError, match="a union needs two runs or more"):
        merge([first, RunDirectory(first.path.absolute())], Path("runs/both"))
    with pytest.raises(SweeperError, match="no trial has ended in runs/first, runs/second"):
        merge([first, second], Path("runs/both"))


def test_a_damaged_part_is_an_error_unless_somebody_listens(store: Store) -> None:
    first, second = store("first", 0.01, 0.02), store("second", 0.03)
    part = min(first.results.iterdir())
    part.write_bytes(b"")

    with pytest.raises(SweeperError, match="cannot be read"):
        merge([first, second], Path("runs/both"))
    assert not Path("runs/both").exists()
    damaged: list[str] = []
    assert "2 trials" in merge([first, second], Path("runs/both"), damaged=damaged)
    assert len(damaged) == 1


def test_a_damaged_experiment_is_one_line(store: Store) -> None:
    first, second = store("first", 0.01), store("second", 0.02)
    second.experiment_file.write_text("name: second\n")

    with pytest.raises(SweeperError, match=r"runs/second/experiment\.yaml is damaged"):
        merge([first, second], Path("runs/both"))
