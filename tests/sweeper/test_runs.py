import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sweeper import roots
from sweeper.errors import SweeperError
from sweeper.roots import find_run, list_runs
from sweeper.runs import RunDirectory, write_atomically

TEXT = """\
name: a
description: About it
arms: {x: {}, y: {}}
search: {trials: 3, seeds: 2}
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "a")
    run.create(TEXT)
    return run


def test_a_new_run_holds_its_experiment(run: RunDirectory) -> None:
    assert run.exists
    assert run.experiment_file.read_text() == TEXT
    assert run.description == "About it"
    assert run.n_trials == 12
    assert [path.name for path in run.path.iterdir()] == ["experiment.yaml"]


def test_an_empty_directory_can_become_a_run(tmp_path: Path) -> None:
    RunDirectory(tmp_path).create(TEXT)

    assert RunDirectory(tmp_path).exists


@pytest.mark.parametrize("what", ["a file", "foreign files"])
def test_what_is_no_run_is_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a"
    if what == "a file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "thesis.tex").write_text("mine")

    with pytest.raises(SweeperError, match="a exists and is not a run; choose another --name"):
        RunDirectory(path).create(TEXT)
    assert (path if path.is_file() else path / "thesis.tex").read_text() == "mine"


def test_a_run_needs_a_place_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")

    with pytest.raises(SweeperError, match=r"cannot write the run directory .*: Not a directory"):
        RunDirectory(tmp_path / "runs" / "a").create(TEXT)


def test_a_run_whose_file_cannot_be_written_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SweeperError, match="No space left on device; free space"):
            RunDirectory(tmp_path / "a").create(TEXT)

    RunDirectory(tmp_path / "a").create(TEXT)
    assert RunDirectory(tmp_path / "a").exists


def test_a_text_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text"
    write_atomically(path, "before")

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "after\udc80")

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    ["", "- a\n", "arms: [\n", "\x00", "arms: {}\n", "arms: {x: {}}\nsearch: {trials: 1}\n"],
)
def test_a_damaged_experiment_is_named_in_one_line(run: RunDirectory, text: str) -> None:
    run.experiment_file.write_text(text)

    with pytest.raises(
        SweeperError, match=r"experiment\.yaml is damaged \(.*put back a copy"
    ) as e:
        _ = run.n_trials
    assert "\n" not in str(e.value)


def test_a_run_has_fewer_trials_where_its_sweep_ended_with_fewer(run: RunDirectory) -> None:
    run.finish(12)
    assert run.n_trials == 12
    run.finish(9)
    assert run.n_trials == 9
    assert RunDirectory(run.path).n_trials == 9


def test_a_run_has_one_driver_at_a_time(run: RunDirectory) -> None:
    assert not run.is_driven()
    with run.driven():
        assert run.is_driven()
        with (
            pytest.raises(SweeperError, match=rf"is being driven by process {os.getpid()} on "),
            RunDirectory(run.path).driven(),
        ):
            pytest.fail("two drivers")
        assert run.is_driven()
    assert not run.is_driven()
    with run.driven():
        assert run.is_driven()


def test_a_killed_driver_drives_no_more(run: RunDirectory) -> None:
    code = f"""
from pathlib import Path
from sweeper.runs import RunDirectory
with RunDirectory(Path({str(run.path)!r})).driven():
    print("driving", flush=True)
    input()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"driving\n"
        assert run.is_driven()
        process.kill()
    assert not run.is_driven()
    with run.driven():
        pass


def test_who_looks_at_a_run_is_no_driver_and_does_not_refuse_one(run: RunDirectory) -> None:
    with run.driven():
        pass
    with run._lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as `is_driven` does for an instant
        assert not run.is_driven()
        threading.Timer(0.05, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        with run.driven():
            assert run.is_driven()


def test_a_run_that_cannot_be_written_cannot_be_driven(run: RunDirectory) -> None:
    run._lock.mkdir()

    with (
        pytest.raises(SweeperError, match=r"cannot write .*driver\.lock: Is a directory"),
        run.driven(),
    ):
        pytest.fail("driven")
    assert not run.is_driven()


def test_a_drive_without_locks_is_told(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(SweeperError, match=r"cannot lock .*driver\.lock: No locks available"),
        run.driven(),
    ):
        pytest.fail("driven")


def test_a_run_is_found_by_name_and_by_path(run: RunDirectory) -> None:
    root = run.path.parent

    assert find_run("a", root).path == run.path
    assert find_run(str(run.path), root / "elsewhere").path == run.path


def test_without_a_storage_runs_are_where_the_command_runs(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.parents[1])

    assert find_run("a").path == Path("runs/a")
    assert [found.path for found in list_runs()] == [Path("runs/a")]


def test_an_unknown_run_is_told_with_its_nearest(run: RunDirectory) -> None:
    root = run.path.parent
    RunDirectory(root / "quickstart").create(TEXT)

    with pytest.raises(SweeperError, match=r"no run 'quikstart' in .*; did you mean 'quickstart'"):
        find_run("quikstart", root)
    with pytest.raises(SweeperError, match=r"no run 'zzz' in .*; see `sweeper list runs`"):
        find_run("zzz", root)


def test_a_name_that_no_directory_can_have_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="File name too long; name another run"):
        find_run("x" * 300, tmp_path)
    with pytest.raises(SweeperError, match="there is no run"):
        find_run("nul\0", tmp_path)


def test_a_directory_without_an_experiment_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "none") == []
    assert str(roots.runs_root(None)) == "runs"


def test_a_union_has_the_trials_it_was_given_and_is_not_trained(run: RunDirectory) -> None:
    assert run.merged_from == ()
    run.refuse_merged()
    run.merge([Path("/x/b"), Path("/x/c")], 5)

    assert run.n_trials == 5
    assert run.merged_from == ("/x/b", "/x/c")
    with pytest.raises(SweeperError, match=r"a is merged from /x/b, /x/c and cannot be trained"):
        run.refuse_merged()


def test_an_extended_run_forgets_how_many_trials_were_left(run: RunDirectory) -> None:
    run.finish(4)
    assert run.n_trials == 4
    run.extend(TEXT.replace("trials: 3", "trials: 5"))
    assert run.n_trials == 20


def test_a_run_that_cannot_be_extended_is_one_line_and_stays(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SweeperError, match=r"cannot write below .*a: No space left"):
        run.extend("name: b")
    assert run.experiment_file.read_text() == TEXT


def test_what_is_hidden_is_no_run(run: RunDirectory) -> None:
    RunDirectory(run.path.with_name(".a.half")).create(TEXT)

    assert [known.path.name for known in list_runs(run.path.parent)] == ["a"]
