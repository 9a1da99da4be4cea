import io
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.frontier import is_on_frontier
from sweeper import progress as module
from sweeper.experiment import Experiment
from sweeper.progress import LiveProgress, PlainProgress, Progress, progress
from sweeper.search import Task

MakeExperiment = Callable[..., Experiment]
NOTHING = pd.DataFrame(columns=["arm", "status", "nll", "mi", "nll_exact", "mi_exact"])


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    time = Clock()
    monkeypatch.setattr(module, "time", time)
    return time


@pytest.fixture
def tasks(experiment: MakeExperiment) -> list[Task]:
    tiny = experiment()
    values = {"training.learning_rate": 0.0123456}
    config = tiny.trial_config("tiny", values)
    return [
        Task("tiny", seed, seed, values, config, "5a", "c0ffee", f"c0ffee-{seed}")
        for seed in range(4)
    ]


def row(nll: float = 2.0, mi: float = 1.0, arm: str = "tiny", **columns: Any) -> dict[str, Any]:
    return {"arm": arm, "status": "done", "nll": nll, "mi": mi, **columns}


def test_a_sweep_counts_from_what_earlier_attempts_stored(tasks: list[Task]) -> None:
    stored = pd.DataFrame([row(), row(3.0, 2.0), row(status="diverged")])
    display = Progress(6, stored)
    assert display.n_finished == 3
    assert display.frontier() == {"tiny": [(1.0, 2.0), (2.0, 3.0)]}

    display.started(tasks[0])
    display.finished(tasks[0], [row(status="failed", reason="why")])

    assert display.n_finished == 4
    assert display.statuses == {"done": 2, "diverged": 1, "failed": 1}
    assert display.running == {}


def test_a_report_moves_a_running_trial_on(tasks: list[Task]) -> None:
    display = Progress(4, NOTHING)
    display.started(tasks[0])
    display.reported(tasks[0], {"step": 3, "n_steps": 8, "train_loss": 1.5})
    display.reported(tasks[1], {"step": 3, "n_steps": 8, "train_loss": 1.5})  # has just ended

    [running] = display.running.values()
    assert (running.task, running.step, running.n_steps) == (tasks[0], 3, 8)
    assert running.loss == 1.5


def test_a_trial_whose_worker_was_lost_runs_no_more_and_has_not_ended(tasks: list[Task]) -> None:
    display = Progress(4, NOTHING)
    display.started(tasks[0])
    display.lost(tasks[0], "killed")

    assert (display.running, display.n_finished, display.n_lost) == ({}, 0, 1)


def test_the_time_left_follows_from_the_trials_of_this_attempt(
    tasks: list[Task], time: Clock
) -> None:
    display = Progress(5, pd.DataFrame([row()]))
    display.n_workers = 2
    assert display.seconds_left() is None

    display.started(tasks[0])
    display.started(tasks[1])
    time.now += 10
    display.finished(tasks[0], [row()])
    assert display.seconds_left() == (3 * 10 - 10) / 2  # one of three has run as long already
    display.finished(tasks[1], [row()])
    display.started(tasks[2])
    time.now += 50  # far longer than any before
    assert display.seconds_left() == 0
    display.finished(tasks[2], [row()])
    time.now += 1
    assert display.seconds_left() == pytest.approx((10 + 10 + 50) / 3)  # one worker's is left


points = st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float))


@given(st.lists(points, min_size=1))
def test_the_frontier_so_far_is_that_of_all_trials(measured: list[tuple[float, float]]) -> None:
    display = Progress(
        99, pd.DataFrame([row(nll, mi) for mi, nll in measured[: len(measured) // 2]] or NOTHING)
    )
    for mi, nll in measured[len(measured) // 2 :]:
        display._place(row(nll, mi))

    on = is_on_frontier([(-mi, nll) for mi, nll in measured])
    expected = sorted(point for point, keep in zip(measured, on, strict=True) if keep)
    assert display.frontier() == {"tiny": expected}


def test_what_the_experiment_maximises_is_shown(
    tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    stored = pd.DataFrame([{**row(2.0, 9.0), "mi_q": 1.5}])
    display = PlainProgress(2, stored, "mi_q")

    display.finished(tasks[0], [{**row(1.0, 9.0), "mi_q": 0.5}])

    assert display.frontier() == {"tiny": [(0.5, 1.0), (1.5, 2.0)]}
    assert "NLL 1.0000  MI of q 0.5000" in capsys.readouterr().out


def test_each_arm_has_its_frontier_of_exact_values() -> None:
    rows = [row(9.0, 9.0, "b", nll_exact=2.0, mi_exact=1.0), row(3.0, 0.5, "a")]

    assert Progress(9, pd.DataFrame(rows)).frontier() == {"a": [(0.5, 3.0)], "b": [(1.0, 2.0)]}


def test_away_from_a_terminal_every_end_of_a_trial_is_a_line(
    tasks: list[Task], capsys: pytest.CaptureFixture[str], time: Clock
) -> None:
    display = progress(12, NOTHING)
    assert isinstance(display, PlainProgress)
    with display.shown(1):
        display.started(tasks[0])
        time.now += 60
        display.finished(tasks[0], [row(2.0, 1.0, nll_exact=1.5, mi_exact=0.25)])
        display.started(tasks[1])
        display.finished(tasks[1], [row(status="diverged", reason="the loss is nan [/bold]")])
        display.stopping()

    knobs = "training.learning_rate=0.01235"
    assert capsys.readouterr().out.splitlines() == [
        f"[ 1/12] tiny  NLL 1.5000  MI 0.2500  {knobs} seed=0  left 0:11:00",
        f"[ 2/12] tiny  diverged: the loss is nan [/bold]  {knobs} seed=1  left 0:05:00",
        "stopping: running trials save their state (Ctrl-C again to stop at once)",
    ]


def test_a_trial_without_what_is_maximised_says_why(
    tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    display = progress(12, NOTHING)
    display.started(tasks[0])
    display.finished(tasks[0], [row(2.0, None, mi_reason="too many codes")])

    assert "tiny  done: too many codes  training." in capsys.readouterr().out


def drawn(display: LiveProgress) -> str:
    console = Console(file=io.StringIO(), width=150)
    console.print(display.render())
    return re.sub(r" +", " ", console.file.getvalue())  # type: ignore[attr-defined]


def test_a_terminal_shows_counts_trials_at_work_and_frontiers(
    tasks: list[Task], monkeypatch: pytest.MonkeyPatch, time: Clock
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    display = progress(9, pd.DataFrame([row(), row(status="failed")]))
    assert isinstance(display, LiveProgress)
    display.started(tasks[0])
    display.started(tasks[1])
    display.reported(tasks[1], {"step": 3, "n_steps": 8, "train_loss": 1.23456})
    time.now += 3661

    text = drawn(display)

    assert "2/9 trials: 1 done, 1 failed, 2 running 1:01:01 elapsed, ? left" in text
    assert "tiny 0/4 training.learning_rate=0.01235" in text
    assert "tiny 3/8 1.235 training.learning_rate=0.01235" in text
    assert "tiny 1.00 → 2.000" in text
    assert "stopping" not in text
    display.stopping()
    assert "stopping: running trials save their state" in drawn(display)


def test_a_trial_of_epochs_has_no_number_of_steps_before_its_worker_tells(
    tasks: list[Task],
) -> None:
    config = tasks[0].config
    training = config.training.model_copy(update={"steps": None, "epochs": 3})
    task = tasks[0]._replace(config=config.model_copy(update={"training": training}))
    display = LiveProgress(9, NOTHING)
    display.started(task)
    assert "tiny 0/? " in drawn(display)

    display.reported(task, {"step": 3, "n_steps": 8, "train_loss": None})

    assert "tiny 3/8 " in drawn(display)


def test_text_in_brackets_is_shown_as_it_is(tasks: list[Task]) -> None:
    display = LiveProgress(9, NOTHING)
    task = tasks[0]._replace(values={"model.[bold]join": "[red]"})
    display.started(task)

    assert "model.[bold]join=[red]" in drawn(display)


def test_a_long_frontier_is_thinned_but_keeps_its_ends(tasks: list[Task]) -> None:
    display = LiveProgress(99, pd.DataFrame([row(nll, nll) for nll in range(50)]))
    shown = re.findall(r"(\d+)\.00 →", drawn(display))

    assert len(shown) == module.SHOWN_POINTS
    assert (shown[0], shown[-1]) == ("0", "49")
    assert shown == sorted(shown, key=int)
