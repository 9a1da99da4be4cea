import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from sweeper import heartbeat
from sweeper.experiment import Experiment
from sweeper.heartbeat import CONFIRM, ENDED, RUNNING, STOPPING, Heartbeat, read
from sweeper.progress import Progress
from sweeper.search import Task

MakeExperiment = Callable[..., Experiment]
STORED = pd.DataFrame(
    [{"arm": "tiny", "status": status, "nll": 2.0, "mi": 1.0} for status in ("done", "failed")]
)


@pytest.fixture
def task(experiment: MakeExperiment) -> Task:
    values = {"training.learning_rate": 0.0123456}
    config = experiment().trial_config("tiny", values)
    return Task("tiny", 0, 3, values, config, "5a", "c0ffee", "c0ffee-3")


@pytest.fixture
def display() -> Progress:
    return Progress(5, STORED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "driver.json"


def test_a_sign_says_who_drives_and_what_is_at_work(
    path: Path, display: Progress, task: Task
) -> None:
    before = datetime.now(UTC)
    display.started(task)
    with display.shown(2), Heartbeat(path, display, attempt="a", address="ray://h:1"):
        beat = read(path)

    assert beat is not None
    assert (beat.attempt, beat.command, beat.state, beat.outcome) == ("a", "run", RUNNING, None)
    assert (beat.pid, beat.host) == (os.getpid(), os.uname().nodename)
    assert before <= beat.started <= beat.time <= datetime.now(UTC)
    assert (beat.workers, beat.trials, beat.address) == (2, 5, "ray://h:1")
    assert (beat.ended, beat.n_ended) == ({"done": 1, "failed": 1}, 2)
    [running] = beat.running
    assert (running.trial, running.arm, running.seed) == ("c0ffee-3", "tiny", 3)
    assert (running.step, running.n_steps, running.loss) == (0, 4, None)
    assert abs((running.since - before).total_seconds()) < 1


def test_workers_that_are_not_there_yet_are_none(path: Path, display: Progress) -> None:
    with Heartbeat(path, display, attempt="a"):
        beat = read(path)

    assert beat is not None
    assert beat.workers == 0


def test_signs_follow_each_other_until_a_last_one(
    path: Path, display: Progress, task: Task
) -> None:
    with Heartbeat(path, display, attempt="a", command=CONFIRM, seconds=0.01) as heart:
        display.started(task)
        display.reported(task, {"step": 2, "n_steps": 8, "train_loss": float("nan")})
        display.lost(task, "killed")
        display.started(task)
        display.reported(task, {"step": 3, "n_steps": 8, "train_loss": float("nan")})
        display.stopping()
        wait_for(lambda: (beat := read(path)) and beat.state == STOPPING and beat.running)
        beat = read(path)
        heart.outcome = "interrupted"

    assert beat is not None
    assert (beat.command, beat.lost_workers) == (CONFIRM, 1)
    [running] = beat.running
    assert (running.step, running.n_steps, running.loss) == (3, 8, None)
    last = read(path)
    assert last is not None
    assert (last.state, last.outcome, list(last.running)) == (ENDED, "interrupted", [])
    assert not list(path.parent.glob("*.partial"))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_error_passes_and_the_sign_says_that_it_ended(path: Path, display: Progress) -> None:
    with pytest.raises(ZeroDivisionError), Heartbeat(path, display, attempt="a"):
        raise ZeroDivisionError

    beat = read(path)
    assert beat is not None
    assert beat.state == ENDED


def test_signs_that_cannot_be_written_are_left_out(
    path: Path, display: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def full(*args: object) -> None:
        tries.append(args)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")
        path.write_text("{}")

    monkeypatch.setattr(heartbeat, "write_atomically", full)
    with Heartbeat(path, display, attempt="a", seconds=0.01):
        wait_for(path.exists)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"attempt": "a"', b"\xff", b"[1]"])
def test_a_sign_that_cannot_be_read_is_none(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)

    assert read(path) is None


def test_a_sign_of_a_newer_version_is_read(path: Path, display: Progress) -> None:
    newer = json.loads(Heartbeat(path, display, attempt="a").beat(RUNNING).model_dump_json())
    path.write_text(json.dumps({**newer, "mood": "good"}))

    assert read(path) is not None


def test_the_age_of_a_sign_is_negative_where_its_clock_is_ahead(
    path: Path, display: Progress
) -> None:
    beat = Heartbeat(path, display, attempt="a").beat(RUNNING)

    assert beat.age(beat.time + timedelta(seconds=90)) == 90
    assert beat.age(beat.time - timedelta(hours=1)) == -3600
