"""The report on stored runs; the page itself is tested in `tests/analysis/report`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.stored import reporting
from trainables.trial import config_hash, trial_id

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
StoreRun = Callable[..., RunDirectory]

POINT = {"nll": 2.0, "mi": 1.0, "nll_se": 0.01, "mi_se": 0.02, "tokens": 1.0, "ess": 50.0}


@pytest.fixture
def store_run(
    tmp_path: Path, experiment: MakeExperiment, ended: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> StoreRun:
    """Stores a run of trials that ended so, with given figures."""
    monkeypatch.chdir(tmp_path)

    def store(
        *statuses: str, name: str = "tiny", of: str = "tiny", data: str = "5a", **figures: Any
    ) -> RunDirectory:
        tiny = experiment(name=of)
        run = RunDirectory(Path("runs") / name)
        run.create(tiny.to_yaml())
        for number, status in enumerate(statuses):
            values = {"training.learning_rate": 0.01 + 0.001 * number}
            config = tiny.trial_config(of, values)
            identity = config_hash(config, data)
            task = Task(of, number, 0, values, config, data, identity, trial_id(identity, 0))
            ResultStore(run.results).append(ended(tiny, task, status, **{**POINT, **figures}))
        return run

    return store


def told(path: str) -> Any:
    [data] = re.findall(r'id="data">(.*?)</script>', Path(path).read_text("utf-8"), re.DOTALL)
    return json.loads(data)


def test_a_report_is_written_beside_the_frontier(store_run: StoreRun) -> None:
    run = store_run("done", "done", "failed")
    text = reporting.report([run])

    assert re.fullmatch(
        r"runs/tiny/frontier/report\.html: \d\.\d MB, trials: 2 done, 1 failed", text
    )
    data = told("runs/tiny/frontier/report.html")
    stored = ResultStore(run.results).read(final_only=True)
    assert sorted(data["trials"]["id"]) == sorted(stored["trial_id"])
    assert [run["experiment"] for run in data["runs"]] == [run.experiment_file.read_text()]
    assert data["runs"][0]["description"] == "A small one"
    assert data["runs"][0]["rerun"] == "sweeper rerun TRIAL_ID"
    assert set(data["yaml"]["which"]) == {0}


def test_its_commands_find_runs_that_lie_elsewhere(store_run: StoreRun, tmp_path: Path) -> None:
    run = store_run("done")
    page = "runs/tiny/frontier/report.html"
    (tmp_path / "my runs").symlink_to("runs")
    for found, storage, options in (
        (run, Path("my runs"), " --storage 'my runs'"),
        (run, Path("other"), " --run runs/tiny"),
        (RunDirectory(tmp_path / "runs/tiny"), None, ""),
    ):
        reporting.report([found], storage=storage)
        assert told(page)["runs"][0]["rerun"] == f"sweeper rerun TRIAL_ID{options}"


def test_several_runs_share_a_report_where_they_are_told_to(
    store_run: StoreRun, tmp_path: Path
) -> None:
    runs = [
        store_run("done", name="first"),
        store_run("done", name="second"),
        store_run(name="no"),
    ]
    with pytest.raises(SweeperError, match="name it by --output"):
        reporting.report(runs)

    reporting.report(runs, output=tmp_path / "below" / "both.html")
    data = told(str(tmp_path / "below/both.html"))
    assert [run["name"] for run in data["runs"]] == ["first", "second", "no"]
    assert [run["facts"]["trials"] for run in data["runs"]] == ["1 done", "1 done", "none"]


def test_different_experiments_are_refused_unless_forced(store_run: StoreRun) -> None:
    runs = [store_run("done", name="first"), store_run("done", name="second", of="other")]
    with pytest.raises(SweeperError, match=r"2 experiments \(tiny, other\) .* with --force"):
        reporting.report(runs, output=Path("both.html"))
    assert not Path("both.html").exists()

    reporting.report(runs, output=Path("both.html"), force=True)
    assert len(told("both.html")["trials"]["id"]) == 2


def test_it_is_per_token_first_where_observations_have_several(store_run: StoreRun) -> None:
    run = store_run("done", tokens=4.0)

    reporting.report([run])
    assert told("runs/tiny/frontier/report.html")["unit"] == "token"
    reporting.report([run], per="observation")
    assert told("runs/tiny/frontier/report.html")["unit"] == "observation"
    with pytest.raises(SweeperError, match="--per takes observation or token; got 'word'"):
        reporting.report([run], per="word")


def test_a_run_without_rows_has_no_report(store_run: StoreRun) -> None:
    with pytest.raises(SweeperError, match="runs/tiny: no trial has ended yet"):
        reporting.report([store_run()])


def test_a_place_that_cannot_be_written_is_one_line(store_run: StoreRun, tmp_path: Path) -> None:
    run = store_run("done")
    (tmp_path / "file").write_text("mine")

    for output, why in ((tmp_path / "file" / "x.html", "cannot write"), (tmp_path, "a directory")):
        with pytest.raises(SweeperError, match=why) as error:
            reporting.report([run], output=output)
        assert "\n" not in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"
