import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper.attempt import attempt
from sweeper.errors import SweeperError
from sweeper.heartbeat import CONFIRM, read
from sweeper.progress import Progress
from sweeper.runs import RunDirectory


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


@pytest.fixture
def display() -> Progress:
    return Progress(5, pd.DataFrame(columns=["arm", "status"]))


def events(directory: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in directory.events.read_text().splitlines()]


def outcome(directory: RunDirectory) -> tuple[str, str | None]:
    """How the attempt ended, by its log and by its last sign of life."""
    beat = read(directory.heartbeat)
    assert beat is not None
    last = events(directory)[-1]
    assert (last["event"], last["attempt"]) == ("run_ended", beat.attempt)
    return last["outcome"], beat.outcome


def test_an_attempt_is_told_from_its_beginning_to_its_end(
    directory: RunDirectory, display: Progress
) -> None:
    with attempt(directory, display, command=CONFIRM, address="h:1") as listener:
        beat = read(directory.heartbeat)
        with listener.shown(2):
            assert display.n_workers == 2

    assert beat is not None
    assert (beat.state, beat.command, beat.address) == ("running", CONFIRM, "h:1")
    first, ready, _ = events(directory)
    assert (first["event"], first["command"], first["trials"]) == ("run_started", CONFIRM, 5)
    assert (ready["event"], ready["workers"]) == ("workers_ready", 2)
    assert outcome(directory) == ("done", "done")


def test_every_attempt_has_a_name_of_its_own(directory: RunDirectory, display: Progress) -> None:
    for _ in range(2):
        with attempt(directory, display):
            pass

    assert len({event["attempt"] for event in events(directory)}) == 2


def test_an_attempt_that_was_stopped_is_interrupted(
    directory: RunDirectory, display: Progress
) -> None:
    with attempt(directory, display) as listener:
        listener.stopping()

    assert outcome(directory) == ("interrupted", "interrupted")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (SweeperError("free space at s3://a:b@c"), "free space at s3://***@c"),
        (KeyError("x"), "KeyError: 'x' (at tests/sweeper/test_attempt.py:"),
    ],
)
def test_what_ends_an_attempt_passes_and_is_told(
    directory: RunDirectory, display: Progress, error: BaseException, told: str
) -> None:
    with pytest.raises(type(error)), attempt(directory, display):
        raise error

    logged, last = outcome(directory)
    assert logged == last
    assert logged.startswith(told)
