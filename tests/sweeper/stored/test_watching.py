import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from sweeper.experiment import Experiment
from sweeper.heartbeat import ENDED, SILENT_SECONDS
from sweeper.mirror import Mirror
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import looking, watching
from sweeper.stored.watching import Watcher, show, watch
from tests.sweeper.parts import trial as finished
from tests.sweeper.stored.signs import leave

StoreRun = Callable[..., RunDirectory]
MakeExperiment = Callable[..., Experiment]


class Clock:
    """Stands in for the module `time`, and lets something happen whenever somebody sleeps."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        self.now, self.happens = 1000.0, list(happens)
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.happens.pop(0)()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def run(store_run: StoreRun) -> RunDirectory:
    return store_run("done")


def test_one_look_is_words_or_a_document(run: RunDirectory) -> None:
    assert show(run).startswith("runs/tiny: stopped; 1 of 3 trials have ended, 1 done\n")
    assert json.loads(show(run, as_json=True))["state"] == "stopped"


def test_a_run_is_watched_until_it_is_at_rest(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(run, host="there", time="2100-01-01T00:00:00Z")
    clock = Clock(
        lambda: ResultStore(run.results).append(finished("another-0")),
        lambda: leave(run, state=ENDED, outcome="interrupted"),
    )
    monkeypatch.setattr(watching, "time", clock)
    watch(run, 7.0)

    firsts = [line for line in capsys.readouterr().out.splitlines() if line.startswith("runs/")]
    assert firsts == [
        "runs/tiny: running; 1 of 3 trials have ended, 1 done",
        "runs/tiny: running; 2 of 3 trials have ended, 2 done",
        "runs/tiny: stopped; 2 of 3 trials have ended, 2 done",
    ]
    assert clock.slept == [7.0, 7.0]


def test_documents_follow_each_other_line_by_line(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(run, host="there", time="2100-01-01T00:00:00Z")
    monkeypatch.setattr(watching, "time", Clock(lambda: leave(run, state=ENDED)))
    watch(run, 1.0, as_json=True)

    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["running", "stopped"]


def test_a_person_who_has_seen_enough_leaves(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(run, host="there", time="2100-01-01T00:00:00Z")
    monkeypatch.setattr(watching, "time", Clock(interrupt))
    watch(run, 1.0)

    assert capsys.readouterr().out.startswith("runs/tiny: running; ")


def test_a_sign_is_as_old_as_it_has_stood_still_once_it_was_seen_to_move(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    watcher = Watcher(run)
    leave(run, 1e9)  # a clock far behind
    assert watcher.look().state == "silent"
    leave(run, 1e9 - 5)
    clock.now += 5
    found = watcher.look()
    assert (found.state, found.age) == ("running", 0)
    clock.now += SILENT_SECONDS
    found = watcher.look()
    assert (found.state, found.age) == ("silent", SILENT_SECONDS)


def test_a_sign_of_a_clock_that_is_ahead_is_silent_once_it_has_stood_still_long_enough(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    watcher = Watcher(run)
    leave(run, -1e9)
    assert watcher.look().state == "running"
    clock.now += SILENT_SECONDS + 1
    assert watcher.look().state == "silent"


def test_rows_are_read_anew_only_when_there_are_others(
    run: RunDirectory, experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def counted(*args: Any) -> looking.Stored:
        reads.append(1)
        return looking.stored(*args)

    monkeypatch.setattr(watching, "stored", counted)
    watcher = Watcher(run)
    for _ in range(3):
        watcher.look()
    assert len(reads) == 1
    ResultStore(run.results).append(finished("another-0"))
    assert watcher.look().stored.n_ended == 2
    ResultStore(run.confirmation).append(finished("fresh-0"))
    assert watcher.look().stored.confirmed == {"done": 1}
    run.experiment_file.write_text(experiment(search={"trials": 9}).to_yaml())
    assert watcher.look().stored.n_trials == 9
    watcher.look()
    assert len(reads) == 4
    replaced = ResultStore(run.results).append(finished("again-0", status="failed"))
    assert watcher.look().stored.ended == {"done": 2, "failed": 1}
    replaced.unlink()
    ResultStore(run.results).append(finished("again-0"))
    assert watcher.look().stored.ended == {"done": 3}


def test_the_copy_of_a_run_in_an_object_store_is_brought_up_to_date_for_every_look(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled: list[str] = []
    monkeypatch.setattr(Mirror, "pull", lambda mirror: pulled.append(mirror.location))
    watcher = Watcher(RunDirectory(run.path, Mirror("s3://bucket/runs/tiny", run.path)))
    for _ in range(3):
        watcher.look()

    assert pulled == ["s3://bucket/runs/tiny"] * 3


def test_a_terminal_is_drawn_anew(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = os.openpty()
    leave(run, host="there", time="2100-01-01T00:00:00Z")
    monkeypatch.setattr(watching, "time", Clock(lambda: leave(run, state=ENDED)))
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(terminal, "w") as out, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", out)
        watch(run, 1.0)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while read := os.read(screen, 65536):
            shown += read
    os.close(screen)

    assert shown.index(b"runs/tiny: running") < shown.index(b"\x1b[1A") < shown.index(b"stopped;")


def test_watching_takes_real_time(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(run, host="there", time="2100-01-01T00:00:00Z")
    begun = time.monotonic()
    looks: list[float] = []
    original = Watcher.look

    def look(watcher: Watcher) -> looking.Look:
        looks.append(time.monotonic())
        if len(looks) == 2:
            leave(run, state=ENDED)
        return original(watcher)

    monkeypatch.setattr(Watcher, "look", look)
    watch(run, 0.2)
    assert time.monotonic() - begun >= 0.2
