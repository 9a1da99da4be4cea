import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sweeper import eventlog
from sweeper.eventlog import EventLog
from sweeper.experiment import Experiment
from sweeper.search import Task

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]


class Clock:
    """Stands in for the module `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    time = Clock()
    monkeypatch.setattr(eventlog, "time", time)
    return time


@pytest.fixture
def task(experiment: MakeExperiment) -> Task:
    values = {"training.learning_rate": 0.0123456}
    config = experiment().trial_config("tiny", values)
    return Task("tiny", 0, 3, values, config, "5a", "c0ffee", "c0ffee-3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def report(step: int, **changes: Any) -> dict[str, Any]:
    return {"step": step, "n_steps": 8, "train_loss": 1.5, "host": "h", **changes}


def test_the_life_of_a_trial_is_a_line_for_every_event(
    path: Path, task: Task, time: Clock, experiment: MakeExperiment, ended: MakeRows
) -> None:
    log = EventLog(path, "first")
    with log.shown(2):
        log.started(task)
        time.now += 90
        log.reported(task, report(4))
        log.lost(task, "killed")
        log.started(task)
        time.now += 7
        log.finished(task, ended(experiment(), task, nll_se=float("nan")))
        log.noted("a checkpoint was damaged")
        log.stopping()

    found = events(path)
    assert [event["event"] for event in found] == [
        *("workers_ready", "trial_started", "trial_progress", "worker_lost"),
        *("trial_started", "trial_ended", "noted", "stopping"),
    ]
    assert {event["attempt"] for event in found} == {"first"}
    assert all(datetime.fromisoformat(event["time"]).utcoffset() is not None for event in found)
    ready, started, progress, lost, _, end, noted, _ = found
    assert ready["workers"] == 2
    identity = {"trial": "c0ffee-3", "arm": "tiny", "seed": 3}
    assert all(event.items() >= identity.items() for event in (started, progress, lost, end))
    assert started["knobs"] == {"training.learning_rate": 0.0123456}
    assert progress.items() >= {**report(4), "status": "running"}.items()
    assert lost["said"] == "killed"
    assert noted["message"] == "a checkpoint was damaged"
    assert end.items() >= {"status": "done", "reason": None, "step": 4, "seconds": 7.0}.items()
    assert end["figures"] == {"nll": 5.0, "mi": 4.0, "nll_se": None}


def test_a_trial_tells_of_its_progress_once_a_minute(path: Path, task: Task, time: Clock) -> None:
    log = EventLog(path, "first")
    log.started(task)
    for _ in range(150):
        time.now += 1
        log.reported(task, report(int(time.now)))

    assert [event["step"] for event in events(path)[1:]] == [1060, 1120]


def test_a_trial_that_ends_badly_says_why_without_secrets(
    path: Path,
    task: Task,
    experiment: MakeExperiment,
    ended: MakeRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    [row] = ended(experiment(), task, "failed")[-1:]
    EventLog(path, "first").finished(task, [{**row, "reason": "E: correct-horse\nat s3://a:b@c"}])

    [event] = events(path)
    assert (event["status"], event["reason"]) == ("failed", "E: ***\nat s3://***@c")
    assert event["seconds"] is None


def test_an_attempt_goes_on_after_the_one_before_and_cuts_off_what_was_torn(path: Path) -> None:
    EventLog(path, "first").write("run_started")
    with path.open("ab") as file:
        file.write(b'{"time": "20')
    EventLog(path, "second").write("run_started")

    assert [event["attempt"] for event in events(path)] == ["first", "second"]


@pytest.mark.parametrize("content", [b"", b"torn", b"{}\n"])
def test_only_a_line_without_an_end_is_cut_off(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    EventLog(path, "next").write("run_started", text="Rényi\ud800")

    lines = path.read_bytes().splitlines()
    assert lines[:-1] == ([b"{}"] if content == b"{}\n" else [])
    assert json.loads(lines[-1])["text"] == "Rényi?"


def test_a_log_that_has_grown_large_is_put_aside_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlog, "LARGEST_BYTES", 1000)
    log = EventLog(path, "first")
    for number in range(100):
        log.write("run_started", number=number)

    assert sorted(path.parent.iterdir()) == [path.with_name("events.1.jsonl"), path]
    numbers = [
        event["number"] for event in (*events(path.with_name("events.1.jsonl")), *events(path))
    ]
    assert numbers == list(range(numbers[0], 100))
    assert path.stat().st_size < 1300


def test_a_log_that_cannot_be_written_is_told_of_once_and_hinders_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    log = EventLog(path, "first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        log.write("run_started")
        log.write("stopping")
    assert capsys.readouterr().err == f"warning: cannot write {path}: No space left on device\n"
    log.write("run_ended")
    assert [event["event"] for event in events(path)] == ["run_ended"]


def test_a_text_without_end_is_cut(path: Path) -> None:
    EventLog(path, "first").write("worker_lost", said="x" * 10_000, several=["y" * 10_000])

    [event] = events(path)
    assert len(event["said"]) == len(event["several"][0]) == eventlog.TEXT_CHARACTERS
