"""Which trials are not worth training to their end: successive halving that respects a frontier.

Asynchronous successive halving (Li et al. 2020, https://arxiv.org/abs/1810.05934) looks at a trial
on rungs, steps that grow by a factor, and lets the best share of what has come to a rung go on.
With a frontier as the goal there is no single best. Collapsed trials reach their low NLL early and
stay without information, so by NLL alone they would stop every informative one. Hence a trial is
compared only with those of its arm that have about its MI, and on both axes: it stops where too
many of them dominate it. What nobody dominates goes on.

Pure decisions: what is known at a rung decides, not the order in which it came.
"""

import math
from collections.abc import Mapping
from typing import Any

from sweeper.outcomes import Measured, measured
from sweeper.sections import ParetoHalving
from trainables.trial import TrialConfig


def dominates(a: Measured, b: Measured) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better, beyond their Monte Carlo errors.

    A difference within the standard error of the difference is none.
    """
    nll = _beyond(b.nll - a.nll, math.hypot(a.nll_error, b.nll_error))
    mi = _beyond(a.mi - b.mi, math.hypot(a.mi_error, b.mi_error))
    return min(nll, mi) >= 0 and max(nll, mi) > 0


def _beyond(difference: float, error: float) -> float:
    return difference if abs(difference) > error else 0.0


def is_rung(scheduler: ParetoHalving, step: int) -> bool:
    """Whether a step is the first rung's times a power of the reduction."""
    times, rest = divmod(step, scheduler.first)
    while times > 1 and times % scheduler.reduction == 0:
        times //= scheduler.reduction
    return times == 1 and rest == 0


def rungs(scheduler: ParetoHalving, n_steps: int) -> list[int]:
    """Give the steps of the rungs before the last of `n_steps`, at which nothing is left to stop.

    >>> rungs(ParetoHalving(first=500), 10_000)
    [500, 1500, 4500]
    """
    steps = []
    step = scheduler.first
    while step < n_steps:
        steps.append(step)
        step *= scheduler.reduction
    return steps


def obstacle(scheduler: ParetoHalving, trial: TrialConfig) -> str | None:
    """Say why a trial is never evaluated on the first rung, if it is not."""
    every, steps = trial.evaluation.every, trial.training.steps
    if every is None:
        return f"needs evaluations on its rungs; set trial.evaluation.every, to {scheduler.first}"
    if scheduler.first % every:
        return (
            f"the first rung, step {scheduler.first}, is not evaluated; make it a multiple of "
            f"evaluation.every, which is {every}"
        )
    if steps is not None and scheduler.first >= steps:
        return (
            f"the first rung, step {scheduler.first}, is not before the end of a trial of {steps} "
            "steps; choose an earlier one"
        )
    return None


class Ladder:
    """What the trials of one arm measured on its rungs, and what follows for one of them.

    `axis` is the information that the experiment maximises. Trials that were stopped, or failed
    later, stay: they show what a trial with this little training can be.
    """

    def __init__(self, scheduler: ParetoHalving, axis: str) -> None:
        self.scheduler, self.axis = scheduler, axis
        self.rungs: dict[int, dict[str, Measured]] = {}

    def place(self, trial_id: str, evaluation: Mapping[str, Any]) -> None:
        """Note an evaluation, a mapping of columns, where it is one on a rung."""
        step = int(evaluation["step"])
        if is_rung(self.scheduler, step):
            point = measured(evaluation, self.axis)
            if point is not None:
                self.rungs.setdefault(step, {})[trial_id] = point

    def verdict(self, trial_id: str, step: int) -> str | None:
        """Say why a trial that has come to `step` is to stop there, if it is.

        Its peers are the other trials that have come to this rung with an MI within the window of
        its own. Among n trials, itself one of them, it stops where n / reduction peers or more
        dominate it; by a single axis, that is to be outside the best n / reduction. Where n is
        below the reduction there is too little to go by.
        """
        rung = self.rungs.get(step, {})
        if trial_id not in rung:
            return None
        mine, window = rung[trial_id], self.scheduler.mi_window
        peers = [
            point
            for other, point in rung.items()
            if other != trial_id and abs(point.mi - mine.mi) <= window
        ]
        n_better = sum(dominates(peer, mine) for peer in peers)
        allowed = (len(peers) + 1) // self.scheduler.reduction
        if allowed == 0 or n_better < allowed:
            return None
        return (
            f"at step {step}: dominated by {n_better} of {len(peers)} trials with MI within "
            f"{window:g} nats of its {mine.mi:.3g}"
        )
