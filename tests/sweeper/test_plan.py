import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper import plan
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Sweep
from trainables.data.ptb import PennTreebank

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]


def test_a_plan_tells_what_would_run(experiment: MakeExperiment, tmp_path: Path) -> None:
    space = {"training.l2": {"kind": "float", "low": 0.0, "high": 0.1}}
    arms = {"many": {}, "one": {"objective": {"estimator": "reinforce", "samples": 1}}}
    tiny = experiment(arms=arms, search={"seeds": 2, "space": space}, resources={"cpu": 2})
    lines = plan.describe(tiny, tmp_path / "runs").splitlines()

    assert lines[:7] == [
        "experiment  tiny: A small one",
        "scale       as written",
        "trials      12: 2 arms x 3 configurations x 2 seeds",
        "sampler     random (seed 0), one study per arm",
        "resources   2 CPU, 0 GPU a trial",
        f"directory   {tmp_path}/runs/tiny (new)",
        "data        symbols: made on the fly",
    ]
    one = lines[lines.index("arm one") :]
    assert any(line.startswith("  objective   {estimator: reinforce, ") for line in one)
    assert "  sweeps      training.learning_rate: float from 0.001 to 0.1, log" in one
    assert "  sweeps      training.l2: float from 0.0 to 0.1" in one


def test_a_plan_tells_where_trials_may_end_early(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    halving = {"name": "pareto_halving", "first": 1}
    tiny = experiment(trial={"evaluation": {"every": 1}}, search={"scheduler": halving})
    [line] = [x for x in plan.describe(tiny, tmp_path).splitlines() if x.startswith("scheduler")]

    assert line == (
        "scheduler   pareto_halving: about 1 in 3 trials with MI within 0.5 nats goes on at step "
        "1, 3 of 4"
    )


def test_the_example_is_a_trial_that_the_sweep_could_train(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    tiny = experiment()
    [line] = [x for x in plan.describe(tiny, tmp_path).splitlines() if "for example" in x]
    path, _, value = line.removeprefix("  for example ").partition("=")

    tiny.trial_config("tiny", {path: float(value)})  # refuses what is out of range
    assert plan.describe(tiny, tmp_path) == plan.describe(tiny, tmp_path)


def test_an_arm_may_sweep_nothing(experiment_file: Callable[..., Path], tmp_path: Path) -> None:
    settings = ["search.space.training.learning_rate=null", "trial.training.learning_rate=0.1"]
    tiny = load(experiment_file(search={"trials": 1}), overrides=settings)

    assert plan.describe(tiny, tmp_path).endswith("\n  for example nothing to sample")


def test_a_plan_tells_of_data_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "data"))
    text = plan.describe(load("ptb_vimco_renyi.yaml", scale="small"), tmp_path)

    assert "scale       small" in text
    assert f"{tmp_path}/data lacks ptb/ptb.train.txt, ptb/ptb.valid.txt, ptb/ptb.test.txt" in text
    assert "run `sweeper data fetch ptb`" in text


def test_a_plan_tells_of_data_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path))
    (tmp_path / "ptb").mkdir()
    files = []
    for file in PennTreebank.files:
        (tmp_path / file.name).write_text(file.name)
        files.append(file._replace(sha256=hashlib.sha256(file.name.encode()).hexdigest()))
    ptb = load("ptb_vimco_renyi.yaml")
    assert "the checksum is wrong of ptb/ptb.train.txt" in plan.describe(ptb, tmp_path)

    monkeypatch.setattr(PennTreebank, "files", tuple(files))
    assert f"data        ptb: in {tmp_path}\n" in plan.describe(ptb, tmp_path)


def test_a_plan_tells_of_a_run_that_it_would_continue(
    experiment: MakeExperiment, ended: MakeRows, tmp_path: Path
) -> None:
    tiny = experiment()
    run = RunDirectory(tmp_path / "tiny")
    run.create(tiny.to_yaml())
    sweep = Sweep(tiny, run.journal, ResultStore(run.results), {"tiny": "5a"})
    task = sweep.next()
    assert task is not None
    sweep.finish(task, ended(tiny, task))

    assert f"{tmp_path}/tiny (exists, with 1 finished trials)" in plan.describe(tiny, tmp_path)


def test_a_plan_tells_of_a_run_that_would_refuse_it(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "tiny")
    run.create(experiment().to_yaml())
    other = experiment(search={"trials": 4}, trial={"training": {"steps": 5}})

    assert "(belongs to another experiment; choose another --name)" in plan.describe(
        other, tmp_path
    )
    with pytest.raises(SweeperError, match=r"belongs to another experiment; .* or undo:") as error:
        plan.refuse_another(other, run)
    assert str(error.value).splitlines()[1:] == [
        "  search.trials: 3 -> 4",
        "  trial.training.steps: 4 -> 5",
    ]
    run.experiment_file.write_text("name: [")
    with pytest.raises(SweeperError, match="this version cannot read; choose another --name"):
        plan.refuse_another(other, run)


@pytest.mark.parametrize(
    ("trials", "command"), [(2, "sweeper resume {}"), (5, "sweeper extend {} --trials 2")]
)
def test_where_only_the_number_of_trials_differs_the_way_on_is_told(
    experiment: MakeExperiment, tmp_path: Path, trials: int, command: str
) -> None:
    run = RunDirectory(tmp_path / "tiny")
    run.create(experiment().to_yaml())

    with pytest.raises(SweeperError) as error:
        plan.refuse_another(experiment(search={"trials": trials}), run)
    assert str(error.value).splitlines()[1:] == [
        f"  search.trials: 3 -> {trials}",
        f"the run itself has 3 trials an arm; go on with: {command.format(run.path)}",
    ]


def test_a_plan_creates_nothing(experiment: MakeExperiment, tmp_path: Path) -> None:
    tiny = experiment()
    before = sorted(tmp_path.rglob("*"))
    plan.describe(tiny, tmp_path / "runs")

    assert sorted(tmp_path.rglob("*")) == before
