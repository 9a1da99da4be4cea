"""Which trials are not worth training to their end: successive halving that respects a frontier.

Asynchronous successive halving (Li et al. 2020, https://arxiv.org/abs/1810.05934) looks at a trial
on rungs, steps that grow by a factor, and lets the best share of what has come to a rung go on.
With a frontier as the goal there is no single best. Collapsed trials reach their low NLL early and
stay without information, so by NLL alone they would stop every informative one. Hence a trial is
compared only with those of its arm that have about its MI, and on both axes, by non-dominated
sorting: it stops where too many of them rank better. What nobody dominates goes on.

Pure decisions: what is known at a rung decides, not the order in which it came.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.outcomes import Measured, measured
from sweeper.sections import ParetoHalving
from trainables.trial import TrialConfig


def dominance(points: Sequence[Measured]) -> NDArray[np.bool_]:
    """Give `[trials, trials]`: whether the first dominates the second.

    That is to be nowhere worse and somewhere better, beyond the Monte Carlo errors: a difference
    within its standard error is none.
    """
    nll, mi, nll_error, mi_error = np.array(points, dtype=np.float64).reshape(-1, 4).T
    gains = []
    for value, error, sign in ((nll, nll_error, -1.0), (mi, mi_error, 1.0)):
        gain = sign * (value[:, None] - value)
        gains.append(np.where(np.abs(gain) > np.hypot(error[:, None], error), gain, 0.0))
    return (np.minimum(*gains) >= 0) & (np.maximum(*gains) > 0)


def n_ranked_better(dominates: NDArray[np.bool_], trial: int) -> int:
    """Count the trials on fronts before that of one of them, by non-dominated sorting.

    The first front is what nobody dominates, the next what nobody does without those, and so on;
    whom no front would have, as errors can lead round in a circle, make up the last one.
    """
    left = np.ones(len(dominates), dtype=bool)
    n_better = 0
    while True:
        front = left & ~dominates[left].any(axis=0)
        if front[trial] or not front.any():
            return n_better
        n_better += int(front.sum())
        left &= ~front


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
    every, steps = trial.evaluation.every, trial.training.total_steps
    beforehand = trial.training.pretraining
    if every is None:
        return f"needs evaluations on its rungs; set trial.evaluation.every, to {scheduler.first}"
    if scheduler.first % every:
        return (
            f"the first rung, step {scheduler.first}, is not evaluated; make it a multiple of "
            f"evaluation.every, which is {every}"
        )
    if beforehand is not None:
        if beforehand.steps is None:
            return "a rung is a step, so pre-training has to last so many; set its steps"
        if scheduler.first <= beforehand.steps:
            return (
                f"the first rung, step {scheduler.first}, is within the {beforehand.steps} steps "
                "of pre-training, which are not evaluated; choose a later one"
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

        It is compared with the other trials that have come to this rung with an MI within the
        window of its own. Of these and itself, n in all, it stops where n / reduction or more
        rank better. Where n is below the reduction there is too little to go by.
        """
        rung = self.rungs.get(step, {})
        if trial_id not in rung:
            return None
        mine, window = rung[trial_id], self.scheduler.mi_window
        near = {trial: point for trial, point in rung.items() if abs(point.mi - mine.mi) <= window}
        allowed = len(near) // self.scheduler.reduction
        if allowed == 0:
            return None
        dominates, me = dominance(list(near.values())), list(near).index(trial_id)
        n_better = n_ranked_better(dominates, me)
        if n_better < allowed:
            return None
        return (
            f"at step {step}: dominated by {dominates[:, me].sum()} of {len(near) - 1} trials "
            f"with MI within {window:g} nats of its {mine.mi:.3g}, and {n_better} rank better"
        )
