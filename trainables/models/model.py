"""What every latent-variable model offers, and what its configuration says."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn
from torch.distributions import Distribution

from trainables.config import Config
from trainables.models.latents import Latents


class Model(nn.Module, ABC):
    """A joint distribution p(x, z) = p(z) p(x|z) with an inference network q(z|x)."""

    def __init__(self, latents: Latents) -> None:
        super().__init__()
        self.latents = latents

    @abstractmethod
    def posterior(self, x: Tensor) -> Distribution:
        """Give q(z|x): batch shape `[batch]`, event shape that of z."""

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Give ln p(x|z), `[K, batch]` in nats, summed over tokens, for z `[K, batch, *latent]`.

        z `[K, 1, *latent]` stands for the same z at every observation.
        """

    def prior(self) -> Distribution:
        """Give p(z): empty batch shape, event shape that of z."""
        return self.latents.prior(like=next(self.parameters()))


class ModelConfig(Config, ABC):
    """The base of a model's configuration. `reads` is the kind of data it is for."""

    reads: ClassVar[str]
    name: str
    latents: Latents

    @abstractmethod
    def create(self, vocabulary: int) -> Model:
        """Build the model, with parameters drawn from torch's global generator."""


def flat(z: Tensor) -> Tensor:
    """Join the axes of each z: `[K, batch, *latent]` -> `[K, batch, width]`."""
    return z.flatten(2)
