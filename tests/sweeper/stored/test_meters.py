"""What the meters of stored runs say, of runs that the tests store."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeper.artefacts import Artefacts
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.stored import meters
from trainables.data.symbols import Symbols
from trainables.trial import config_hash, trial_id

StoreRun = Callable[..., RunDirectory]
Writers = dict[str, Callable[[Path], object]]
PICTURES = ("pdf", "png", "svg")
ACCURACY = {"probe_accuracy": 0.75, "probe_accuracy_se": 0.01, "knn_accuracy": 0.5}
ACCURACY |= {"knn_accuracy_se": 0.02, "knn_k": 20, "probe_chance": 0.25, "probe_train": 100}


def curve(number: int, delta: float = 0.01) -> dict[str, Any]:
    """Two dimensions, of which the first collapses the later the higher the trial's number."""
    return {
        "epsilon": [0.001 * (number + 1), 1.0],
        "share": [0.5, 1.0],
        "delta": [delta] * 2,
        "dimension": [1, 0],
        "kl": [0.001, 0.5],
        "mean_variance": [0.001, 0.5],
        "observations": [100] * 2,
    }


def a_map() -> dict[str, Any]:
    places = np.linspace(0, 1, 6).tolist()
    return {
        "observation": list(range(6)),
        "class": [0, 1, 0, 1, 0, 1],
        "x": places,
        "y": places,
        "perplexity": [2.0] * 6,
    }


@pytest.fixture
def store_run(
    tmp_path: Path, experiment: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> StoreRun:
    """Stores a run of trials with meters; the last is dominated by the one before it."""
    from sweeper.rows import trial_rows

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Symbols, "held_out", True)

    def store(
        n: int = 3,
        name: str = "tiny",
        asked: dict[str, Any] | None = None,
        delta: float = 0.01,
        tables: tuple[str, ...] = ("curves", "embeddings"),
        **figures: Any,
    ) -> RunDirectory:
        asked = {"collapse": {"epsilon": 0.002, "delta": delta}} if asked is None else asked
        tiny = experiment(
            name=name, trial={"evaluation": {"split": "validation", "meters": asked}}
        )
        run = RunDirectory(Path("runs") / name)
        run.create(tiny.to_yaml())
        for number in range(n):
            values = {"training.learning_rate": 0.01 + 0.001 * number}
            config = tiny.trial_config(name, values)
            identity = config_hash(config, "5a")
            task = Task(name, number, 0, values, config, "5a", identity, trial_id(identity, 0))
            is_last = number == n - 1 > 0
            made = {"curves": curve(number, delta), "embeddings": a_map()}
            evaluation = {
                "step": 4,
                "nll": 9.0 if is_last else 2.0 + number,
                "mi": 0.5 if is_last else 1.0 + number,
                "nll_se": 0.01,
                "mi_se": 0.01,
                "tokens": 1.0,
                "ess": 50.0,
                "ess_min": 9.0,
                "observations": 100,
                "collapsed_share": 0.5,
                **figures,
                "tables": {kind: made[kind] for kind in tables},
            }
            report = {"status": "done", "evaluations": [evaluation]}
            Artefacts(run.path).write(task.trial_id, [evaluation])
            ResultStore(run.results).append(trial_rows(tiny, task, report))
        return run

    return store


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves pictures empty, which take most of the time."""
    real = meters.write_all

    def write_all(writers: Writers, directory: Path) -> list[Path]:
        tables = {name: write for name, write in writers.items() if name.endswith(".csv")}
        return real({name: tables.get(name, Path.touch) for name in writers}, directory)

    monkeypatch.setattr(meters, "write_all", write_all)


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_meters_are_told_drawn_and_written_as_tables(store_run: StoreRun) -> None:
    run = store_run(**ACCURACY)
    text = meters.describe([run])
    lines = text.splitlines()

    assert lines[0] == "meters of 3 trials of runs/tiny"
    assert lines[2] == "medians over 2 trials on the frontier"
    shown = ["arm", "trials", "share collapsed", "active units", "linear probe", "k-NN", "chance"]
    assert re.split(r"  +", lines[3]) == shown
    assert lines[4].split() == ["tiny", "2", "0.5", "–", "0.75", "0.5", "0.25"]
    assert "share collapsed: at ε = 0.002, δ = 0.01" in lines
    pictures = [f"{name}.{k}" for name in ("collapse", "embeddings", "probes") for k in PICTURES]
    tables = ["meters.csv", "collapse.csv", "active_units.csv", "embeddings.csv"]
    assert files(run.frontier) == sorted([*pictures, *tables])
    assert lines[-1] == "runs/tiny/frontier/embeddings.svg"
    written = pd.read_csv(run.frontier / "meters.csv")
    assert written["probe_accuracy"].tolist() == [0.75] * 3
    assert written["on_frontier"].sum() == 2


@pytest.mark.usefixtures("no_pixels")
@pytest.mark.parametrize(("of", "epsilons"), [("frontier", 2), ("all", 3)])
def test_curves_are_over_the_frontier_or_over_all(
    store_run: StoreRun, of: str, epsilons: int
) -> None:
    run = store_run()
    meters.describe([run], of=of)
    drawn = pd.read_csv(run.frontier / "collapse.csv")

    assert drawn["epsilon"].tolist() == [*(0.001 * np.arange(1, epsilons + 1)), 1.0]
    assert set(drawn["trials"]) == {epsilons}


@pytest.mark.usefixtures("no_pixels")
def test_the_map_is_that_of_lowest_nll_or_the_one_that_is_named(store_run: StoreRun) -> None:
    run = store_run()
    rows = ResultStore(run.results).read()
    [best] = rows.loc[rows["nll"] == 2.0, "trial_id"]
    [other] = rows.loc[rows["nll"] == 9.0, "trial_id"]

    assert f"map: {best} of tiny, NLL 2, MI 1" in meters.describe([run])
    assert set(pd.read_csv(run.frontier / "embeddings.csv")["trial_id"]) == {best}
    assert f"map: {other} of tiny, NLL 9, MI 0.5" in meters.describe([run], maps=[other[:8]])
    assert set(pd.read_csv(run.frontier / "embeddings.csv")["trial_id"]) == {other}
    with pytest.raises(SweeperError, match="--map: no trial with a map begins with 'zz'"):
        meters.describe([run], maps=["zz"])
    with pytest.raises(SweeperError, match="--map: 3 trials with a map begin with ''"):
        meters.describe([run], maps=[""])


@pytest.mark.usefixtures("no_pixels")
def test_only_what_was_asked_for_is_drawn(store_run: StoreRun) -> None:
    run = store_run(tables=("curves",))
    meters.describe([run])

    assert not {"embeddings.png", "probes.png"} & set(files(run.frontier))
    probed = store_run(name="probed", asked={"probes": {}}, tables=(), **ACCURACY)
    assert "share collapsed: at" not in meters.describe([probed])
    assert files(probed.frontier) == ["meters.csv", *(f"probes.{kind}" for kind in PICTURES)]


@pytest.mark.usefixtures("no_pixels")
def test_curves_of_several_deltas_are_warned_of(store_run: StoreRun) -> None:
    runs = [store_run(), store_run(name="other", delta=0.1)]
    text = meters.describe(runs, output=Path("both"), force=True)

    assert "warning: curves of 2 δ do not compare: 0.01, 0.1" in text
    assert set(pd.read_csv("both/collapse.csv")["label"]) == {"tiny", "other"}


def test_what_cannot_be_shown_is_refused_in_one_line(store_run: StoreRun) -> None:
    run = store_run(tables=(), asked={"collapse": {}})
    for problem, options in (
        ("no trial was measured with meters; name some in evaluation.meters", {}),
        ("--of takes frontier or all; got 'some'", {"of": "some"}),
    ):
        with pytest.raises(SweeperError, match=problem) as error:
            meters.describe([run], **options)
        assert "\n" not in str(error.value)
    with pytest.raises(SweeperError, match="several runs need a directory for their meters"):
        meters.describe([run, store_run(name="other")])


@pytest.mark.usefixtures("no_pixels")
def test_a_damaged_table_is_named_and_the_rest_is_drawn(store_run: StoreRun) -> None:
    run = store_run()
    [first, *_] = sorted((run.path / "curves").iterdir())
    first.write_bytes(b"")
    damaged: list[str] = []
    meters.describe([run], of="all", damaged=damaged)

    assert len(damaged) == 1
    assert str(first) in damaged[0]
    assert set(pd.read_csv(run.frontier / "collapse.csv")["trials"]) == {2}


@pytest.mark.usefixtures("no_pixels")
def test_the_command_line_passes_on_what_is_chosen(
    store_run: StoreRun, sweeper: Callable[..., Any]
) -> None:
    run = store_run()
    answer = sweeper("meters", "tiny", "--of", "all", "--output", "there")

    assert answer.code == 0
    assert answer.out.startswith("meters of 3 trials of runs/tiny\n\nmedians over 3 trials\n")
    assert "there/collapse.png" in answer.out
    assert not run.frontier.exists()
