"""Shipped experiments that lie in a directory, and stored runs of them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper import layers
from sweeper.experiment import load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import papers
from sweeper.stored.protocols import Recognised, Shipped, recognise, recognise_all

TABLE, ONE_ARM = "room/table", "room/one_arm"
DOCUMENT: dict[str, Any] = {
    "name": "room_table",
    "description": "Two arms, nothing swept",
    "trial": {
        "data": {"name": "ptb"},
        "model": {"name": "sentence_lstm", "latents": {"kind": "gaussian", "dimensions": 2}},
        "objective": {"name": "kl", "estimator": "dreg", "samples": 2, "lambda": 0.5},
        "training": {"steps": 4, "batch_size": 4, "learning_rate": 0.1},
        "evaluation": {"split": "test"},
    },
    "arms": {"a": {}, "b": {"objective": {"samples": 3}}},
    "search": {"space": {}, "trials": 1, "seeds": 5},
    "scales": {"small": {"search": {"seeds": 3}}},
}


@pytest.fixture(autouse=True)
def _library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ships a table of two arms and an experiment of one, both in a directory."""
    monkeypatch.chdir(tmp_path)
    room = tmp_path / "library" / "room"
    room.mkdir(parents=True)
    (room / "table.yaml").write_text(yaml.safe_dump(DOCUMENT), "utf-8")
    one_arm = {"extends": "table.yaml", "name": "room_one_arm", "arms": None, "description": "One"}
    (room / "one_arm.yaml").write_text(yaml.safe_dump(one_arm), "utf-8")
    monkeypatch.setattr(layers, "EXPERIMENTS", tmp_path / "library")


@pytest.fixture
def store_run() -> Callable[..., RunDirectory]:
    """Stores a run of a shipped experiment: every arm with so many seeds."""

    def store(source: str, seeds: int = 2, **options: Any) -> RunDirectory:
        experiment = load(source, **options)
        run = RunDirectory(Path("runs") / experiment.name)
        run.create(experiment.to_yaml())
        for arm in experiment.arms:
            for seed in range(seeds):
                row = {
                    "experiment": experiment.name,
                    "arm": arm,
                    "trial_id": f"{arm}-{seed}",
                    "config_hash": arm,
                    "seed": seed,
                    "step": 4,
                    "final": True,
                    "status": "done",
                    "scale": experiment.scale,
                    "split": "test",
                    "created_at": datetime.now(UTC),
                }
                ResultStore(run.results).append([row])
        return run

    return store


def found(run: RunDirectory) -> Recognised:
    recognised = recognise(run, [ONE_ARM, TABLE])
    assert recognised is not None
    return recognised


def test_an_experiment_in_a_directory_is_named_apart_from_its_file() -> None:
    shipped = Shipped(TABLE)

    assert (shipped.title, shipped.split) == ("room_table", "test")
    assert load("room/table.yaml").name == "room_table"
    assert Shipped(TABLE, "small").document["search"]["seeds"] == 3


@pytest.mark.parametrize("name", [None, "mine"])
def test_its_runs_are_recognised_by_their_name_or_else_their_description(
    store_run: Callable[..., RunDirectory], name: str | None
) -> None:
    recognised = found(store_run("room/table.yaml", name=name))

    assert recognised.run.path == Path("runs") / (name or "room_table")
    assert recognised.experiment == TABLE
    assert recognised.protocol.as_shipped
    assert sorted(set(recognised.rows["arm"])) == ["a", "b"]
    assert (len(recognised.rows), recognised.n_trials) == (4, 10)


def test_a_run_at_a_scale_has_as_many_trials_as_that(
    store_run: Callable[..., RunDirectory],
) -> None:
    recognised = found(store_run(TABLE, seeds=3, scale="small"))

    assert str(recognised.protocol) == "scale small"
    assert (len(recognised.rows), recognised.n_trials) == (6, 6)


@pytest.mark.parametrize("name", [None, "mine"])
def test_the_single_arm_of_an_experiment_has_its_name_not_its_files(
    store_run: Callable[..., RunDirectory], name: str | None
) -> None:
    recognised = found(store_run(ONE_ARM, name=name))

    assert recognised.experiment == ONE_ARM
    assert recognised.protocol.as_shipped
    assert set(recognised.rows["arm"]) == {"room_one_arm"}


def test_all_runs_in_a_storage_are_found(store_run: Callable[..., RunDirectory]) -> None:
    for source in (TABLE, ONE_ARM):
        store_run(source)
    recognised, problems = recognise_all([TABLE, ONE_ARM], None)

    assert sorted(r.experiment for r in recognised) == [ONE_ARM, TABLE]
    assert problems == []


def test_a_run_is_asked_for_by_its_file_with_the_split_where_that_differs(
    store_run: Callable[..., RunDirectory],
) -> None:
    assert papers._command(TABLE, "test", None) == "sweeper run room/table.yaml"
    assert papers._command(TABLE, "train", None) == (
        "sweeper run room/table.yaml --set trial.evaluation.split=train --name room_table-train"
    )
    store_run(TABLE)
    assert papers._command(TABLE, "test", None) == (
        "sweeper run room/table.yaml --name room_table-as-shipped"
    )


def test_ranges_of_single_arms_are_compared_by_arm(
    store_run: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    rate = {"kind": "float", "low": 0.01, "high": 0.1}
    swept = {
        **DOCUMENT,
        "search": {"space": {}, "arms": {"b": {"training.l2": rate}}, "trials": 1},
    }
    (tmp_path / "library" / "room" / "table.yaml").write_text(yaml.safe_dump(swept), "utf-8")
    as_shipped = found(store_run("room/table.yaml"))
    narrower = "search.arms.b.training.l2.high=0.05"
    changed = found(store_run("room/table.yaml", name="other", overrides=[narrower]))

    assert as_shipped.protocol.as_shipped
    assert str(changed.protocol) == "search.space has other ranges for b"
