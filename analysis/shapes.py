"""Statements about the shape of a curve: that it rises, is flat, breaks down, or collapses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.claims import Arm, Measured, Sampled, in_view, measured, reach
from analysis.collapse import is_collapsed, wilson
from analysis.frontier import possible_information
from analysis.replicates import LEVEL, best_nll


@dataclass(frozen=True)
class Rises:
    """The frontier rises by more than `by` nats from no MI to `to` of the arm's largest.

    That is the largest that is possible, where the arm's is beyond; `within` is that of `Range`.
    """

    arm: Arm
    by: float
    to: float = 0.9
    within: float = math.inf

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"the NLL of {self.arm} rises by more than {self.by:g} nats up to {self.to:.0%} of "
            f"its largest MI{in_view(self.within)}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure how far the frontier rises."""
        [(_, arm, unit)] = arms
        most = reach(arms, self.within)
        if isinstance(most, str):
            return most
        end = self.to * most
        rise = best_nll(arm, end[:, None])[:, 0] - arm.nll.min(axis=1)
        rise = np.where(end > 0, rise, np.nan)
        quantity = f"rise of the NLL, nats per {unit}"
        return measured(quantity, rise, (self.by, math.inf), (0.0, float(end[0])))


@dataclass(frozen=True)
class BreaksDown:
    """The NLL rises more over the last part of the MI, from `after` of it on, than before.

    The end is the arm's largest MI, or the largest that is possible, where the arm's is beyond.
    """

    arm: Arm
    after: float = 0.75

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"the NLL of {self.arm} rises more over the last {1 - self.after:.0%} of its MI than "
            "before"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure by how much the rise at the end exceeds the rise up to there."""
        [(_, arm, unit)] = arms
        end = reach(arms)
        if isinstance(end, str):
            return end
        late, last = best_nll(arm, np.stack([self.after * end, end], axis=1)).T
        excess = np.where(end > 0, last - 2 * late + arm.nll.min(axis=1), np.nan)
        quantity = f"rise of the NLL at the end less that before, nats per {unit}"
        return measured(quantity, excess, (0.0, math.inf), (0.0, float(end[0])))


@dataclass(frozen=True)
class Flat:
    """The frontier stays within `within` nats of the lowest possible NLL.

    That is up to `to` of the MI that a perfect model can have: the entropy of the data, which is
    the lowest possible NLL, or what the latents hold, where that is less.
    """

    arm: Arm
    within: float
    to: float

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.arm} stays within {self.within:g} nats of the lowest possible NLL up to "
            f"{self.to:.0%} of the possible MI"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure how far the frontier lies above the lowest possible NLL at its end."""
        [(points, arm, unit)] = arms
        floor = float(points["floor"].max())
        if math.isnan(floor):
            return "the lowest possible NLL of these data is unknown"
        end = self.to * possible_information(points)
        if (most := arm.most_information[0]) < end:
            return f"no trial has an MI of {end:.3g} nats; the largest is {most:.3g}"
        above = best_nll(arm, np.full((len(arm.mi), 1), end))[:, 0] - floor
        quantity = f"NLL above the lowest possible, nats per {unit}"
        return measured(quantity, above, (-math.inf, self.within), (0.0, end))


@dataclass(frozen=True)
class Collapses:
    """Most configurations with a knob from `low` to `high` are collapsed, of all arms together.

    As `analysis.collapse.is_collapsed` has it, and with an NLL at most `within` nats above the
    lowest possible, where that is known. The interval of their share is Wilson's.
    """

    arms: tuple[Arm, ...]
    knob: str
    low: float
    high: float
    within: float = math.inf

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"most trials of {', '.join(map(str, self.arms))} with {self.knob} from {self.low:g} "
            f"to {self.high:g} collapse{in_view(self.within)}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the share of configurations that are collapsed on average over their seeds."""
        swept = [arm for arm in arms if self.knob in arm.points]
        if not swept:
            return f"{self.knob} is not swept"
        collapsed = np.concatenate([self._of(arm) for arm in swept])
        if (n := len(collapsed)) == 0:
            return f"no trial has {self.knob} from {self.low:g} to {self.high:g}"
        hits = int(collapsed.sum())
        quantity = f"share of {n} trials that collapse"
        return Measured(quantity, hits / n, *wilson(hits, n, LEVEL), (0.5, math.inf))

    def _of(self, arm: Sampled) -> NDArray[np.bool_]:
        """Say which configurations of an arm in the range are collapsed."""
        knob = arm.points[self.knob].astype("float64")
        inside = arm.points[knob.between(self.low, self.high)]
        columns = ["mi_value", "nll_value", "ceiling", "floor", "tokens"]
        means = inside.groupby("config_hash")[columns].mean()
        too_high = (means["nll_value"] > means["floor"] + self.within).to_numpy()
        return is_collapsed(means, arm.unit) & ~too_high
