"""What is said of a contrast's bound along training: that it stays below the information.

The statements here are `analysis.claims.Statement`s that are measured from all evaluations of a
trial, not from its last one alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.claims import Arm, Measured, Sampled
from analysis.intervals import mean
from analysis.seeds import BOUND, MIN_SEEDS, NEAR_CEILING, OfSeeds, Quantity, weak_samples


class AlongTraining(OfSeeds):
    """A statement by the seeds of a single configuration, from all of their evaluations."""


@dataclass(frozen=True)
class StaysBelow(AlongTraining):
    """At every evaluated step the bound lies below the information.

    The number is the largest of bound − information over a trial's evaluations, averaged over
    seeds. The bound is the mean on training batches since the evaluation before: lower than that
    of the step itself while it rises, higher while it falls, and of observations that were
    trained on, while the information is that of the evaluated split.
    """

    arm: Arm
    quantity: Quantity

    def __str__(self) -> str:
        """Say it in words."""
        return f"the {BOUND} of {self.arm} is below the {self.quantity} at every evaluated step"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure by how much the bound exceeds the information where it does so most."""
        [(points, _, _)] = arms
        above = points[BOUND.column].astype("float64") - points[self.quantity.column]
        known = above[np.isfinite(above.astype("float64"))].groupby(points["seed"])
        several = known.size() > 1
        if several.sum() < MIN_SEEDS:
            return (
                f"too few trials have a stored {BOUND} and {self.quantity} at several steps; "
                "set evaluation.every"
            )
        most = known.max()[several].to_numpy(np.float64)
        name = f"largest excess of the bound over the {self.quantity.full_name}"
        return Measured(name, *mean(most), (-math.inf, 0.0))

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:
        """Point out a bound at its ceiling, and figures of small effective sample sizes."""
        [(points, _, _)] = arms
        reads = float(points[BOUND.column].astype("float64").max())
        ceiling = float(points["critic_ceiling"].astype("float64").max())
        found = []
        if reads >= NEAR_CEILING * ceiling:
            found.append(
                f"the bound cannot exceed {ceiling:.3g} nats and reads up to {reads:.3g}: where "
                "there is more information than that, it is below for want of negatives"
            )
        return (*found, *weak_samples(points, self.quantity))
