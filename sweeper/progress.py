"""What a person sees while a sweep runs: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.axes import AXES, MODEL
from analysis.frontier import is_on_frontier
from sweeper.clock import clock
from sweeper.outcomes import outcome
from sweeper.search import Task

_STOPPING = "stopping: running trials save their state (Ctrl-C again to stop at once)"
SHOWN_POINTS = 8  # of each arm's frontier


class Running(NamedTuple):
    """A trial at work."""

    task: Task
    since: float
    step: int = 0
    n_steps: int | None = None  # none before the worker has told
    loss: float | None = None


class Progress:
    """Keeps count of a sweep, starting from what earlier attempts stored.

    `axis` is the information that the experiment maximises, one of `analysis.axes.AXES`.
    """

    def __init__(self, n_trials: int, stored: pd.DataFrame, axis: str = MODEL) -> None:
        self.n_trials, self.n_workers, self.axis = n_trials, 1, axis
        self.statuses = Counter(stored["status"])
        self.points: dict[str, list[tuple[float, float]]] = {}
        for _, row in stored.iterrows():
            self._place(row)
        self.running: dict[str, Running] = {}
        self.durations: list[float] = []
        self.n_lost = 0  # workers
        self.is_shown = self.is_stopping = False
        self.start = time.monotonic()

    @property
    def n_finished(self) -> int:
        """Trials with a final row, however they ended."""
        return self.statuses.total()

    def started(self, task: Task) -> None:
        """A worker takes a trial."""
        self.running[task.trial_id] = Running(task, time.monotonic())

    def reported(self, task: Task, report: Mapping[str, Any]) -> None:
        """A trial has come further."""
        now = self.running.get(task.trial_id)
        if now is not None:
            self.running[task.trial_id] = now._replace(
                step=report["step"], n_steps=report["n_steps"], loss=report["train_loss"]
            )

    def lost(self, task: Task, said: str) -> None:  # noqa: ARG002
        """The worker of a trial was lost; if the trial is to go on, it will start again."""
        self.running.pop(task.trial_id, None)
        self.n_lost += 1

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """A trial has ended."""
        row = rows[-1]
        now = self.running.pop(task.trial_id, None)
        if now is not None:
            self.durations.append(time.monotonic() - now.since)
        self.statuses[row["status"]] += 1
        self._place(row)

    def noted(self, message: str) -> None:
        """Say what a person should know of; a live display stays below it."""
        print(f"note: {message}", flush=True)

    def stopping(self) -> None:
        """The sweep is to end early."""
        self.is_stopping = True

    def seconds_left(self) -> float | None:
        """Guess from the trials of this attempt; none before the first has ended."""
        if not self.durations:
            return None
        mean = sum(self.durations) / len(self.durations)
        running = list(self.running.values())  # another thread may ask, too
        begun = sum(time.monotonic() - trial.since for trial in running)
        left = (self.n_trials - self.n_finished) * mean - begun
        return max(0.0, left / min(self.n_workers, max(1, self.n_trials - self.n_finished)))

    def frontier(self) -> dict[str, list[tuple[float, float]]]:
        """Give each arm's (MI, NLL) frontier so far, by rising MI."""
        return dict(sorted(self.points.items()))

    def _place(self, row: "Mapping[str, Any] | pd.Series[Any]") -> None:
        values = outcome(row, self.axis)
        if values is not None:
            known = self.points.get(row["arm"], [])
            self.points[row["arm"]] = _frontier([*known, (values.mi, values.nll)])

    @contextmanager
    def shown(self, n_workers: int) -> Iterator[None]:
        """Show the sweep while the body trains `n_workers` trials at a time."""
        self.n_workers, self.start = n_workers, time.monotonic()
        self.is_shown = True
        yield


class PlainProgress(Progress):
    """One line for every finished trial."""

    def finished(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print how a trial ended."""
        super().finished(task, rows)
        row = rows[-1]
        values = outcome(row, self.axis)
        if values is None:
            ending = f"{row['status']}: {row.get('reason') or row.get('mi_reason')}"
        else:
            ending = f"NLL {values.nll:.4f}  {AXES[self.axis].short} {values.mi:.4f}"
        width = len(str(self.n_trials))
        knobs = " ".join(f"{path}={_short(value)}" for path, value in task.values.items())
        left = self.seconds_left()
        print(
            f"[{self.n_finished:{width}}/{self.n_trials}] {task.arm}  {ending}  "
            f"{knobs} seed={task.seed}  left {clock(left)}",
            flush=True,
        )

    def stopping(self) -> None:
        """Say so at once; saving takes a moment."""
        super().stopping()
        print(_STOPPING, flush=True)


class LiveProgress(Progress):
    """A display that is drawn anew as the sweep goes on."""

    @contextmanager
    def shown(self, n_workers: int) -> Iterator[None]:
        """Draw on the terminal until the body ends."""
        with (
            super().shown(n_workers),
            Live(get_renderable=self.render, console=Console(), refresh_per_second=4),
        ):
            yield

    def render(self) -> RenderableType:
        """Draw the state of the sweep."""
        return Group(self._summary(), self._trials(), self._frontiers())

    def _summary(self) -> RenderableType:
        endings = ", ".join(
            f"{self.statuses[status]} {status}"
            for status in ("done", "pruned", "diverged", "failed")
            if status == "done" or self.statuses[status]
        )
        text = Text(
            f"{self.n_finished}/{self.n_trials} trials: {endings}, {len(self.running)} running   "
            f"{clock(time.monotonic() - self.start)} elapsed, {clock(self.seconds_left())} left"
        )
        if self.is_stopping:
            text.append(f"\n{_STOPPING}")
        return Group(text, ProgressBar(total=self.n_trials, completed=self.n_finished))

    def _trials(self) -> RenderableType:
        table = Table("arm", "step", "loss", "knobs", box=None, pad_edge=False)
        for trial in list(self.running.values()):
            # A worker alone knows how many steps epochs have.
            n_steps = trial.n_steps or trial.task.config.training.total_steps or "?"
            table.add_row(
                Text(trial.task.arm),
                f"{trial.step}/{n_steps}",
                "" if trial.loss is None else f"{trial.loss:.4g}",
                Text(" ".join(f"{p}={_short(v)}" for p, v in trial.task.values.items())),
            )
        return table

    def _frontiers(self) -> RenderableType:
        table = Table(
            "frontier so far",
            f"{AXES[self.axis].short} → NLL in nats an observation",
            box=None,
            pad_edge=False,
        )
        for arm, points in self.frontier().items():
            shown = _spread(points, SHOWN_POINTS)
            table.add_row(Text(arm), Text("  ".join(f"{mi:.2f} → {nll:.3f}" for mi, nll in shown)))
        return table


def progress(n_trials: int, stored: pd.DataFrame, axis: str = MODEL) -> Progress:
    """Choose the display that suits where the output goes; `axis` is what is maximised."""
    kind = LiveProgress if sys.stdout.isatty() else PlainProgress
    return kind(n_trials, stored, axis)


def _frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    losses = pd.DataFrame(points).mul([-1, 1]).to_numpy()
    chosen = is_on_frontier(losses)
    return sorted(point for point, keep in zip(points, chosen, strict=True) if keep)


def _spread(points: Sequence[tuple[float, float]], n: int) -> Sequence[tuple[float, float]]:
    """Keep at most n points, evenly spread and with both ends."""
    if len(points) <= n:
        return points
    return [points[round(i * (len(points) - 1) / (n - 1))] for i in range(n)]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
