from pathlib import Path

import pytest

from sweeper import failures
from sweeper.failures import last_line, log_path, write_log


def test_failures_of_a_trial_follow_each_other_in_one_log(tmp_path: Path) -> None:
    directory = tmp_path / "failures"
    first = write_log(directory, "c0ffee-0", "lost, time 1 of 3", "killed\n")
    second = write_log(directory, "c0ffee-0", "failed on h", "Traceback\nKeyError: 'x'\n\n")

    assert first == second == log_path(directory, "c0ffee-0") == directory / "c0ffee-0.log"
    lines = second.read_text().splitlines()
    assert [line[:5] for line in lines] == ["== 20", "kille", "== 20", "Trace", "KeyEr"]
    assert lines[0].endswith("+00:00 lost, time 1 of 3")
    assert last_line(second) == "KeyError: 'x'"
    assert [path.name for path in directory.iterdir()] == ["c0ffee-0.log"]


def test_a_log_keeps_to_its_size_and_its_newest_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LOG_CHARACTERS", 1000)
    for number in range(10):
        path = write_log(tmp_path, "t", f"number {number}", f"{number}" * 300)
        assert path is not None
        assert len(path.read_text()) <= 1000
        assert last_line(path) == f"{number}" * 300
    assert write_log(tmp_path, "t", "huge", "x" * 5000 + "\nend") == path
    assert len(path.read_text()) <= 1000
    assert last_line(path) == "end"


def test_a_log_holds_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse-battery")
    path = write_log(tmp_path, "t", "at s3://u:pass@b", "denied: correct-horse-battery")

    assert path is not None
    assert path.read_text().endswith("at s3://***@b\ndenied: ***\n")


def test_a_place_that_cannot_be_written_costs_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert write_log(tmp_path / "file", "t", "failed", "why") is None


@pytest.mark.parametrize("content", [None, b"", b"\n \n"])
def test_a_log_that_says_nothing_has_no_last_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.log"
    if content is not None:
        path.write_bytes(content)

    assert last_line(path) is None


def test_a_last_line_is_found_behind_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    path.write_bytes(b"\xff\xfe\nlast\n")

    assert last_line(path) == "last"
