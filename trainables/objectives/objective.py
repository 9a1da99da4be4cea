"""What every training objective offers, and what its configuration says."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from trainables.config import Config


class ObjectiveOutput(NamedTuple):
    """What an objective makes of a batch.

    `loss` is a scalar to minimise, mean over the batch; its value is the objective's, its gradient
    the estimator's. `metrics` are scalars without gradients.
    """

    loss: Tensor
    metrics: Mapping[str, Tensor]


class ObjectiveConfig(Config, ABC):
    """The base of an objective's configuration."""

    name: str

    @abstractmethod
    def refuses(self, latents: str) -> str | None:
        """Say why this objective cannot train latents of a kind, if so, and what can."""

    @abstractmethod
    def create(self) -> nn.Module:
        """Build the objective: `objective(model, x) -> ObjectiveOutput`.

        What it learns or remembers is module state.
        """
