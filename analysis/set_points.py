"""What is said of a controller of the KL: that the KL comes to its set point.

The statements here are `analysis.claims.Statement`s. A trial's deviation is its KL over its set
point, less 1: the KL of the evaluated split by the last model, not that of the training batches
that the controller sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.claims import Arm, Measured, Sampled
from analysis.intervals import mean
from analysis.seeds import MIN_SEEDS, OfSeeds
from analysis.trends import MIN_CONFIGURATIONS, OfConfigurations, configurations

_KL, _SET_POINT = "kl", "kl_set_point"


@dataclass(frozen=True)
class FollowsSetPoint(OfConfigurations):
    """Over the set points that an arm sweeps, the KL is off by less than a share of them.

    The number is the mean over configurations of how far, upwards or downwards, each one's KL is
    off on average over its seeds.
    """

    arm: Arm
    within: float

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"the KL of {self.arm} is off its set point by less than {self.within:.0%}, on "
            "average over the swept ones"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the mean distance from the set point, as a share of it."""
        [(points, _, _)] = arms
        means = configurations(points, _KL, _SET_POINT)
        if len(means) < MIN_CONFIGURATIONS:
            return "too few configurations have a stored KL and set point"
        off = np.abs(means[_KL] / means[_SET_POINT] - 1).to_numpy()
        return Measured("mean distance from the set point", *mean(off), (-math.inf, self.within))

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:
        """Say on which side of their set points the KLs are that are off."""
        [(points, _, _)] = arms
        means = configurations(points, _KL, _SET_POINT)
        off = means[_KL] / means[_SET_POINT] - 1
        found = []
        if (n_above := int((off > self.within).sum())) > 0:
            found.append(
                f"{n_above} of {len(off)} KLs stay above their set point: one that is lower than "
                "the KL at the largest weight of the controller's range is out of reach"
            )
        if (n_below := int((off < -self.within).sum())) > 0:
            found.append(
                f"{n_below} of {len(off)} KLs stay below their set point: one that is higher than "
                "the KL at the smallest weight is out of reach, and a small gain needs many steps"
            )
        return tuple(found)


@dataclass(frozen=True)
class HoldsSetPoint(OfSeeds):
    """The KL of a single configuration is off its set point by less than a share of it."""

    arm: Arm
    within: float

    def __str__(self) -> str:
        """Say it in words."""
        return f"the KL of {self.arm} is off its set point by less than {self.within:.0%}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the mean deviation from the set point over seeds, as a share of it."""
        [(points, _, _)] = arms
        numbers = points[[_KL, _SET_POINT]].astype("float64")
        off = (numbers[_KL] / numbers[_SET_POINT] - 1).to_numpy()
        off = off[np.isfinite(off)]
        if len(off) < MIN_SEEDS:
            return "too few trials have a stored KL and set point"
        return Measured("deviation from the set point", *mean(off), (-self.within, self.within))
