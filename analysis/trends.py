"""What is said of a swept knob: that a figure rises or falls with it.

The statements here are `analysis.claims.Statement`s about an arm that sweeps a knob over decades.
Its configurations, whose seeds are averaged, are the replicates, and the intervals are those of
Student's t about a straight line: where the figure is bent, what the line misses widens them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims import Arm, Measured, Sampled
from analysis.intervals import slope
from analysis.seeds import Quantity, weak_samples

MIN_CONFIGURATIONS = 5  # per arm; through fewer points any line goes well


class OfConfigurations(ABC):
    """A statement that is measured by an arm's configurations, each with a value of a knob."""

    @abstractmethod
    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the number from its arms in order, or say why it cannot be measured."""

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:  # noqa: ARG002
        """Say what makes the figures less believable."""
        return ()


@dataclass(frozen=True)
class Trend(OfConfigurations):
    """A figure rises, or falls, with a knob, on average over the decades that are swept.

    The number is the slope of a straight line over log10 of the knob.
    """

    arm: Arm
    quantity: Quantity
    knob: str
    rises: bool = True

    def __str__(self) -> str:
        """Say it in words."""
        how = "rises" if self.rises else "falls"
        return f"the {self.quantity} of {self.arm} {how} with {self.knob}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the slope."""
        [(points, _, _)] = arms
        if self.knob not in points or not points[self.knob].notna().any():
            return f"{self.knob} is not swept"
        means = configurations(points, self.knob, self.quantity.column)
        knob, values = (means[name].to_numpy() for name in (self.knob, self.quantity.column))
        values, knob = values[knob > 0], knob[knob > 0]
        if len(knob) < MIN_CONFIGURATIONS:
            return f"too few configurations have a stored {self.quantity}"
        decades = np.log10(knob)
        if not np.ptp(decades) > 0:
            return f"every configuration has the same {self.knob}"
        region = (0.0, math.inf) if self.rises else (-math.inf, 0.0)
        name = f"slope of the {self.quantity.full_name}, a decade of {self.knob}"
        return Measured(name, *slope(decades, values), region)

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:
        """Point out figures of small effective sample sizes."""
        return weak_samples(arms[0].points, self.quantity)


def configurations(points: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Give columns of numbers averaged over the seeds of each configuration.

    Seeds that lack one of them are left out, and so are configurations without any left.
    """
    numbers = points[list(columns)].astype("float64")
    known = np.isfinite(numbers.to_numpy()).all(axis=1)
    return numbers[known].groupby(points["config_hash"]).mean()
