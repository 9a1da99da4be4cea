"""The variational autoencoder's bound, with a weight on its KL: beta-VAE and KL annealing.

    E_q ln p(x|z) - weight KL(q(z|x) || p(z)),    weight = beta schedule(step)

Kingma and Welling (2014), https://arxiv.org/abs/1312.6114; beta from Higgins et al. (2017).
"""

from abc import abstractmethod
from typing import Literal, NamedTuple

from pydantic import NonNegativeFloat
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from trainables.config import Count
from trainables.models import Model
from trainables.objectives.annealing import Annealing
from trainables.objectives.objective import Objective, ObjectiveConfig, ObjectiveOutput


def refuse_categorical(objective: str, latents: str) -> str | None:
    """Say why an objective that differentiates through z cannot train latents, if it cannot."""
    if latents != "categorical":
        return None
    return (
        f"objective {objective} differentiates through z, which categorical latents do not allow; "
        "use gaussian ones, or objective bound, kl, renyi or power with estimator reinforce or "
        "vimco"
    )


class WeightedElboConfig(ObjectiveConfig):
    """What objectives built on the bound share: the final weight of its KL, and how it gets there.

    `annealing` is for training alone; an objective in evaluation mode has the weight `beta`.
    """

    beta: NonNegativeFloat = 1.0
    annealing: Annealing | None = None

    def refuses(self, latents: str) -> str | None:
        """Say that categorical latents cannot be trained, and what trains them."""
        return refuse_categorical(self.name, latents)

    def kl_weight(self, step: int, steps_per_epoch: int) -> float:
        """Give the weight of the KL at a training step."""
        if self.annealing is None:
            return self.beta
        return self.beta * self.annealing.weight(step, steps_per_epoch)


class Vae(WeightedElboConfig):
    """The ELBO with the KL in closed form; beta-VAE and annealing by its weight.

    E_q ln p(x|z) is the mean over `samples` reparameterised samples of q(z|x).
    """

    name: Literal["vae"]
    samples: Count = 1

    def create(self, model: Model | None = None) -> "VaeObjective":  # noqa: ARG002
        """Build the objective."""
        return VaeObjective(self)


class WeightedElbo(NamedTuple):
    """The bound of a batch: scalars, means over its observations, in nats."""

    value: Tensor  # to be raised
    metrics: dict[str, Tensor]


class ElboObjective(Objective):
    """An objective with the bound in it, whose KL has a weight."""

    @abstractmethod
    def weigh(self, kl: Tensor) -> Tensor:
        """Give the weight of the KL, a scalar, for a batch with this mean of it, in nats."""

    def weighted_elbo(self, model: Model, x: Tensor, q: Distribution, z: Tensor) -> WeightedElbo:
        """Estimate the bound from samples z, `[K, batch, *latent]`, of q = q(z|x).

        Metrics: `reconstruction`, -E_q ln p(x|z); `kl`; `kl_weight`.
        """
        reconstruction = -model.log_likelihood(x, z).mean()
        kl = kl_divergence(q, model.prior()).mean()
        weight = self.weigh(kl.detach())
        metrics = {
            "reconstruction": reconstruction.detach(),
            "kl": kl.detach(),
            "kl_weight": weight,
        }
        return WeightedElbo(-reconstruction - weight * kl, metrics)


class WeightedElboObjective(ElboObjective):
    """An objective that follows a schedule of the KL's weight."""

    def __init__(self, config: WeightedElboConfig) -> None:
        super().__init__()
        self._schedule = config
        self._step, self._steps_per_epoch = 0, 1

    def begin_step(self, step: int, steps_per_epoch: int) -> None:
        """Take note of the step; where a run continues, it is told again."""
        self._step, self._steps_per_epoch = step, steps_per_epoch

    @property
    def kl_weight(self) -> float:
        """The weight of the KL now; `beta` in evaluation mode."""
        if not self.training:
            return self._schedule.beta
        return self._schedule.kl_weight(self._step, self._steps_per_epoch)

    def weigh(self, kl: Tensor) -> Tensor:
        """Give the weight of the KL now, whatever that is."""
        return kl.new_full((), self.kl_weight)


class VaeObjective(WeightedElboObjective):
    """The weighted ELBO."""

    def __init__(self, config: Vae) -> None:
        super().__init__(config)
        self.config = config

    def forward(self, model: Model, x: Tensor) -> ObjectiveOutput:
        """Estimate the negative weighted ELBO, averaged over the batch."""
        q = model.posterior(x)
        value, metrics = self.weighted_elbo(model, x, q, q.rsample((self.config.samples,)))
        return ObjectiveOutput(-value, {"objective": value.detach(), **metrics})
