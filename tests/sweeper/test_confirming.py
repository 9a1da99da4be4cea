"""A frontier that is measured again, by the real trainable in this process instead of in Ray's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper import confirming
from sweeper.confirming import Confirmations, confirm
from sweeper.corpora import data_checksums
from sweeper.driving.interruption import Interruption
from sweeper.driving.searcher import TaskSearcher
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.progress import Progress
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from sweeper.sweeping import DONE, INTERRUPTED
from sweeper.work import Work
from trainables.trainable import LatentVariableTrial

MakeExperiment = Callable[..., Experiment]
SHORT = {"training": {"steps": 3}, "evaluation": {"samples": 5, "enumerate_up_to": 0}}


def train_here(work: Work, directory: RunDirectory, listener: Any, *where: object) -> bool:
    """Do what Ray does, with one worker."""
    searcher = TaskSearcher(work, directory, listener, Interruption())
    number = 0
    while isinstance(assignment := searcher.suggest(str(number)), Mapping):
        trial = LatentVariableTrial.__new__(LatentVariableTrial)
        trial.setup(dict(assignment))
        report = trial.step()
        while not report["done"]:
            report = trial.step()
        searcher.on_trial_complete(str(number), report)
        number += 1
    return True


@pytest.fixture
def trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Experiment], RunDirectory]:
    """Trains a run to its end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(confirming, "drive", train_here)

    def train(experiment: Experiment) -> RunDirectory:
        run = RunDirectory(Path("runs") / experiment.name)
        run.create(experiment.to_yaml())
        store = ResultStore(run.results)
        sweep = Sweep(experiment, run.journal, store, data_checksums(experiment))
        train_here(sweep, run, Progress(0, store.read(final_only=True)))
        return run

    return train


def test_models_of_the_frontier_are_kept_and_no_others(
    experiment: MakeExperiment, trained: Callable[[Experiment], RunDirectory]
) -> None:
    run = trained(experiment(trial=SHORT, search={"trials": 8}))
    rows = ResultStore(run.results).read(final_only=True)
    points = rows[["nll", "mi"]].to_numpy()
    on = [
        trial
        for trial, (nll, mi) in zip(rows["trial_id"], points, strict=True)
        if not any((n <= nll and m >= mi) and (n, m) != (nll, mi) for n, m in points)
    ]

    assert {path.stem for path in run.models.iterdir()} == set(on)
    assert 0 < len(on) < 8


def test_a_frontier_is_evaluated_and_trained_afresh(
    experiment: MakeExperiment,
    trained: Callable[[Experiment], RunDirectory],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = trained(experiment(trial=SHORT, search={"trials": 4, "seeds": 2}))
    chosen = ResultStore(run.results).read(final_only=True).set_index("trial_id")
    kept = {path.stem for path in run.models.iterdir()}
    before = {path: path.read_bytes() for path in run.results.iterdir()}

    assert confirm(run, samples=50, seeds=2, workers=None) == DONE

    fresh = ResultStore(run.confirmation).read(final_only=True)
    assert (fresh["samples"][fresh["seed"] >= 2] == 50).all()
    redrawn = fresh[(fresh["seed"] < 2) & (fresh["samples"] == 5)].set_index("confirms")
    assert set(fresh["confirms"]) >= kept  # and those that errors may have kept off the frontier
    again = fresh[(fresh["seed"] < 2) & (fresh["samples"] == 50)].set_index("confirms")
    assert set(redrawn.index) == set(again.index)
    assert (redrawn["nll"] != chosen["nll"][redrawn.index]).all()
    assert set(again.index) == set(fresh["confirms"])
    # It is the same model, for its KL is in closed form; and other samples.
    pd.testing.assert_series_equal(
        again["kl"], chosen["kl"][again.index], check_names=False, rtol=1e-12
    )
    assert (again["nll"] != chosen["nll"][again.index]).all()
    assert (again["train_seconds"][list(kept)] == 0).all()
    others = fresh[fresh["seed"] >= 2]
    assert set(others["seed"]) == {2, 3}
    assert (others["train_seconds"] > 0).all()
    assert others["training.learning_rate"].notna().all()
    assert {path: path.read_bytes() for path in run.results.iterdir()} == before
    assert (run.frontier / "confirmation.png").exists()
    out = capsys.readouterr().out
    assert f"runs/tiny: {len(again)} points that are or may be on the frontier, " in out
    assert "tiny: same models, K = 5 drawn again: NLL" in out
    assert "tiny: same models, K = 50 in place of 5: NLL" in out
    assert "tiny: same configurations, new seeds: NLL" in out


def test_a_confirmation_continues_and_does_nothing_twice(
    experiment: MakeExperiment,
    trained: Callable[[Experiment], RunDirectory],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = trained(experiment(trial=SHORT, search={"trials": 4}))

    @contextmanager
    def after(n: int) -> Iterator[None]:
        def finish(self: Confirmations, *args: Any) -> None:
            recorded(self, *args)
            if len(self.finished) == n:
                raise KeyboardInterrupt

        recorded = Confirmations.finish
        with monkeypatch.context() as patch:
            patch.setattr(Confirmations, "finish", finish)
            yield

    with after(1):
        assert confirm(run, samples=50, seeds=1, workers=None) == INTERRUPTED
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("continue with: sweeper confirm runs/tiny --samples 50 --seeds 1")
    [first] = ResultStore(run.confirmation).read(final_only=True)["trial_id"]

    assert confirm(run, samples=50, seeds=1, workers=None) == DONE
    parts = {path: path.stat().st_mtime_ns for path in run.confirmation.iterdir()}
    assert first in {path.stem for path in parts}
    assert confirm(run, samples=50, seeds=1, workers=None) == DONE
    assert {path: path.stat().st_mtime_ns for path in run.confirmation.iterdir()} == parts


def test_a_model_that_is_lost_is_trained_again_to_the_same_bits(
    experiment: MakeExperiment, trained: Callable[[Experiment], RunDirectory]
) -> None:
    run = trained(experiment(trial=SHORT, search={"trials": 1}))
    confirm(run, samples=50, seeds=0, workers=None)
    kept = ResultStore(run.confirmation).read(final_only=True).set_index("samples")["nll"]
    for part in run.confirmation.iterdir():
        part.unlink()
    [model] = run.models.iterdir()
    model.write_bytes(b"damaged")

    confirm(run, samples=50, seeds=0, workers=None)

    again = ResultStore(run.confirmation).read(final_only=True).set_index("samples")
    assert again["nll"].to_dict() == kept.to_dict()
    assert (again["train_seconds"] > 0).all()


def test_exact_figures_are_not_evaluated_again(
    experiment: MakeExperiment, trained: Callable[[Experiment], RunDirectory]
) -> None:
    run = trained(experiment(trial={"training": {"steps": 3}}, search={"trials": 2}))

    confirm(run, samples=50, seeds=1, workers=None)

    assert set(ResultStore(run.confirmation).read(final_only=True)["seed"]) == {1}


def test_the_information_that_was_maximised_is_confirmed(
    experiment: MakeExperiment,
    trained: Callable[[Experiment], RunDirectory],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = trained(
        experiment(trial=SHORT, frontier={"maximize": "mi_q"}, search={"trials": 2, "seeds": 1})
    )
    chosen = ResultStore(run.results).read(final_only=True).set_index("trial_id")

    assert confirm(run, samples=50, seeds=0, workers=None) == DONE

    found = pd.read_csv(run.frontier / "confirmation.csv").set_index("trial_id")
    assert len(found)
    assert found["mi_chosen"].to_list() == chosen["mi_q"][found.index].to_list()
    fresh = ResultStore(run.confirmation).read(final_only=True)
    many = fresh[fresh["samples"] == 50].set_index("confirms")
    assert found["mi_fresh"].to_list() == many["mi_q"][found.index].to_list()
    assert "MI: MI of q, I_q(x; z), pool of 8" in capsys.readouterr().out


def test_a_run_without_a_frontier_has_nothing_to_confirm(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.create(experiment().to_yaml())

    with pytest.raises(SweeperError, match="no trial is done, so there is no frontier"):
        confirm(run, samples=50, seeds=1, workers=None)
