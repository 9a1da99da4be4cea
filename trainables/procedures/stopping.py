"""When aggressive inference training leaves its inner loop, and when it ends for good.

Pure rules on the figures they are told: losses of inner updates, and the mutual information of
each epoch.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from trainables.config import Config, Count


class BlockMeans:
    """Leaves an inner loop as soon as a block of updates has a higher mean loss than the last.

    A block is `size` updates; its mean is the sum of the losses over the sum of the weights, the
    tokens or images that they are losses of. The first block has none to be compared with.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._before: float | None = None
        self._n = 0
        self._loss: float | Tensor = 0.0
        self._weight: int | Tensor = 0

    def leaves(self, loss: float | Tensor, weight: int | Tensor) -> bool:
        """Take note of the total loss of one update's batch, and say whether to leave."""
        # Sums of tensors, so that a device is waited for once a block.
        self._n, self._loss, self._weight = self._n + 1, self._loss + loss, self._weight + weight
        if self._n < self.size:
            return False
        mean, before = float(self._loss) / float(self._weight), self._before
        self._before, self._n, self._loss, self._weight = mean, 0, 0.0, 0
        return before is not None and mean > before


class InformationRule(ABC):
    """Ends the aggressive phase by the mutual information after each epoch."""

    @abstractmethod
    def ends(self, mi: float) -> bool:
        """Take note of an epoch's mutual information, and say whether the phase is over."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Give all that is remembered, as plain values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""


class Falls(Config):
    """The phase is over when the mutual information is lower than an epoch before.

    The rule for text. The first epoch has none before it, and ends nothing.
    """

    rule: Literal["falls"]

    def create(self) -> "FallsRule":
        """Build the rule."""
        return FallsRule()


class BelowBest(Config):
    """The phase is over after the `times`-th epoch with less mutual information than the best.

    The rule for images. These epochs need not follow one another: the count is never reset.
    """

    rule: Literal["below_best"]
    times: Count = 5

    def create(self) -> "BelowBestRule":
        """Build the rule."""
        return BelowBestRule(self.times)


PhaseStop = Annotated[Falls | BelowBest, Field(discriminator="rule")]


class FallsRule(InformationRule):
    """`Falls` at work."""

    def __init__(self) -> None:
        self.before: float | None = None

    def ends(self, mi: float) -> bool:
        """Say whether `mi` is lower than that of the epoch before."""
        before, self.before = self.before, mi
        return before is not None and mi < before

    def state_dict(self) -> dict[str, Any]:
        """Give the last epoch's mutual information."""
        return {"before": self.before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.before = state["before"]


class BelowBestRule(InformationRule):
    """`BelowBest` at work."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.best: float | None = None
        self.n_below = 0

    def ends(self, mi: float) -> bool:
        """Say whether this is the `times`-th epoch below the best before it."""
        if self.best is not None and mi < self.best:
            self.n_below += 1
        else:
            self.best = mi
        return self.n_below >= self.times

    def state_dict(self) -> dict[str, Any]:
        """Give the best so far and the count."""
        return {"best": self.best, "n_below": self.n_below}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.best, self.n_below = state["best"], state["n_below"]
