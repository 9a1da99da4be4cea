"""What mattered in runs that the tests store."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.stored import knobs
from trainables.trial import config_hash, trial_id

StoreRun = Callable[..., RunDirectory]
RATE = "training.learning_rate"
FILES = ["collapsed.csv", "knobs.csv", "knobs.pdf", "knobs.png", "knobs.svg"]


@pytest.fixture
def store_run(
    tmp_path: Path,
    experiment: Callable[..., Experiment],
    ended: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> StoreRun:
    """Stores a run of `n` trials whose NLL grows with the log of the learning rate."""
    monkeypatch.chdir(tmp_path)

    def store(
        n: int = 12, name: str = "tiny", status: str = "done", **figures: Any
    ) -> RunDirectory:
        tiny = experiment(name=name)
        run = RunDirectory(Path("runs") / name)
        run.create(tiny.to_yaml())
        for number, rate in enumerate(np.geomspace(1e-3, 1e-1, n)):
            values = {RATE: float(rate)}
            config = tiny.trial_config(name, values)
            identity = config_hash(config, "5a")
            task = Task(name, number, 0, values, config, "5a", identity, trial_id(identity, 0))
            point = {"nll": 2.0 + 0.1 * number, "mi": 0.1 * number, "tokens": 1.0, "ess": 50.0}
            ResultStore(run.results).append(ended(tiny, task, status, **{**point, **figures}))
        return run

    return store


def names(directory: str | Path) -> list[str]:
    return sorted(path.name for path in Path(directory).iterdir())


def test_the_knob_that_matters_is_told_and_drawn(store_run: StoreRun) -> None:
    text = knobs.describe([store_run(20)])

    assert text.startswith("20 trials of runs/tiny, nats per observation\n")
    assert "arm   figure  trials" in text
    assert text.endswith("\n".join(f"runs/tiny/frontier/{name}" for name in FILES))
    assert names("runs/tiny/frontier") == FILES
    found = pd.read_csv("runs/tiny/frontier/knobs.csv")
    assert found["knob"].tolist() == [RATE, RATE]
    assert found["verdict"].tolist() == ["matters", "matters"]


def test_collapsed_trials_are_counted_on_the_scale_of_the_space(store_run: StoreRun) -> None:
    text = knobs.describe([store_run()], collapsed_below=0.15)
    counted = pd.read_csv("runs/tiny/frontier/collapsed.csv")

    assert counted["n_collapsed"].tolist() == [2, 0, 0, 0, 0]
    np.testing.assert_allclose(counted["high"] / counted["low"], 100 ** (1 / 5))
    assert "2 of 3 [0.21, 0.94]" in text


def test_pruned_trials_are_said_to_be_left_out(store_run: StoreRun) -> None:
    run = store_run(12)
    assert "pruned" not in knobs.describe([run])
    done = store_run(14, name="other")
    pruned = store_run(12, name="short", status="pruned")

    text = knobs.describe([done, pruned], output=Path("out"), force=True)
    assert text.startswith("14 trials of runs/other, runs/short")
    assert "warning: 12 pruned trials are left out" in text


def test_few_trials_are_not_enough_but_are_drawn(store_run: StoreRun) -> None:
    text = knobs.describe([store_run(4)])

    assert "not enough trials" in text
    assert names("runs/tiny/frontier") == FILES


def test_without_scikit_learn_the_rest_is_there(
    store_run: StoreRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, original = store_run(), builtins.__import__

    def missing(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    text = knobs.describe([run])

    assert knobs.NEEDS in text.splitlines()
    assert names("runs/tiny/frontier") == [name for name in FILES if name != "knobs.csv"]


def test_runs_of_one_experiment_go_together_and_others_must_be_forced(
    store_run: StoreRun, tmp_path: Path
) -> None:
    runs = [store_run(name="one"), store_run(name="two")]
    with pytest.raises(SweeperError, match="name it by --output"):
        knobs.describe(runs)
    with pytest.raises(SweeperError, match=r"2 experiments \(one, two\) .* with --force"):
        knobs.describe(runs, output=tmp_path / "out")

    knobs.describe(runs, output=tmp_path / "out", force=True)
    found = pd.read_csv(tmp_path / "out/knobs.csv")
    assert set(found["label"]) == {"one", "two"}


@pytest.mark.parametrize(
    ("n", "status", "message"),
    [
        (0, "done", "runs/tiny: no trial is done, so there is nothing to learn"),
        (3, "failed", "runs/tiny: no trial is done, so there is nothing to learn"),
        (1, "done", "runs/tiny: no knob was swept, or all trials have one value"),
    ],
)
def test_nothing_to_learn_is_one_line(
    store_run: StoreRun, n: int, status: str, message: str
) -> None:
    with pytest.raises(SweeperError, match=message) as error:
        knobs.describe([store_run(n, status=status)])
    assert "\n" not in str(error.value)


def test_the_code_space_is_itself_a_knob(store_run: StoreRun) -> None:
    with pytest.raises(SweeperError, match="the code space is a knob; give --mi another"):
        knobs.describe([store_run(code_space=2.0)], mi="code_space")


def test_the_same_run_gives_the_same_files(store_run: StoreRun, tmp_path: Path) -> None:
    run = store_run()
    for directory in ("first", "second"):
        knobs.describe([run], output=tmp_path / directory)

    for name in FILES:
        first, second = ((tmp_path / d / name).read_bytes() for d in ("first", "second"))
        assert first == second, name


def test_a_place_that_cannot_be_written_is_one_line(store_run: StoreRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SweeperError, match=r"cannot write .*file: .*choose another --output"):
        knobs.describe([store_run(3)], output=tmp_path / "file")
