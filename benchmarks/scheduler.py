"""What stopping trials early buys, and what it costs: replayed on trials that were all trained.

`python -m benchmarks.curves FILE` trains them, and `python -m benchmarks.scheduler FILE`
replays searches over them in seconds, each with several orders of its trials. Since every trial
has its whole curve, what was stopped wrongly is known.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from benchmarks.curves import EVERY, STEPS, Curve
from sweeper.halving import is_rung
from sweeper.sections import ParetoHalving

WORKERS = 4
ORDERS = 20  # of the trials of each search
NADIR = (math.log(64) + 0.5, 0.0)  # of hypervolumes: NLL of the best collapsed model + 0.5, no MI
PERFECT = 0.5 * math.log(64)


class Rule(Protocol):
    """Decides on a rung; `sweeper.halving.Ladder` is one."""

    def place(self, trial_id: str, evaluation: Any) -> None:
        """Note an evaluation."""

    def verdict(self, trial_id: str, step: int) -> str | None:
        """Say why a trial is to stop."""


class Never:
    """No stopping."""

    def place(self, trial_id: str, evaluation: Any) -> None:
        """Note nothing."""

    def verdict(self, trial_id: str, step: int) -> str | None:  # noqa: ARG002
        """Stop nothing."""
        return None


class ByNll:
    """Asynchronous successive halving as published, by NLL alone: the peer."""

    def __init__(self, scheduler: ParetoHalving) -> None:
        self.scheduler = scheduler
        self.rungs: dict[int, dict[str, float]] = defaultdict(dict)

    def place(self, trial_id: str, evaluation: Any) -> None:
        """Note an NLL on a rung."""
        if is_rung(self.scheduler, evaluation["step"]):
            self.rungs[evaluation["step"]][trial_id] = evaluation["nll"]

    def verdict(self, trial_id: str, step: int) -> str | None:
        """Stop what is not among the best share of what has come to this rung."""
        rung = self.rungs[step]
        if trial_id not in rung:
            return None
        allowed = len(rung) // self.scheduler.reduction
        n_better = sum(nll < rung[trial_id] for nll in rung.values())
        return "stop" if allowed and n_better >= allowed else None


class Replay(NamedTuple):
    """Trials as they ended, each with the steps that were trained in all by then."""

    done: list[tuple[int, Curve]]
    pruned: list[tuple[int, Curve]]
    steps: int


def replay(curves: Iterable[Curve], rule: Rule) -> Replay:
    """Train trials in their order, `WORKERS` at a time, as fast as each other."""
    waiting = iter(curves)
    done: list[tuple[int, Curve]] = []
    pruned: list[tuple[int, Curve]] = []
    spent, clock = 0, 0
    running: list[tuple[int, int, Curve, int]] = []  # when its next evaluation is, and which
    for number, curve in enumerate(waiting):
        if number >= WORKERS:
            raise AssertionError
        heapq.heappush(running, (EVERY, number, curve, 0))
        if number == WORKERS - 1:
            break
    n_begun = len(running)
    while running:
        clock, number, curve, position = heapq.heappop(running)
        spent += EVERY
        name = str(number)
        ended = position >= len(curve.steps)  # it diverged on the way
        if not ended:
            step = curve.steps[position]
            figures = {"step": step, "nll": curve.nll[position], "mi": curve.mi[position]}
            rule.place(name, figures)
            if step == STEPS:
                done.append((spent, curve))
                ended = True
            elif rule.verdict(name, step):
                pruned.append((spent, curve))
                ended = True
        if not ended:
            heapq.heappush(running, (clock + EVERY, number, curve, position + 1))
        elif (following := next(waiting, None)) is not None:
            heapq.heappush(running, (clock + EVERY, n_begun, following, 0))
            n_begun += 1
    return Replay(done, pruned, spent)
