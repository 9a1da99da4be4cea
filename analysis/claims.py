"""What papers say of frontiers, as small statements that stored points can answer.

A statement measures one number, such as the mean difference of two frontiers, and claims that it
lies in a region, such as below 0. `analysis.checking` answers it: it *holds* where the number's
interval lies in the region, it *does not hold* where the interval lies outside, and otherwise
there is *not enough data*.

An arm's frontier is the staircase F(m): the lowest NLL among its configurations with an MI of at
least m. It ends at the arm's largest MI, and nothing is said beyond.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd

from analysis.collapse import collapse_threshold, is_collapsed, wilson
from analysis.frontier import Unit
from analysis.replicates import LEVEL, Array, Replicates, best_nll, interval

_N_GRID = 64
_NEARLY = 0.9  # of a range in nats: what has to be reached to say something of it
_SHARE_DEFINED = 0.9  # of the replicates; with fewer the interval says nothing

Verdict = Literal["holds", "does not hold", "not enough data"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
UNDECIDED: Verdict = "not enough data"


class Arm(NamedTuple):
    """An arm of an experiment, by their names in the shipped file."""

    experiment: str
    name: str

    def __str__(self) -> str:
        """Give `experiment/arm`."""
        return f"{self.experiment}/{self.name}"


class Range(NamedTuple):
    """A range of MI: shares of the largest MI that both arms reach, or nats where `nats`."""

    low: float = 0.0
    high: float = 1.0
    nats: bool = False

    def __str__(self) -> str:
        """Say it in words."""
        if self.nats:
            return f"MI from {self.low:g} to {self.high:g} nats"
        if (self.low, self.high) == (0.0, 1.0):
            return "all MI that both reach"
        return f"{self.low:.0%} to {self.high:.0%} of the MI that both reach"


_ALL = Range()


class Measured(NamedTuple):
    """A number with an interval, and the open region that a statement claims for it.

    `mi` is the range of MI that was looked at, in nats per unit, none where that is no range.
    """

    quantity: str
    estimate: float
    low: float
    high: float
    region: tuple[float, float]
    mi: tuple[float, float] | None = None

    @property
    def verdict(self) -> Verdict:
        """Compare the interval with the region."""
        low, high = self.region
        if low < self.low and self.high < high:
            return HOLDS
        return FAILS if self.high <= low or self.low >= high else UNDECIDED


class Sampled(NamedTuple):
    """An arm's points, in nats per `unit`, and their replicates."""

    points: pd.DataFrame
    replicates: Replicates
    unit: Unit


class Statement(Protocol):
    """What can be checked: a frozen dataclass whose fields of type `Arm` are its arms."""

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the number from its arms in order, or say why it cannot be measured."""


@dataclass(frozen=True)
class Below:
    """A's frontier lies below B's: the mean of F_A − F_B over a range of MI is below −`by`."""

    a: Arm
    b: Arm
    between: Range = _ALL
    by: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        margin = f" by more than {self.by:g} nats" if self.by else ""
        return f"{self.a} lies below {self.b}{margin}, on average over {self.between}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the mean difference of two frontiers."""
        return _difference(arms, self.between, (-math.inf, -self.by))


@dataclass(frozen=True)
class Level:
    """Two frontiers are level: the mean of F_A − F_B over a range of MI lies within ±`within`."""

    a: Arm
    b: Arm
    within: float
    between: Range = _ALL

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
class Rises:
    """The frontier rises by more than `by` nats from no MI to `to` of the arm's largest.

    That is the largest that is possible, where the arm's is beyond.
    """

    arm: Arm
    by: float
    to: float = 0.9

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"the NLL of {self.arm} rises by more than {self.by:g} nats up to {self.to:.0%} of "
            "its largest MI"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure how far the frontier rises."""
        [(points, arm, unit)] = arms
        end = self.to * np.minimum(arm.most_information, _possible(points))
        rise = best_nll(arm, end[:, None])[:, 0] - arm.nll.min(axis=1)
        quantity = f"rise of the NLL, nats per {unit}"
        return _measured(quantity, rise, (self.by, math.inf), (0.0, float(end[0])))


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
        end = self.to * _possible(points)
        if (most := arm.most_information[0]) < end:
            return f"no trial has an MI of {end:.3g} nats; the largest is {most:.3g}"
        above = best_nll(arm, np.full((len(arm.mi), 1), end))[:, 0] - floor
        quantity = f"NLL above the lowest possible, nats per {unit}"
        return _measured(quantity, above, (-math.inf, self.within), (0.0, end))


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
        return _measured(f"MI difference, nats per {arms[0].unit}", a - b, (0.0, math.inf))


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
        return _measured("ratio of the median seconds a step", a / b, region)


@dataclass(frozen=True)
class Collapses:
    """Most configurations with a knob from `low` to `high` are collapsed.

    As `analysis.collapse.is_collapsed` has it; the interval of their share is Wilson's.
    """

    arm: Arm
    knob: str
    low: float
    high: float

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"most trials of {self.arm} with {self.knob} from {self.low:g} to {self.high:g} "
            "collapse"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the share of configurations that are collapsed on average over their seeds."""
        [(points, _, unit)] = arms
        if self.knob not in points:
            return f"{self.knob} is not swept"
        inside = points[points[self.knob].astype("float64").between(self.low, self.high)]
        if inside.empty:
            return f"no trial has {self.knob} from {self.low:g} to {self.high:g}"
        means = inside.groupby("config_hash")[["mi_value", "ceiling", "tokens"]].mean()
        collapsed = is_collapsed(means, unit)
        n, hits = len(collapsed), int(collapsed.sum())
        quantity = f"share of {n} trials that collapse"
        return Measured(quantity, hits / n, *wilson(hits, n, LEVEL), (0.5, math.inf))


def arms_of(statement: Statement) -> tuple[Arm, ...]:
    """Give the arms that a statement is about, in its order."""
    return tuple(value for value in vars(statement).values() if isinstance(value, Arm))


def _difference(
    arms: Sequence[Sampled], between: Range, region: tuple[float, float]
) -> Measured | str:
    """Measure the mean of F_A − F_B over a range of MI, within what both arms reach.

    The mean is over 64 equidistant MIs. Where the range is in shares, they are shares of what
    both arms of that replicate reach. Beyond the MI that is possible, rates do not count: there
    the latents of data are not distributed as the prior, at any NLL.
    """
    (of_a, a, unit), (of_b, b, _) = arms
    reach = np.minimum(a.most_information, b.most_information)
    reach = np.minimum(reach, min(_possible(of_a), _possible(of_b)))
    threshold = max(float(collapse_threshold(arm.points, unit).max()) for arm in arms)
    if reach[0] < threshold:
        return f"one arm is collapsed: both reach only an MI of {max(reach[0], 0):.3g} nats"
    if between.nats and reach[0] < max(between.low, _NEARLY * between.high):
        return f"both reach only an MI of {reach[0]:.3g} nats"
    scale = 1.0 if between.nats else reach
    low = np.broadcast_to(between.low * scale, reach.shape)
    high = np.minimum(between.high * scale, reach)
    step = (np.arange(_N_GRID) + 0.5) / _N_GRID
    grid = low[:, None] + (high - low)[:, None] * step
    with np.errstate(invalid="ignore"):
        mean: Array = (best_nll(a, grid) - best_nll(b, grid)).mean(axis=1)
    mean[(high <= low) | ~np.isfinite(mean)] = np.nan
    quantity = f"mean NLL difference, nats per {unit}"
    return _measured(quantity, mean, region, (float(low[0]), float(high[0])))


def _possible(points: pd.DataFrame) -> float:
    """Give the MI that a perfect model can have at most, infinite where it is unknown.

    I(x; z) is at most the entropy of the data, which is their lowest possible NLL, and what the
    latents hold, the largest where they are swept.
    """
    known = [points["floor"].max(), points["ceiling"].max()]
    return float(np.nanmin([*known, math.inf]))


def _measured(
    quantity: str,
    values: Array,
    region: tuple[float, float],
    mi: tuple[float, float] | None = None,
) -> Measured | str:
    defined = ~np.isnan(values)
    if not defined[0] or defined.mean() < _SHARE_DEFINED:
        return "too few figures are stored, or too few trials carry information"
    return Measured(quantity, float(values[0]), *interval(values[defined]), region, mi)
