"""Inference networks in parts, so that a critic can share the first and noise can join x."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A network from observations to features, the posterior's parameters being linear in them.

    `width` is the number of features. `early_layers` names the children that `early` uses and
    `late` does not. `input_range` is where `inputs` lie, if they are not any numbers.
    """

    early_layers: ClassVar[tuple[str, ...]]
    input_range: ClassVar[tuple[float, float] | None] = None
    width: int

    @abstractmethod
    def inputs(self, x: Tensor) -> Tensor:
        """Give x as numbers, the batch first: pixels, or the embeddings of tokens."""

    def early_of(self, inputs: Tensor) -> Tensor:
        """Give what the layers make of `inputs` that a hybrid critic shares; batch first."""
        return inputs

    def early(self, x: Tensor) -> Tensor:
        """Give the same of x."""
        return self.early_of(self.inputs(x))

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
