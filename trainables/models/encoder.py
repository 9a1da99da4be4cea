"""Inference networks in two parts, so that a critic can share the first."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A network from observations to features, the posterior's parameters being linear in them.

    `width` is the number of features. `early_layers` names the children that `early` uses and
    `late` does not.
    """

    early_layers: ClassVar[tuple[str, ...]]
    width: int

    @abstractmethod
    def early(self, x: Tensor) -> Tensor:
        """Give what the layers make of x that a hybrid critic shares; the batch comes first."""

    @abstractmethod
    def late(self, early: Tensor, x: Tensor) -> Float[Tensor, "batch width"]:
        """Give the features of x from its early ones."""

    def forward(self, x: Tensor) -> Float[Tensor, "batch width"]:
        """Give the features of x."""
        return self.late(self.early(x), x)

    def drop_early(self) -> None:
        """Let go of the layers of `early`, for a user of `late` alone."""
        for name in self.early_layers:
            delattr(self, name)
