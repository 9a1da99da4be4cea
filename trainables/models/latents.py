"""Latent spaces: the prior p(z), and the posterior q(z|x) from what an encoder puts out."""

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    Normal,
    OneHotCategorical,
)

from trainables.config import Config, Count


class GaussianLatents(Config):
    """Independent Gaussian latents with a standard normal prior; z is `[dimensions]`."""

    kind: Literal["gaussian"]
    dimensions: Count = 40

    @property
    def n_parameters(self) -> int:
        """How many numbers an encoder gives for each observation: means, then log-variances."""
        return 2 * self.dimensions

    @property
    def width(self) -> int:
        """How many numbers a decoder reads for each z."""
        return self.dimensions

    @property
    def n_states(self) -> int | float:
        """The number of values z can take: infinitely many."""
        return math.inf

    def posterior(self, parameters: Float[Tensor, "batch parameters"]) -> Distribution:
        """Build q(z|x): batch shape `[batch]`, event shape `[dimensions]`."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return _gaussian(mean, (0.5 * log_variance).exp())

    def cross_log_prob(
        self, parameters: Float[Tensor, "N parameters"], z: Float[Tensor, "M dimensions"]
    ) -> Float[Tensor, "M N"]:
        """Give ln q(z_m|x_n) of every z under every posterior, by two matrix products.

        The square is multiplied out, so digits are lost where means lie many standard deviations
        from zero: use float64 where the difference of neighbours matters.
        """
        mean, log_variance = parameters.chunk(2, dim=-1)
        precision = (-log_variance).exp()
        constant = (mean.square() * precision + log_variance + math.log(2 * math.pi)).sum(dim=-1)
        return z @ (mean * precision).T - (z.square() @ precision.T + constant) / 2

    def prior(self, like: Tensor) -> Distribution:
        """Build p(z) on the device and in the dtype of `like`."""
        mean = like.new_zeros(self.dimensions)
        return _gaussian(mean, torch.ones_like(mean))


class CategoricalLatents(Config):
    """Categorical latents, uniform a priori; z is one-hot, `[variables, categories]`."""

    kind: Literal["categorical"]
    variables: int = Field(default=8, ge=1, le=10_000)
    categories: int = Field(default=10, ge=2, le=10_000)

    @property
    def n_parameters(self) -> int:
        """How many numbers an encoder gives for each observation: the logits."""
        return self.variables * self.categories

    @property
    def width(self) -> int:
        """How many numbers a decoder reads for each z."""
        return self.variables * self.categories

    @property
    def n_states(self) -> int | float:
        """The number of values z can take, which may be beyond any float."""
        return self.categories**self.variables

    def posterior(self, parameters: Float[Tensor, "batch parameters"]) -> Distribution:
        """Build q(z|x): batch shape `[batch]`, event shape `[variables, categories]`."""
        return _categorical(parameters.view(-1, self.variables, self.categories))

    def cross_log_prob(
        self,
        parameters: Float[Tensor, "N parameters"],
        z: Float[Tensor, "M variables categories"],
    ) -> Float[Tensor, "M N"]:
        """Give ln q(z_m|x_n) of every z under every posterior, by a matrix product."""
        logits = parameters.view(-1, self.variables, self.categories)
        return z.flatten(1) @ logits.log_softmax(dim=-1).flatten(1).T

    def prior(self, like: Tensor) -> Distribution:
        """Build p(z) on the device and in the dtype of `like`."""
        return _categorical(like.new_zeros(self.variables, self.categories))

    def states(self, like: Tensor) -> Float[Tensor, "states variables categories"]:
        """List every value of z, one-hot."""
        one_hot = torch.eye(self.categories, dtype=like.dtype, device=like.device)
        index = torch.arange(self.categories**self.variables, device=like.device)
        digits = [
            index // self.categories**place % self.categories for place in range(self.variables)
        ]
        return one_hot[torch.stack(digits[::-1], dim=-1)]


Latents = Annotated[GaussianLatents | CategoricalLatents, Field(discriminator="kind")]


def stop_gradient(q: Distribution) -> Distribution:
    """Rebuild a Gaussian posterior with its parameters cut from the graph.

    STL and DReG need ln q(z|x) as a function of z alone.
    """
    assert isinstance(q, Independent)
    assert isinstance(q.base_dist, Normal)
    return _gaussian(q.base_dist.loc.detach(), q.base_dist.scale.detach())


# Checking arguments would read them back from the device on every call.
def _gaussian(mean: Tensor, scale: Tensor) -> Distribution:
    return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)


def _categorical(logits: Tensor) -> Distribution:
    one_hot = OneHotCategorical(logits=logits, validate_args=False)
    return Independent(one_hot, 1, validate_args=False)
