"""`sweeper rerun`: one stored trial trained again, alone and in this process, and compared."""

import json
import math
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pandas as pd
import torch
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.tables import to_text
from sweeper.errors import SweeperError
from sweeper.points import Point
from sweeper.rows import code_version
from trainables.data.files import DataError, data_root
from trainables.failures import describe, without_place
from trainables.training import DivergedError, TrainingRun
from trainables.trial import TrialConfig

AGREES, DIFFERS, INTERRUPTED = 0, 1, 130  # exit codes
STANDARD_ERRORS = 3.0  # between estimates that agree
ROUNDING = 1e-6  # relative difference of exact values that are equal but for rounding
SLICE_SECONDS = 1.0  # of training between two looks at the display
TELL_SECONDS = 30.0  # between two lines where there is no terminal

_FIGURES = {
    "nll": "nll_se",
    "mi": "mi_se",
    "mi_q": "mi_q_se",
    "mi_q_batch": "mi_q_batch_se",
    "nll_exact": None,
    "mi_exact": None,
    # Of trials that are asked for meters.
    "probe_accuracy": "probe_accuracy_se",
    "knn_accuracy": "knn_accuracy_se",
}
_LATER = ("mi_q", "mi_q_batch")  # which trials of older versions lack

# How well a figure agrees, from the best to the worst.
VERDICTS = ("to the bit", "to rounding", "within error", "no")


class Comparison(NamedTuple):
    """A figure, stored and new, and one of the `VERDICTS`."""

    figure: str
    stored: float
    new: float
    error: float  # standard error of the difference: 0 for exact values, NaN where unknown
    verdict: str


class Agreement(NamedTuple):
    """Whether a trial ended as it did before, whether in every bit, and what to say of it."""

    agrees: bool
    to_the_bit: bool
    lines: Sequence[str]


def rerun(point: Point) -> int:
    """Train a stored trial again and say whether it ends as it did; returns the exit code.

    Nothing is stored. Raises `SweeperError` before training where its data is missing or its
    configuration cannot be read.
    """
    stored = point.row
    config = _config(point)
    resources = point.run.document().get("resources", {})
    torch.set_num_threads(max(1, int(resources.get("cpu", 1))))
    on_gpu = pd.notna(stored["device"]) and stored["device"] != "cpu" and torch.cuda.is_available()
    try:
        run = TrainingRun(
            config,
            int(stored["seed"]),
            data_root=data_root(),
            device="cuda" if on_gpu else "cpu",
        )
    except DataError as error:
        raise SweeperError(str(error)) from None
    others = "".join(f"; also in {other.location}" for other in point.also_in)
    print(
        f"{point.trial_id} of {point.run.location}: arm {stored['arm']}, seed {stored['seed']}"
        f"{others}"
    )
    schedule = config.training.schedule
    most = "up to " if schedule and schedule.ends_early else ""
    print(f"training {most}{run.n_steps} steps on {run.device.type}", flush=True)
    if stored["status"] == "pruned":
        print(f"it was pruned {stored['reason']}")
    try:
        status, reason = _train(run)
    except KeyboardInterrupt:
        print("interrupted; nothing was stored or changed")
        return INTERRUPTED
    last = run.evaluations[-1] if status == "done" else {}
    agreement = compare(stored, {**last, "status": status, "reason": reason})
    print("\n".join(agreement.lines))
    if not agreement.to_the_bit:
        print("\n".join(_reasons(point, run)))
    return AGREES if agreement.agrees else DIFFERS


def compare(stored: Mapping[str, Any], new: Mapping[str, Any]) -> Agreement:
    """Compare how a trial ended, as its final row says, with how it ended before."""
    if stored["status"] == "pruned":
        return Agreement(True, True, [_whole(new), "it ended early then, so nothing compares"])
    if not stored["status"] == new["status"] == "done":
        was, now = _ending(stored), _ending(new)
        same = stored["status"] == new["status"]
        conclusion = "it ends the same way" if same else "it does not agree"
        alike = without_place(was) == without_place(now)  # a line's number is no outcome
        return Agreement(same, alike, [f"stored: {was}", f"new:    {now}", conclusion])
    compared = list(_figures(stored, new))
    worst = max((figure.verdict for figure in compared), key=VERDICTS.index)
    agrees = worst != VERDICTS[-1]
    conclusion = f"it agrees {worst}" if agrees else "it does not agree"
    return Agreement(agrees, worst == VERDICTS[0], [to_text(_table(compared)), conclusion])


def _whole(new: Mapping[str, Any]) -> str:
    """Say what became of a trial that was pruned before."""
    if new["status"] != "done":
        return f"trained to the end: {_ending(new)}"
    figures = [f"{name} {float(new[name]):.6g}" for name in _FIGURES if new.get(name) is not None]
    return f"trained to the end: {', '.join(figures)}"


def _table(compared: Sequence[Comparison]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "figure": [c.figure for c in compared],
            "stored": [f"{c.stored:.9g}" for c in compared],
            "new": [f"{c.new:.9g}" for c in compared],
            "difference": [f"{c.new - c.stored:+.2g}" for c in compared],
            "its error": [_error(c.error) for c in compared],
            "agrees": [c.verdict for c in compared],
        }
    )


def _error(error: float) -> str:
    if math.isnan(error):
        return "unknown"
    return f"{error:.2g}" if error else "exact"


def _figures(stored: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Comparison]:
    for figure, error_name in _FIGURES.items():
        a, b = _number(stored.get(figure)), _number(new.get(figure))
        if math.isnan(a) and (math.isnan(b) or figure in _LATER):
            continue
        error = 0.0
        if error_name is not None:
            error = math.hypot(_number(stored.get(error_name)), _number(new.get(error_name)))
        yield Comparison(figure, a, b, error, _verdict(a, b, error))


def _verdict(a: float, b: float, error: float) -> str:
    if a == b:
        return VERDICTS[0]
    if abs(a - b) <= ROUNDING * max(abs(a), abs(b)):
        return VERDICTS[1]
    return VERDICTS[2 if abs(a - b) <= STANDARD_ERRORS * error else -1]  # which NaN is not


def _number(value: Any) -> float:
    return math.nan if value is None or pd.isna(value) else float(value)


def _ending(row: Mapping[str, Any]) -> str:
    reason = row.get("reason")
    return (
        str(row["status"]) if reason is None or pd.isna(reason) else f"{row['status']}: {reason}"
    )


def _config(point: Point) -> TrialConfig:
    try:
        return TrialConfig.model_validate_json(str(point.row["trial"]))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SweeperError(
            f"the stored configuration of {point.trial_id} is none that this version trains "
            f"({where}: {first['msg']}); use the version {point.row['code_version']}"
        ) from None


def _train(run: TrainingRun) -> tuple[str, str | None]:
    """Train to the end; give the status and the reason that a sweep would have stored."""
    try:
        with _shown(run) as show:
            while not run.finished:
                if run.evaluation_due:
                    run.evaluate()
                else:
                    run.train(seconds=SLICE_SECONDS)
                show()
    except DivergedError as error:
        return "diverged", str(error)
    except Exception as error:  # as in a sweep; here the whole of it can be seen
        traceback.print_exc()
        return "failed", describe(error).reason
    return "done", None


@contextmanager
def _shown(run: TrainingRun) -> Iterator[Any]:
    """Show how far a run is: a bar on a terminal, a line for every evaluation elsewhere."""
    steps = run.n_steps
    if sys.stdout.isatty():
        columns = (TextColumn("step"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(), transient=True) as progress:
            bar = progress.add_task("", total=steps)
            yield lambda: progress.update(bar, completed=run.step)
        return
    n_told, told_at = 0, time.monotonic()

    def tell() -> None:
        nonlocal n_told, told_at
        if run.evaluation_due or time.monotonic() - told_at > TELL_SECONDS:
            told_at = time.monotonic()
            doing = ": evaluating" if run.evaluation_due else ""
            print(f"step {run.step}/{steps}{doing}", flush=True)
        for evaluation in run.evaluations[n_told:]:
            n_told += 1
            print(
                f"step {evaluation['step']}/{steps}: NLL {evaluation['nll']:.4f} "
                f"MI {_number(evaluation['mi']):.4f}",
                flush=True,
            )

    yield tell


def _reasons(point: Point, run: TrainingRun) -> list[str]:
    """Name what was otherwise when the trial was stored."""
    device = torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else "cpu"
    now = {
        "code_version": ("code version", code_version()),
        "data_sha256": ("data checksum", run.corpus.sha256),
        "device": ("device", device),
        "host": ("host", socket.gethostname()),
    }
    lines = [
        f"  the {name} was {point.row[column]}, now it is {value}"
        for column, (name, value) in now.items()
        if str(point.row[column]) != value
    ]
    if json.loads(str(point.row["trial"])) != run.config.resolved():
        lines.append("  this version fills in other defaults")
    return ["possible reasons:", *(lines or ["  none that is recorded"])]
