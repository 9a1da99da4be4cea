"""Schedules of the KL's weight in training: pure functions of the step, with values in [0, 1].

Steps count parameter updates from 0, and every schedule is 1 from step `steps` on.
"""

import math
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from trainables.config import Config, Count


def linear(step: int, steps: int, start: float) -> float:
    """Rise in a straight line from `start` at step 0 to 1 at step `steps`.

    As He et al. (2019), https://arxiv.org/abs/1901.05534, whose code is one update ahead: its
    first weight is that of step 1 here.
    """
    return 1.0 if step >= steps else start + (1 - start) * step / steps


def sigmoid(step: int, steps: int) -> float:
    """Rise as 1 / (1 + exp(-(t - T/2) / (T/10))), T = `steps`: from 0.007 to 0.993, then 1.

    As the code of Shao et al. (2020), https://arxiv.org/abs/2004.05988, has it for cost annealing.
    """
    return 1.0 if step >= steps else 1 / (1 + math.exp(-(step - steps / 2) / (steps / 10)))


def cyclical(step: int, steps: int, cycles: int, rise: float) -> float:
    """Start anew from 0 at each of `cycles` equal periods of `steps`.

    A share `rise` of every period is a straight line to 1, the rest of it is 1. Fu et al. (2019),
    https://arxiv.org/abs/1903.10145.
    """
    if step >= steps:
        return 1.0
    position = step * cycles % steps / steps  # in whole numbers, so that periods begin at 0
    return min(1.0, position / rise)


class Schedule(Config):
    """How long the weight is below 1: in `steps` or, as multiples of an epoch's, in `epochs`.

    Exactly one of the two is given; without any, a schedule has its published duration.
    """

    published: ClassVar[dict[str, float]] = {}

    steps: Count | None = None
    epochs: PositiveFloat | None = None

    @model_validator(mode="before")
    @classmethod
    def _lasts_as_published(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("steps") is given.get("epochs") is None:
            return {**given, **cls.published}
        return given

    @model_validator(mode="after")
    def _lasts_for_one_duration(self) -> "Schedule":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give how long the annealing lasts, either in steps or in epochs")
        return self

    def weight(self, step: int, steps_per_epoch: int) -> float:
        """Give the weight at a step, in [0, 1]."""
        steps = self.steps
        if steps is None:
            assert self.epochs is not None
            steps = max(1, round(self.epochs * steps_per_epoch))
        return self.at(step, steps)

    @abstractmethod
    def at(self, step: int, steps: int) -> float:
        """Give the weight at a step where it is 1 from step `steps` on."""


class Linear(Schedule):
    """The weight rises in a straight line from `start`, over 10 epochs where nothing is said."""

    published: ClassVar[dict[str, float]] = {"epochs": 10.0}

    kind: Literal["linear"]
    start: float = Field(default=0.1, ge=0, le=1)

    def at(self, step: int, steps: int) -> float:
        """Give the weight at a step."""
        return linear(step, steps, self.start)


class Sigmoid(Schedule):
    """The weight rises along a logistic curve, over 10,000 steps where nothing is said."""

    published: ClassVar[dict[str, float]] = {"steps": 10_000}

    kind: Literal["sigmoid"]

    def at(self, step: int, steps: int) -> float:
        """Give the weight at a step."""
        return sigmoid(step, steps)


class Cyclical(Schedule):
    """The weight rises from 0 in each of `cycles` periods; the duration is that of them all."""

    kind: Literal["cyclical"]
    cycles: Count = 4
    rise: float = Field(default=0.5, gt=0, le=1)

    def at(self, step: int, steps: int) -> float:
        """Give the weight at a step."""
        return cyclical(step, steps, self.cycles, self.rise)


Annealing = Annotated[Linear | Sigmoid | Cyclical, Field(discriminator="kind")]
