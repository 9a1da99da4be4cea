"""The commands that draw conclusions from stored results, as a person uses them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.experiment import Experiment
from sweeper.runs import RunDirectory

MakeExperiment = Callable[..., Experiment]
SweeperCommand = Callable[..., Any]


def test_status_is_for_a_name_or_a_directory(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    run = trained("done", "failed")
    answer = sweeper("status", "tiny")

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("runs/tiny: stopped; 2 of 3 trials have ended, ")
    assert "failed: as the test wants it" in answer.out
    assert sweeper("status", str(run.path)).out.startswith(f"{run.path}: stopped; 2 of 3")
    assert sweeper("status", "tiny", "--storage", str(run.path.parent)).code == 0
    assert "did you mean 'tiny'?" in sweeper("status", "tony").is_one_error()


def test_a_frontier_is_written_where_it_is_asked_for(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    trained("done", "done", "done")
    trained("done", name="other")

    answer = sweeper("frontier", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "runs/tiny/frontier/frontier.svg"
    assert "name it by --output" in sweeper("frontier", "tiny", "other").is_one_error()
    both = ("frontier", "tiny", "other", "--output", "both")
    assert "2 experiments (tiny, other)" in sweeper(*both).is_one_error()
    assert sweeper(*both, "--force").code == 0
    assert (tmp_path / "both/frontier.png").stat().st_size > 0
    assert "nats per token" in sweeper("frontier", "tiny", "--per", "token").out
    assert "got 'word'" in sweeper("frontier", "tiny", "--per", "word").is_one_error()
    assert (
        "cannot write tiny.yaml"
        in sweeper("frontier", "tiny", "--output", "tiny.yaml").is_one_error()
    )


def test_a_frontier_has_views_styles_and_bands(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    trained("done", "done", "done")
    here = ("frontier", "tiny", "--output", "here")

    for options, picture in (
        (["--view", "rate-distortion"], "rate_distortion.svg"),
        (["--style", "paper"], "frontier_paper.svg"),
    ):
        answer = sweeper(*here, *options)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.splitlines()[-1] == f"here/{picture}"
    assert "evaluation.every" in sweeper(*here, "--view", "training").is_one_error()
    assert "no arm has two" in sweeper(*here, "--band", "seeds").is_one_error()
    assert "did you mean seeds?" in sweeper(*here, "--band", "seed").is_one_error()


@pytest.mark.parametrize("command", ["frontier", "report", "knobs", "compare"])
def test_figures_take_the_information_to_show(
    command: str, sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    trained("done")
    sides = ("tiny", "other") if command == "compare" else ("tiny",)
    if command == "compare":
        trained("done", name="other")

    for choice, told in (("mi_q", " has a value of mi_q, "), ("x", "--mi takes mi, mi_q")):
        assert told in sweeper(command, *sides, "--mi", choice).is_one_error()


def test_sides_are_compared_with_the_one_that_is_named(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    for name in ("tiny", "other"):
        trained("done", name=name)
    sides = ("compare", "tiny", "other", "--output", "both")

    assert "'x' is none of the sides" in sweeper(*sides, "--against", "x").is_one_error()
    assert sweeper(*sides, "--against", "tiny").out.startswith("other against tiny, ")


def test_a_report_is_written_where_it_is_asked_for(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    trained("done", "failed")
    trained("done", name="other")

    answer = sweeper("report", "tiny")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("runs/tiny/frontier/report.html: ")
    assert "name it by --output" in sweeper("report", "tiny", "other").is_one_error()
    assert sweeper("report", "tiny", "other", "--output", "x.html", "--force").code == 0
    assert (tmp_path / "x.html").stat().st_size > 0
    assert "with --force" in sweeper("report", "tiny", "other", "--output", "y").is_one_error()
    assert "got 'word'" in sweeper("report", "tiny", "--per", "word").is_one_error()


def test_a_run_without_rows_has_no_frontier(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    trained()

    assert "no trial has ended yet" in sweeper("frontier", "tiny").is_one_error()


READERS = [
    *("status tiny", "frontier tiny", "report tiny"),
    *("export tiny --to csv", "export tiny --to optuna"),
]


@pytest.mark.parametrize("line", READERS)
def test_damaged_parts_are_named_and_the_rest_is_read(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], line: str
) -> None:
    first, second, _ = sorted(trained("done", "done", "done").results.iterdir())
    whole = sweeper(*line.split())
    assert (whole.code, whole.err) == (0, "")
    first.write_bytes(b"PAR1")
    second.write_bytes(b"")

    strict = sweeper(*line.split())
    assert strict.code == 1
    assert strict.out
    errors = strict.err.splitlines()
    assert [error.split(" cannot be read")[0] for error in errors] == [
        f"error: runs/tiny/results/{first.name}",
        f"error: runs/tiny/results/{second.name}",
    ]
    lenient = sweeper(*line.split(), "--allow-partial")
    assert (lenient.code, lenient.out) == (0, strict.out)
    assert lenient.err == strict.err.replace("error: ", "warning: ")


@pytest.mark.parametrize("line", ["compare tiny other --output both", "knobs tiny", "paper melis"])
def test_figures_of_damaged_runs_name_what_they_lack(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory], line: str
) -> None:
    part = min(trained("done", "done", "done").results.iterdir())
    trained("done", "done", "done", name="other")
    part.write_bytes(b"")

    strict = sweeper(*line.split())
    assert strict.code == 1
    assert strict.out
    assert strict.err.startswith(f"error: runs/tiny/results/{part.name} cannot be read")
    assert sweeper(*line.split(), "--allow-partial").code == 0


def test_damaged_parts_are_named_where_nothing_else_is_there(
    sweeper: SweeperCommand, trained: Callable[..., RunDirectory]
) -> None:
    [part] = trained("done").results.iterdir()
    part.write_bytes(b"")
    answer = sweeper("frontier", "tiny", "--allow-partial")

    assert answer.code == 2
    warning, error = answer.err.splitlines()
    assert warning.startswith(f"warning: runs/tiny/results/{part.name} cannot be read")
    assert error.startswith("error: ")
    assert "no trial has ended yet" in error
