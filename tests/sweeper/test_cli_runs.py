"""The commands that make something of stored runs and points, as a person uses them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory

MakeExperiment = Callable[..., Experiment]
SweeperCommand = Callable[..., Any]


def test_a_damaged_part_is_named_set_aside_and_trained_again(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    run = trained("done", "done", "done")
    part = min(run.results.glob("*.parquet"))
    part.write_bytes(b"")

    answer = sweeper("resume", "tiny")
    assert answer.code == 0
    assert f"{part.name} is damaged" in answer.out
    assert (run.results / "damaged" / part.name).exists()
    assert len(ResultStore(run.results).finished()) >= 3


def test_a_union_of_damaged_runs_is_only_made_where_that_is_allowed(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    part = min(trained("done", "done").results.iterdir())
    trained("done", "done", "done", name="other")
    part.write_bytes(b"")
    line = ["merge", "tiny", "other", "--output", "both"]

    assert f"{part.name} cannot be read" in sweeper(*line).is_one_error()
    assert not Path("runs/both").exists()
    answer = sweeper(*line, "--allow-partial")
    assert (answer.code, answer.err.count("warning: ")) == (0, 1)
    assert Path("runs/both").is_dir()


def test_the_verbs_for_points_and_runs_work_from_the_command_line(
    sweeper: SweeperCommand, train_run: Callable[..., RunDirectory], experiment: MakeExperiment
) -> None:
    run = train_run(experiment())
    train_run(experiment(name="other", search={"sampler": {"seed": 1}}))
    trial = min(ResultStore(run.results).finished())

    answer = sweeper("rerun", trial[:8], "--run", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("it agrees to the bit\n")
    assert sweeper("merge", "tiny", "other", "--output", "both").code == 0
    assert "both   6 trials, merged from tiny, other; A small one" in sweeper("list", "runs").out
    assert sweeper("merge", "tiny", "other", "--output", "elsewhere/both").code == 0
    assert sweeper("status", "elsewhere/both").out.startswith("elsewhere/both: merged; 6 of 6")
    assert "cannot be trained further" in sweeper("resume", "both").is_one_error()
    assert (
        "runs/both exists" in sweeper("merge", "tiny", "other", "--output", "both").is_one_error()
    )
    answer = sweeper(
        "export", "both", "--to", "parquet", "--final-only", "--output", "all.parquet"
    )
    assert answer.out.startswith("all.parquet: 6 rows, ")
    for line in (["merge", "tiny", "other"], ["export", "tiny", "--to", "csv"]):
        assert "on this machine" in sweeper(*line, "--output", "s3://b/x").is_one_error()
    assert "did you mean 'csv'?" in sweeper("export", "both", "--to", "cvs").is_one_error()
