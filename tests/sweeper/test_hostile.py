"""Names, links and texts of somebody who wants more than to run an experiment."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory, write_atomically
from tests.sweeper.edits import VALID, problems
from tests.sweeper.parts import trial

Answers = Callable[..., Any]
OUTSIDE = ["../x", "a/b", "/tmp/x", "..", ".", "", "~", "-rf", "a\nb", "x\0y", "a" * 65, "C:\\x"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_cannot_lead_out_of_where_runs_lie(name: str) -> None:
    for line in problems(VALID, name=name):
        assert "name" in line
    assert problems(VALID, name=name)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "section", ["arms: {../x: {}}", "scales: {../x: {}}", "trial: {data: {name: ../../etc}}"]
)
def test_neither_can_any_other_name_of_a_file(section: str) -> None:
    text = (
        re.sub(r"trial:.*?\nsearch", "search", VALID, flags=re.S) if "trial" in section else VALID
    )
    assert problems(f"{text}{section}\n")


@pytest.mark.parametrize("command", ["resume", "status", "frontier", "report", "knobs"])
@pytest.mark.parametrize("run", ["../x", "/etc", "../../../../etc/passwd", "no\nrun", "a" * 300])
def test_a_run_that_is_none_is_one_line(sweeper: Answers, command: str, run: str) -> None:
    code, out, err = (answer := sweeper(command, run)).code, answer.out, answer.err

    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_run_somewhere_else_is_read_there_and_nothing_is_written_beside_it(
    sweeper: Answers, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    run = trained("done", "done")
    (tmp_path / "below").mkdir()
    run.path.rename(tmp_path / "elsewhere")
    before = {path for path in tmp_path.rglob("*") if "elsewhere" not in path.parts}

    assert sweeper("frontier", "below/../elsewhere").code == 0
    assert {path for path in tmp_path.rglob("*") if "elsewhere" not in path.parts} == before


@pytest.mark.parametrize("trial_id", ["../../etc/passwd", "/etc/passwd", "..", "*", "a/../b"])
def test_a_trial_id_names_no_file_elsewhere(
    sweeper: Answers, trained: Callable[..., RunDirectory], trial_id: str
) -> None:
    trained("done")
    answer = sweeper("rerun", trial_id)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    with pytest.raises(ValueError, match="not a safe file name"):
        ResultStore(Path("runs/tiny/results")).append(trial(trial_id))


def test_a_link_in_the_place_of_a_partial_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("as it was")
    (tmp_path / "experiment.yaml.partial").symlink_to(target)

    write_atomically(tmp_path / "experiment.yaml", "text")

    assert target.read_text() == "as it was"
    assert (tmp_path / "experiment.yaml").read_text() == "text"
    assert not (tmp_path / "experiment.yaml").is_symlink()


def test_a_part_that_is_a_link_is_replaced_by_nothing(store: ResultStore, tmp_path: Path) -> None:
    """A link that leads nowhere is no part; what it names is never written."""
    store.directory.mkdir(parents=True)
    (store.directory / "t.parquet").symlink_to(tmp_path / "precious")

    store.append(trial("t"))

    assert not (tmp_path / "precious").exists()
    assert store.finished() == {"t"}


def test_a_run_may_be_a_link_to_where_there_is_room(
    sweeper: Answers, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    run = trained("done", "done")
    run.path.rename(tmp_path / "roomy")
    run.path.symlink_to(tmp_path / "roomy")

    assert sweeper("frontier", "tiny").code == 0
    assert (tmp_path / "roomy" / "frontier").is_dir()


def test_secrets_of_the_environment_are_not_stored(
    trained: Callable[..., RunDirectory], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file's variables are text: nothing expands them."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse-battery")
    monkeypatch.setenv("HOME", "/home/correct-horse-battery")
    run = trained("done", "failed", name="tiny")
    text = run.experiment_file.read_text()
    secretive = "${AWS_SECRET_ACCESS_KEY} $HOME ~ %AWS_SECRET_ACCESS_KEY%"
    run.extend(text.replace("A small one", secretive))

    assert run.description == secretive
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 4
    for path in written:
        assert b"correct-horse-battery" not in path.read_bytes(), path


def test_a_run_that_holds_code_runs_none(
    sweeper: Answers, trained: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    """An experiment and rows from somebody else are data."""
    run, trace = trained("done"), tmp_path / "trace"
    tag = f"!!python/object/apply:pathlib.Path.touch [{trace}]"
    run.experiment_file.write_text(f"description: {tag}\n{run.experiment_file.read_text()}")

    for command in ("status", "resume", "frontier", "report"):
        answer = sweeper(command, "tiny")
        assert answer.code == 2
        assert "Traceback" not in answer.err
    assert not trace.exists()


def test_problems_are_raised_as_one_kind_of_error() -> None:
    """What the tests here rely on."""
    assert not issubclass(SweeperError, ValueError)
