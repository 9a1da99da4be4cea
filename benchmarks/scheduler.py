"""What stopping trials early buys, and what it costs: replayed on trials that were all trained.

`python -m benchmarks.curves FILE` trains them, and `python -m benchmarks.scheduler FILE` replays
searches over them in seconds, each with several orders of its trials. Since every trial has its
whole curve, what was stopped wrongly is known.
"""

import heapq
import math
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import moocore
import numpy as np

from analysis.frontier import is_on_frontier
from benchmarks.curves import EVERY, STEPS, TRIALS, Curve, read
from sweeper.halving import Ladder, is_rung
from sweeper.sections import ParetoHalving

WORKERS = 4
ORDERS = 20  # of the trials of each search
NADIR = (math.log(64) + 0.5, 0.0)  # of hypervolumes, of which ln 64 / 2 is the most: floor + 0.5


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
    """Train trials in their order, `WORKERS` at a time and as fast as each other."""
    waiting = enumerate(curves)
    done: list[tuple[int, Curve]] = []
    pruned: list[tuple[int, Curve]] = []
    steps = 0
    # By the time of its next evaluation: a trial and how many evaluations it has had.
    running = [(EVERY, number, curve, 0) for number, curve in islice(waiting, WORKERS)]
    while running:
        clock, number, curve, n_known = heapq.heappop(running)
        steps += EVERY
        goes_on = n_known < len(curve.steps)  # else it diverged on the way
        if goes_on:
            step = curve.steps[n_known]
            rule.place(
                str(number), {"step": step, "nll": curve.nll[n_known], "mi": curve.mi[n_known]}
            )
            if step == STEPS:
                done.append((steps, curve))
                goes_on = False
            elif rule.verdict(str(number), step):
                pruned.append((steps, curve))
                goes_on = False
        if goes_on:
            heapq.heappush(running, (clock + EVERY, number, curve, n_known + 1))
        else:
            for following, its_curve in islice(waiting, 1):
                heapq.heappush(running, (clock + EVERY, following, its_curve, 0))
    return Replay(done, pruned, steps)


class Score(NamedTuple):
    """What a rule did to a search, against all of its trials trained to the end."""

    cost: float  # steps, as a share
    pruned: float  # of the trials
    frontier_pruned: float  # of the trials that would have been on the frontier
    lost: float  # hypervolume that the same trials miss
    at_equal_cost: float  # hypervolume once half of all steps are trained


def hypervolume(curves: Iterable[Curve]) -> float:
    """What lies between the ends of whole trials and `NADIR`."""
    ends = np.array([(curve.nll[-1], -curve.mi[-1]) for curve in curves]).reshape(-1, 2)
    return float(moocore.hypervolume(ends, ref=[NADIR[0], -NADIR[1]])) if len(ends) else 0.0


def score(curves: Sequence[Curve], create: Callable[[], Rule]) -> Score:
    """Replay a search in several orders of its trials; the means over them."""
    whole = [curve for curve in curves if curve.whole]
    on = is_on_frontier([(curve.nll[-1], -curve.mi[-1]) for curve in whole])
    best = {curve.number for curve, keep in zip(whole, on, strict=True) if keep}
    total = STEPS * len(curves)
    scores = []
    for order in range(ORDERS):
        shuffled = random.Random(order).sample(curves, len(curves))
        found = replay(shuffled, create())
        pruned = {curve.number for _, curve in found.pruned}
        scores.append(
            Score(
                found.steps / total,
                len(pruned) / len(curves),
                len(best & pruned) / len(best),
                hypervolume(whole) - hypervolume(curve for _, curve in found.done),
                hypervolume(curve for at, curve in found.done if at <= total / 2),
            )
        )
    return Score(*np.mean(scores, axis=0).tolist())


def rules() -> dict[str, Callable[[], Rule]]:
    """What is compared: no stopping, NLL alone, and ours with its settings."""
    found: dict[str, Callable[[], Rule]] = {"no stopping": Never}
    for first in (100, 300):
        for reduction in (2, 3):
            name = f"NLL alone, first {first}, reduction {reduction}"
            plain = ParetoHalving(first=first, reduction=reduction)
            found[name] = partial(ByNll, plain)
            for window in (0.25, 0.5, 1.0, 100.0):
                rule = ParetoHalving(first=first, reduction=reduction, mi_window=window)
                shown = f"window {window:g}" if window < 100 else "no window"
                name = f"pareto_halving, first {first}, reduction {reduction}, {shown}"
                found[name] = partial(Ladder, rule, "mi")
    return found


def main(path: Path) -> None:
    """Print a table for each arm: means over searches, with their standard errors."""
    searches: dict[str, dict[int, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for curve in read(path):
        if curve.number < TRIALS:
            searches[curve.arm][curve.seed].append(curve)
    for arm, by_seed in searches.items():
        whole = {seed: of for seed, of in by_seed.items() if len(of) == TRIALS}
        seconds = sum(curve.seconds for of in whole.values() for curve in of)
        print(f"\n{arm}: {len(whole)} searches of {TRIALS} trials, trained in {seconds:.0f} s")
        print(f"| rule | {' | '.join(Score._fields)} | against no stopping |")
        print(f"|---|{'---|' * (len(Score._fields) + 1)}")
        never = np.array([score(of, Never) for of in whole.values()])
        for name, create in rules().items():
            scores = np.array([score(of, create) for of in whole.values()])
            gain = scores[:, -1] - never[:, -1]
            cells = [f"{mean:.3f}" for mean in scores.mean(axis=0)]
            error = statistics.stdev(gain) / math.sqrt(len(gain)) if len(gain) > 1 else math.nan
            print(f"| {name} | {' | '.join(cells)} | {gain.mean():+.3f} ± {error:.3f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
