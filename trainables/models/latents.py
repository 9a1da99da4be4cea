"""Latent spaces: the prior p(z), and the posterior q(z|x) from what an encoder puts out."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    Normal,
    OneHotCategorical,
)

from trainables.config import Config, Count

NEVER = -1e4  # the logit of what a deterministic q(z|x) rules out: exp of it is 0 in any dtype


class GaussianLatents(Config):
    """Independent Gaussian latents with a standard normal prior; z is `[dimensions]`."""

    deterministic: ClassVar[bool] = False

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

    def prior(self, like: Tensor) -> Distribution:
        """Build p(z) on the device and in the dtype of `like`."""
        mean = like.new_zeros(self.dimensions)
        return _gaussian(mean, torch.ones_like(mean))

    def cross_log_prob(
        self, parameters: Float[Tensor, "M parameters"], z: Float[Tensor, "N dimensions"]
    ) -> Float[Tensor, "N M"]:
        """Give ln q(z_i|x_j) for every z and every x, whose posterior has these parameters.

        One product of matrices, in float64 whatever the arguments are, for squares cancel in it:
        the error is about 1e-16 mean^2 / variance. Beside the result it takes no memory to speak
        of; where `[N, M]` is too large, hand over the z in pieces.
        """
        mean, log_variance = parameters.double().chunk(2, dim=-1)
        precision = (-log_variance).exp()
        constant = mean.square() * precision + log_variance + math.log(2 * math.pi)
        of_x = torch.cat([-0.5 * precision, mean * precision], dim=-1)
        of_z = torch.cat([z.double().square(), z.double()], dim=-1)
        return torch.addmm(-0.5 * constant.sum(dim=-1), of_z, of_x.T).to(z.dtype)


class _OneHotLatents(Config):
    """Variables of some categories each, uniform a priori; z is `[variables, categories]`."""

    deterministic: ClassVar[bool] = False

    kind: str
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

    def prior(self, like: Tensor) -> Distribution:
        """Build p(z) on the device and in the dtype of `like`."""
        return _categorical(like.new_zeros(self.variables, self.categories))

    def cross_log_prob(
        self,
        parameters: Float[Tensor, "M parameters"],
        z: Float[Tensor, "N variables categories"],
    ) -> Float[Tensor, "N M"]:
        """Give ln q(z_i|x_j) for every one-hot z and every x, whose posterior has these logits."""
        logits = parameters.view(-1, self.variables, self.categories)
        return z.flatten(1) @ logits.log_softmax(dim=-1).flatten(1).T

    def states(self, like: Tensor) -> Float[Tensor, "states variables categories"]:
        """List every value of z, one-hot."""
        one_hot = torch.eye(self.categories, dtype=like.dtype, device=like.device)
        index = torch.arange(self.categories**self.variables, device=like.device)
        digits = [
            index // self.categories**place % self.categories for place in range(self.variables)
        ]
        return one_hot[torch.stack(digits[::-1], dim=-1)]


class CategoricalLatents(_OneHotLatents):
    """Categorical latents, uniform a priori; z is one-hot, `[variables, categories]`."""

    kind: Literal["categorical"]


class VqLatents(_OneHotLatents):
    """Vector-quantised latents, uniform a priori: each variable is one of some codes.

    z is one-hot, `[variables, categories]`. The encoder gives a vector of `dimension` numbers for
    each variable, whose nearest code is certain under q(z|x), and the decoder reads the codes. All
    variables have the same codes where these are `shared`, as in van den Oord et al. (2017),
    https://arxiv.org/abs/1711.00937, else codes of their own.
    """

    deterministic: ClassVar[bool] = True

    kind: Literal["vq"]
    dimension: Count = 64
    shared: bool = True

    @property
    def n_parameters(self) -> int:
        """How many numbers an encoder gives for each observation: the vectors."""
        return self.variables * self.dimension

    @property
    def width(self) -> int:
        """How many numbers a decoder reads for each z: the codes."""
        return self.variables * self.dimension

    def choose(
        self, index: Int[Tensor, "batch variables"], like: Tensor
    ) -> Float[Tensor, "batch parameters"]:
        """Give the logits of q(z|x) that make these categories certain, in the dtype of `like`."""
        logits = like.new_full((*index.shape, self.categories), NEVER)
        return logits.scatter_(-1, index[..., None], 0.0).flatten(1)


Latents = Annotated[GaussianLatents | CategoricalLatents | VqLatents, Field(discriminator="kind")]


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
