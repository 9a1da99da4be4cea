"""What a statement about frontiers is, that stored points can answer: what papers say of them.

A statement measures one number, such as the mean difference of two frontiers, and claims that it
lies in a region, such as below 0. `analysis.checking` answers it: it *holds* where the number's
interval lies in the region, it *does not hold* where the interval lies outside, and otherwise
there is *not enough data*. `analysis.shapes` has statements about one curve, `analysis.orders`
those that compare two.

An arm's frontier is the staircase F(m): the lowest NLL among its configurations with an MI of at
least m. It ends at the arm's largest MI, and nothing is said beyond.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd

from analysis.collapse import collapse_threshold
from analysis.frontier import Unit, possible_information
from analysis.replicates import LEVEL, Array, Replicates, interval

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
    """A range of MI: shares of the largest MI that both arms reach, or nats where `nats`.

    What an arm reaches, it reaches at most `within` nats above the lowest possible NLL, or above
    the lowest of the arms' where that is unknown: what a picture that ends there shows.
    """

    low: float = 0.0
    high: float = 1.0
    nats: bool = False
    within: float = math.inf

    def __str__(self) -> str:
        """Say it in words."""
        where = in_view(self.within)
        if self.nats:
            return f"MI from {self.low:g} to {self.high:g} nats{where}"
        if (self.low, self.high) == (0.0, 1.0):
            return f"all MI that both reach{where}"
        return f"{self.low:.0%} to {self.high:.0%} of the MI that both reach{where}"


ALL = Range()


def in_view(within: float) -> str:
    """Say `Range.within` in words, after a space; nothing where it is infinite."""
    return "" if math.isinf(within) else f" within {within:g} nats of the lowest NLL"


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
    """What can be checked: a frozen dataclass whose fields of type `Arm`, or of several in a
    tuple, are its arms.
    """

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the number from its arms in order, or say why it cannot be measured."""


def arms_of(statement: Statement) -> tuple[Arm, ...]:
    """Give the arms that a statement is about, in its order."""
    arms: list[Arm] = []
    for value in vars(statement).values():
        several = value if isinstance(value, tuple) and not isinstance(value, Arm) else (value,)
        arms += (one for one in several if isinstance(one, Arm))
    return tuple(arms)


def reach(arms: Sequence[Sampled], within: float = math.inf) -> Array | str:
    """Give `[replicates]`: the largest MI that all arms reach, or say which lacks any.

    NaN where one has no trial in view; `within` is that of `Range`. Beyond the MI that is
    possible, rates do not count: there the latents of data are not distributed as the prior, at
    any NLL.
    """
    lowest: Array | float = float(pd.concat([arm.points["floor"] for arm in arms]).max())
    if np.isnan(lowest):
        lowest = np.min([arm.replicates.nll.min(axis=1) for arm in arms], axis=0)
    top = np.expand_dims(lowest + within, -1)
    ends = [np.where(a.nll <= top, a.mi, -math.inf).max(axis=1) for _, a, _ in arms]
    least: Array = np.min(ends, axis=0)
    least[np.isneginf(least)] = np.nan
    least = np.minimum(least, min(possible_information(arm.points) for arm in arms))
    one, they = ("the", "it reaches") if len(arms) == 1 else ("one", "both reach")
    if np.isnan(least[0]):
        return f"{one} arm has no trial{in_view(within)}"
    if least[0] < max(collapse_threshold(arm.points, arm.unit).max() for arm in arms):
        most = max(least[0], 0)
        return f"{one} arm is collapsed: {they} only an MI of {most:.3g} nats{in_view(within)}"
    return least


def measured(
    quantity: str,
    values: Array,
    region: tuple[float, float],
    mi: tuple[float, float] | None = None,
    level: float = LEVEL,
) -> Measured | str:
    """Give the number that `[replicates]` say, the first of them, or why they say none."""
    defined = ~np.isnan(values)
    if not defined[0] or defined.mean() < _SHARE_DEFINED:
        return "too few figures are stored, or too few trials carry information"
    return Measured(quantity, float(values[0]), *interval(values[defined], level), region, mi)
