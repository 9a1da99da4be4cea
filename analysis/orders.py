"""Statements that compare two curves: which lies below, where, and by how much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.claims import ALL, Arm, Measured, Range, Sampled, measured, reach
from analysis.replicates import LEVEL, Array, best_nll

_N_GRID = 64
_NEARLY = 0.9  # of a range in nats: what has to be reached to say something of it
_N_PARTS = 4  # of the MI that both reach, among which one is looked for


@dataclass(frozen=True)
class Below:
    """A's frontier lies below B's: the mean of F_A − F_B over a range of MI is below −`by`."""

    a: Arm
    b: Arm
    between: Range = ALL
    by: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        margin = f" by more than {self.by:g} nats" if self.by else ""
        return f"{self.a} lies below {self.b}{margin}, on average over {self.between}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the mean difference of two frontiers."""
        return _difference(arms, self.between, (-math.inf, -self.by))


@dataclass(frozen=True)
class NoBetter:
    """A's frontier lies below B's by less than `by`: the mean of F_A − F_B is above −`by`."""

    a: Arm
    b: Arm
    by: float
    between: Range = ALL

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.a} lies below {self.b} by less than {self.by:g} nats, if at all, on average "
            f"over {self.between}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the mean difference of two frontiers."""
        return _difference(arms, self.between, (-self.by, math.inf))


@dataclass(frozen=True)
class Level:
    """Two frontiers are level: the mean of F_A − F_B over a range of MI lies within ±`within`."""

    a: Arm
    b: Arm
    within: float
    between: Range = ALL

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.a} and {self.b} differ by less than {self.within:g} nats, on average over "
            f"{self.between}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the mean difference of two frontiers."""
        return _difference(arms, self.between, (-self.within, self.within))


@dataclass(frozen=True)
class SomewhereAbove:
    """A's frontier lies above B's in one of the quarters of the MI that both reach, or in more.

    The number is the largest of the four mean differences; the interval holds all four at once
    (Bonferroni).
    """

    a: Arm
    b: Arm
    within: float = math.inf

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.a} lies above {self.b} in a quarter of {Range(within=self.within)}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the largest mean difference of two frontiers over a quarter."""
        level = 1 - (1 - LEVEL) / _N_PARTS
        ends = [part / _N_PARTS for part in range(_N_PARTS + 1)]
        parts = [Range(low, high, within=self.within) for low, high in pairwise(ends)]
        found = [_difference(arms, part, (0.0, math.inf), level) for part in parts]
        known = [part for part in found if isinstance(part, Measured)]
        if not known:
            return str(found[0])
        largest = max(known, key=lambda part: part.estimate)
        of_all = len(known) == _N_PARTS  # else it may be larger where nothing is known
        return largest._replace(
            quantity=f"largest {largest.quantity}, over a quarter",
            low=max(part.low for part in known),
            high=max(part.high for part in known) if of_all else math.inf,
        )


@dataclass(frozen=True)
class Parallel:
    """Two frontiers are as steep: their rises differ by less than a `factor`.

    Rises are taken from 10 to 90% of the MI that both reach, `within` as in `Range`.
    """

    a: Arm
    b: Arm
    factor: float
    within: float = math.inf

    def __str__(self) -> str:
        """Say it in words."""
        where = Range(0.1, 0.9, within=self.within)
        return (
            f"the rises of {self.a} and {self.b} over {where} differ by less than a factor of "
            f"{self.factor:g}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the logarithm of the ratio of the rises."""
        both = reach(arms, self.within)
        if isinstance(both, str):
            return both
        ends = np.stack([0.1 * both, 0.9 * both], axis=1)
        with np.errstate(invalid="ignore"):  # where a replicate reaches nothing
            a, b = (np.diff(best_nll(arm.replicates, ends))[:, 0] for arm in arms)
        if a[0] <= 0 or b[0] <= 0:
            return "one of the curves does not rise"
        log_ratio = np.full_like(a, np.nan)
        rising = (a > 0) & (b > 0)
        log_ratio[rising] = np.log(a[rising] / b[rising])
        most, mi = math.log(self.factor), (float(ends[0, 0]), float(ends[0, 1]))
        return measured("log of the ratio of the rises", log_ratio, (-most, most), mi)


@dataclass(frozen=True)
class FitsBetter:
    """A's lowest NLL, at any MI, is below B's."""

    a: Arm
    b: Arm

    def __str__(self) -> str:
        """Say it in words."""
        return f"the lowest NLL of {self.a} is below that of {self.b}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the difference of the lowest NLLs."""
        a, b = (arm.replicates.nll.min(axis=1) for arm in arms)
        return measured(
            f"difference of the lowest NLLs, nats per {arms[0].unit}", a - b, (-math.inf, 0.0)
        )


@dataclass(frozen=True)
class MoreInformation:
    """A carries more information than B where each fits about as well as it can.

    An arm's number is the largest MI among its configurations whose NLL is at most `within` nats
    above the arm's own lowest; with 0, the MI of its best configuration.
    """

    a: Arm
    b: Arm
    within: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        at = f"within {self.within:g} nats of its lowest NLL" if self.within else "at its best NLL"
        return f"{self.a} carries more information than {self.b}, each {at}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the difference of MI."""
        a, b = (
            np.where(
                arm.nll <= arm.nll.min(axis=1, keepdims=True) + self.within, arm.mi, -np.inf
            ).max(axis=1)
            for _, arm, _ in arms
        )
        return measured(f"MI difference, nats per {arms[0].unit}", a - b, (0.0, math.inf))


@dataclass(frozen=True)
class CostsAtMost:
    """A's median seconds of training a step are at most `ratio` times B's, on one machine."""

    a: Arm
    b: Arm
    ratio: float

    def __str__(self) -> str:
        """Say it in words."""
        return f"a training step of {self.a} takes at most {self.ratio:g} times one of {self.b}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the ratio of the median costs."""
        places = pd.concat([arm.points[["device", "host"]] for arm in arms])
        if len(places.drop_duplicates()) > 1:
            return "the trials ran on several machines or devices, whose times do not compare"
        a, b = (np.median(arm.replicates.cost, axis=1) for arm in arms)
        region = (-math.inf, math.nextafter(self.ratio, math.inf))
        return measured("ratio of the median seconds a step", a / b, region)


def _difference(
    arms: Sequence[Sampled],
    between: Range,
    region: tuple[float, float],
    level: float = LEVEL,
) -> Measured | str:
    """Measure the mean of F_A − F_B over a range of MI, within what both arms reach.

    The mean is over 64 equidistant MIs. Where the range is in shares, they are shares of what
    both arms of that replicate reach.
    """
    both = reach(arms, between.within)
    if isinstance(both, str):
        return both
    if between.nats and both[0] < max(between.low, _NEARLY * between.high):
        return f"both reach only an MI of {both[0]:.3g} nats"
    scale = 1.0 if between.nats else both
    low = np.broadcast_to(between.low * scale, both.shape)
    high = np.minimum(between.high * scale, both)
    step = (np.arange(_N_GRID) + 0.5) / _N_GRID
    grid = low[:, None] + (high - low)[:, None] * step
    a, b = (best_nll(arm.replicates, grid) for arm in arms)
    with np.errstate(invalid="ignore"):
        mean: Array = (a - b).mean(axis=1)
    mean[(high <= low) | ~np.isfinite(mean)] = np.nan
    quantity = f"mean NLL difference, nats per {arms[0].unit}"
    return measured(quantity, mean, region, (float(low[0]), float(high[0])), level)
