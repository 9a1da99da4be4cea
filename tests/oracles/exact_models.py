"""Latent-variable models so small that expectations over K samples of q(z|x) are finite sums.

Both models list every tuple of K samples as a row of one batch. A row has parameters of its own,
equal to those of the other rows of its observation, so one backward pass gives every tuple's
gradient. `theta` are the decoder's parameters and `phi` the encoder's, both `[rows, ...]`; the
observations are rows of constants, and `x` is a mere placeholder.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, OneHotCategorical


class GivenCategorical(OneHotCategorical):
    """A one-hot categorical whose samples are given."""

    def __init__(self, logits: Tensor, given: Tensor | None = None) -> None:
        super().__init__(logits=logits)
        self.given = given

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        assert self.given is not None
        return self.given[: sample_shape[0]]


class GivenNormal(Normal):
    """A normal whose noise is given."""

    def __init__(self, loc: Tensor, scale: Tensor, noise: Tensor) -> None:
        super().__init__(loc, scale)
        self.noise = noise

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        return self.loc + self.scale * self.noise[: sample_shape[0]]

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        return self.rsample(sample_shape).detach()


class Enumerated(nn.Module):
    """A model with all tuples of K samples: `n_observations` blocks of equally many rows."""

    z: Tensor  # [K, rows, *latent]
    weight: Tensor  # [rows], each tuple's probability; those of one observation add up to one

    def __init__(self, n_observations: int, theta: Tensor, phi: Tensor, n_tuples: int) -> None:
        super().__init__()
        self.n_observations = n_observations
        self.theta = nn.Parameter(theta.repeat_interleave(n_tuples, dim=0))
        self.phi = nn.Parameter(phi.repeat_interleave(n_tuples, dim=0))

    @property
    def x(self) -> Tensor:
        return torch.zeros(len(self.theta))

    def posterior(self, x: Tensor) -> Distribution:
        raise NotImplementedError

    def prior(self) -> Distribution:
        raise NotImplementedError

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        raise NotImplementedError

    def densities(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give ln p(x|z), ln p(z) and ln q(z|x) of every tuple, `[K, rows]`, z held fixed."""
        return (
            self.log_likelihood(self.x, self.z),
            self.prior().log_prob(self.z),
            self.posterior(self.x).log_prob(self.z),
        )

    def expected(self, values: Tensor) -> Tensor:
        """Average values of the tuples, `[rows, ...]`: `[observations, ...]`."""
        weight = self.weight.view(-1, *[1] * (values.dim() - 1))
        return (weight * values).unflatten(0, (self.n_observations, -1)).sum(dim=1)

    def expected_gradients(self, per_row: Tensor) -> tuple[Tensor, Tensor]:
        """Average the gradients of the tuples' surrogates: those of theta and phi."""
        theta, phi = torch.autograd.grad(per_row.sum(), (self.theta, self.phi))
        return self.expected(theta), self.expected(phi)

    def gradients_of_expectation(self, per_row: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiate the average of the tuples' values, probabilities included."""
        log_q = self.posterior(self.x).log_prob(self.z).sum(dim=0)
        return self.expected_gradients((log_q - log_q.detach()).exp() * per_row)


class EnumeratedCategorical(Enumerated):
    """Categorical latents: theta holds ln p(x|z) of every state of z, phi q's logits."""

    def __init__(
        self,
        K: int,
        *,
        variables: int = 2,
        categories: int = 2,
        n_observations: int = 2,
        seed: int = 0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        every = _tuples(torch.arange(categories), variables).T
        states = torch.eye(categories, dtype=torch.float64)[
            every
        ]  # [states, variables, categories]
        n_states = len(states)
        log_l = torch.randn(n_observations, n_states, generator=generator, dtype=torch.float64)
        logits = torch.randn(
            n_observations, variables, categories, generator=generator, dtype=torch.float64
        )
        tuples = _tuples(torch.arange(n_states), K)
        super().__init__(n_observations, 1.5 * log_l - 2, logits, tuples.shape[1])
        self.states = states
        self.z = states[tuples.repeat(1, n_observations)]
        self.weight = self.posterior(self.x).log_prob(self.z).sum(dim=0).exp().detach()

    def posterior(self, x: Tensor) -> Distribution:
        return Independent(GivenCategorical(self.phi, self.z), 1)

    def prior(self) -> Distribution:
        return Independent(GivenCategorical(torch.zeros_like(self.phi[0])), 1)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        # Which state z is: the one that agrees with it in every variable.
        matches = torch.einsum("krvc,svc->krs", z, self.states)
        return self.theta.gather(1, matches.argmax(dim=-1).T).T

    def exact(self) -> tuple[Tensor, Tensor]:
        """Give ln p(x) and KL(p(z|x) || p(z)) of each observation."""
        likelihood = self.theta.detach().unflatten(0, (self.n_observations, -1))[:, 0].exp()
        evidence = likelihood.mean(dim=1, keepdim=True)
        posterior = likelihood / likelihood.sum(dim=1, keepdim=True)
        kl = (posterior * (posterior * likelihood.shape[1]).log()).sum(dim=1)
        return evidence.log()[:, 0], kl


class EnumeratedGaussian(Enumerated):
    """One Gaussian latent z and x ~ N(a z + b, s^2); Gauss-Hermite nodes in place of states.

    theta holds (a, b, ln s), phi the mean and the log-scale of q.
    """

    def __init__(
        self, K: int, *, nodes: int = 20, n_observations: int = 2, exact_posterior: bool = False
    ) -> None:
        points, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(nodes))
        tuples = _tuples(points, K)
        weight = _tuples(weights / weights.sum(), K).prod(dim=0)
        # (a, b, ln s), x, and a q near the posterior but not on it
        theta = torch.tensor([[0.8, 0.3, 0.1], [-0.5, -0.2, -0.1]], dtype=torch.float64)
        observed = torch.tensor([1.5, -0.4], dtype=torch.float64)
        phi = torch.tensor([[0.3, -0.2], [0.25, -0.05]], dtype=torch.float64)
        theta, observed, phi = (part[:n_observations] for part in (theta, observed, phi))
        if exact_posterior:
            mean, variance = _posterior(theta, observed)
            phi = torch.stack([mean, variance.log() / 2], dim=-1)
        super().__init__(n_observations, theta, phi, tuples.shape[1])
        self.observed = observed.repeat_interleave(tuples.shape[1])
        self.noise = tuples.repeat(1, n_observations)[..., None]
        self.weight = weight.repeat(n_observations)
        self.z = self.posterior(self.x).sample((K,))

    def posterior(self, x: Tensor) -> Distribution:
        mean, log_scale = self.phi.split(1, dim=-1)
        return Independent(GivenNormal(mean, log_scale.exp(), self.noise), 1)

    def prior(self) -> Distribution:
        zero = torch.zeros_like(self.phi[0, :1])
        return Independent(Normal(zero, zero + 1), 1)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        a, b, log_s = self.theta.unbind(dim=-1)
        error = (self.observed - a * z[..., 0] - b) / log_s.exp()
        return -(error**2) / 2 - log_s - math.log(2 * math.pi) / 2

    def exact(self) -> tuple[Tensor, Tensor]:
        """Give ln p(x) and KL(p(z|x) || p(z)) of each observation."""
        first = slice(None, None, len(self.theta) // self.n_observations)
        theta, x = self.theta.detach()[first], self.observed[first]
        mean, variance = _posterior(theta, x)
        spread = theta[:, 0] ** 2 + (2 * theta[:, 2]).exp()
        log_p = -((x - theta[:, 1]) ** 2 / spread + (2 * math.pi * spread).log()) / 2
        return log_p, (mean**2 + variance - 1 - variance.log()) / 2


def _tuples(values: Tensor, length: int) -> Tensor:
    """List every tuple of `values`, `[length, tuples]`."""
    return torch.stack(torch.meshgrid(*[values] * length, indexing="ij")).flatten(1)


def _posterior(theta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the mean and variance of p(z|x), by completing the square."""
    a, b, log_s = theta.unbind(dim=-1)
    precision = 1 + a**2 / (2 * log_s).exp()
    return a * (x - b) / (2 * log_s).exp() / precision, 1 / precision


MODELS: dict[str, Callable[[int], Enumerated]] = {
    "categorical": EnumeratedCategorical,
    "gaussian": EnumeratedGaussian,
}
