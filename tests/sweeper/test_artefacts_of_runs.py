"""Curves and embeddings of whole runs: they come, go and move with the rows of their trials."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from soak.object_store import BUCKET, ObjectStore
from sweeper import lease, sweeping
from sweeper.artefacts import SCHEMAS, Artefacts
from sweeper.confirming import _evaluated_afresh
from sweeper.corpora import data_checksums
from sweeper.driving.interruption import Interruption
from sweeper.driving.searcher import TaskSearcher
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.mirror import _order
from sweeper.results import ResultStore
from sweeper.roots import find_run, runs_root
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from sweeper.stored.merging import merge
from tests.sweeper.test_artefacts import measured, present
from tests.sweeper.test_driver import Told
from trainables import storage
from trainables.storage import below
from trainables.trainable import LatentVariableTrial

MakeExperiment = Callable[..., Experiment]
FIGURES = {"tokens": 1.0, "nll_se": 0.01, "mi_se": 0.01, "ess": 50.0}
METERS = {"at": "every", "collapse": {}, "tsne": {"points": 10, "perplexity": 2.0}}


@pytest.fixture
def metered(experiment: MakeExperiment) -> MakeExperiment:
    """Makes a small experiment with meters."""

    def make(**changes: Any) -> Experiment:
        evaluation = {"evaluation": {"every": 2, "meters": METERS}}
        return experiment(trial=evaluation, **changes)

    return make


def searcher(made: Experiment, directory: RunDirectory) -> TaskSearcher:
    if not directory.exists:
        directory.create(made.to_yaml())
    store = ResultStore(directory.results)
    sweep = Sweep(made, directory.journal, store, data_checksums(made))
    return TaskSearcher(sweep, directory, Told(), Interruption())


def train(made: Experiment, directory: RunDirectory, n_trials: int) -> list[str]:
    """Do what Ray does, with one worker; gives the ids."""
    work = searcher(made, directory)
    for number in range(n_trials):
        assignment = work.suggest(str(number))
        assert isinstance(assignment, Mapping)
        trial = LatentVariableTrial.__new__(LatentVariableTrial)
        trial.setup(dict(assignment))
        while not (report := trial.step())["done"]:
            work.on_trial_result(str(number), report)
        work.on_trial_complete(str(number), report)
    return sorted(ResultStore(directory.results).finished())


def end(work: TaskSearcher, status: str = "done") -> str:
    """Report the end of another trial, with tables; gives its id."""
    assert isinstance(work.suggest("t"), Mapping)
    [task] = work.running.values()
    evaluations = [{"nll": 1.0, "mi": 0.5, **FIGURES, **measured()}]
    report = {"status": status, "reason": None if status == "done" else "it is said to"}
    work.on_trial_complete("t", {**report, "step": 4, "evaluations": evaluations, "cost": [{}]})
    if work.interruption.error is not None:
        raise work.interruption.error
    return task.trial_id


def test_a_trial_that_was_trained_has_its_tables_beside_its_rows(
    metered: MakeExperiment, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    [trial] = train(metered(), directory, 1)

    rows = ResultStore(directory.results).read()
    assert rows["step"].tolist() == [2, 4]
    assert rows["collapsed_share"].between(0, 1).all()
    assert rows["probe_accuracy"].isna().all()  # symbols have no labels
    curves, maps = (Artefacts(directory.path).read(kind, [trial]) for kind in SCHEMAS)
    assert curves["step"].tolist() == [2, 2, 4, 4]
    assert curves["observations"].tolist() == [8] * 4
    assert maps["step"].tolist() == [2] * 8 + [4] * 8
    assert sorted(maps.loc[maps["step"] == 4, "observation"]) == list(range(8))
    for (_, of_step), row in zip(curves.groupby("step"), rows.itertuples(), strict=True):
        assert (of_step["epsilon"] < 0.01).mean() == row.collapsed_share
        assert of_step["kl"].sum() == pytest.approx(row.kl, rel=1e-4)


def test_without_meters_there_are_no_tables(experiment: MakeExperiment, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    train(experiment(), directory, 1)

    assert present(directory.path) == []
    assert ResultStore(directory.results).read()["collapsed_share"].isna().all()


def test_no_row_is_stored_before_its_tables(
    metered: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = searcher(metered(), RunDirectory(tmp_path / "run"))
    (tmp_path / "run" / "embeddings").write_text("no directory")

    with pytest.raises(SweeperError, match=r"cannot write .*embeddings"):
        end(work)
    assert ResultStore(tmp_path / "run" / "results").finished() == set()
    (tmp_path / "run" / "embeddings").unlink()
    trial = end(searcher(metered(), RunDirectory(tmp_path / "run")))

    assert present(tmp_path / "run") == [f"{kind}/{trial}.parquet" for kind in SCHEMAS]


def test_a_trial_that_is_trained_again_loses_its_tables_and_gets_new_ones(
    metered: MakeExperiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, directory = metered(search={"trials": 1}), RunDirectory(tmp_path / "tiny")
    trial = end(searcher(made, directory), "failed")
    seen = []

    def drive(sweep: Sweep, run: RunDirectory, *rest: object) -> bool:
        seen.append(present(run.path))
        return end(TaskSearcher(sweep, run, Told(), Interruption())) == trial

    monkeypatch.setattr(sweeping, "drive", drive)
    sweeping.resume(directory, workers=None, retry_failed=True)

    withdrawn = [f"{kind}/withdrawn/{trial}.parquet" for kind in SCHEMAS]
    assert seen == [withdrawn]
    assert present(directory.path) == sorted(
        [*withdrawn, *(f"{kind}/{trial}.parquet" for kind in SCHEMAS)]
    )
    capsys.readouterr()
    monkeypatch.setattr(sweeping, "drive", lambda *rest: True)
    (directory.path / "curves" / f"{trial}.parquet").write_bytes(b"")
    sweeping.resume(directory, workers=None)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("but figures do without these curves")


def test_a_union_has_the_tables_of_its_trials(metered: MakeExperiment, tmp_path: Path) -> None:
    first, second = (RunDirectory(tmp_path / name) for name in ("first", "second"))
    [one] = train(metered(name="first"), first, 1)
    search = {"sampler": {"name": "random", "seed": 1}}
    both = train(metered(name="second", search=search), second, 2)
    merge([first, second], tmp_path / "union")

    union = RunDirectory(tmp_path / "union")
    for kind in SCHEMAS:
        stored = Artefacts(union.path).read(kind, sorted({one, *both}))
        assert set(stored["trial_id"]) == {one, *both}
        content = (first.path / kind / f"{one}.parquet").read_bytes()
        assert (union.path / kind / f"{one}.parquet").read_bytes() == content


def test_an_object_store_has_them_and_loses_them_as_it_does_rows(
    server: ObjectStore, metered: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(lease, "SETTLED_SECONDS", 0.05)
    root = f"s3://{BUCKET}/{tmp_path.name}"
    directory = runs_root(root).run("tiny", to_drive=True)
    trial = end(searcher(metered(), directory))

    names = [f"{kind}/{trial}.parquet" for kind in SCHEMAS]
    for name in names:
        content = storage.read(below(root, "tiny", name))
        assert content == (directory.path / name).read_bytes()
    seen = find_run("tiny", root)
    assert present(seen.path) == names
    Artefacts(directory.path).withdraw([trial])
    directory.publish()
    gone = [f"{kind}/withdrawn/{trial}.parquet" for kind in SCHEMAS]
    assert present(find_run("tiny", root).path) == gone


def test_tables_reach_a_store_before_the_rows_do() -> None:
    tables = [f"{kind}/t-0.parquet" for kind in SCHEMAS]
    others = ["distinct_trials", "study.journal"]

    assert sorted([*others, "results/t-0.parquet", *tables], key=_order) == [
        *tables,
        "results/t-0.parquet",
        *others,
    ]


def test_a_confirmation_measures_no_meters(metered: MakeExperiment) -> None:
    config = metered().trial_config("tiny", {"training.learning_rate": 0.01})
    fresh = _evaluated_afresh(config, 10)

    assert config.evaluation.meters is not None
    assert fresh.evaluation.meters is None
