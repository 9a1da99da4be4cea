"""A model whose evidence, posterior and mutual information have closed forms."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence

from tests.oracles.without_encoder import WithoutEncoder
from trainables.models.latents import GaussianLatents
from trainables.models.model import Encoding


class LinearGaussian(WithoutEncoder):
    """z ~ N(0, I), x_d ~ N(a_d z_d + b_d, s_d^2) in each of D dimensions; x is `[batch, D]`.

    q(z|x) is the exact posterior with its mean moved by `shift` standard deviations and its
    standard deviations multiplied by `stretch`.
    """

    def __init__(self, *, shift: float = 0.0, stretch: float = 1.0) -> None:
        super().__init__(GaussianLatents(kind="gaussian", dimensions=3))
        self.a = nn.Parameter(torch.tensor([1.5, -0.7, 0.2], dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([0.3, -1.0, 0.0], dtype=torch.float64))
        self.s = nn.Parameter(torch.tensor([0.8, 0.5, 1.2], dtype=torch.float64))
        self.shift, self.stretch = shift, stretch

    def exact_posterior(self, x: Tensor) -> Normal:
        variance = 1 / (1 + self.a**2 / self.s**2)
        return Normal(variance * self.a * (x - self.b) / self.s**2, variance.sqrt())

    def encode(self, x: Tensor) -> Encoding:
        exact = self.exact_posterior(x)
        mean = exact.loc + self.shift * exact.scale
        log_variance = 2 * (exact.scale * self.stretch).log().expand_as(mean)
        return Encoding(x, torch.cat([mean, log_variance], dim=-1))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return Normal(self.a * z + self.b, self.s).log_prob(x).sum(dim=-1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw observations of the model itself, `[n, D]`."""
        z = torch.randn(n, 3, dtype=torch.float64)
        return self.a * z + self.b + self.s * torch.randn(n, 3, dtype=torch.float64)

    @torch.no_grad()
    def log_p(self, x: Tensor) -> Tensor:
        """ln p(x), from x_d ~ N(b_d, a_d^2 + s_d^2)."""
        variance = self.a**2 + self.s**2
        return -((x - self.b) ** 2 / variance + (2 * math.pi * variance).log()).sum(dim=-1) / 2

    @torch.no_grad()
    def kl(self, x: Tensor) -> Tensor:
        """KL(p(z|x) || p(z)) of each observation."""
        exact = self.exact_posterior(x)
        variance = exact.scale**2
        return (exact.loc**2 + variance - 1 - variance.log()).sum(dim=-1) / 2

    @torch.no_grad()
    def elbo(self, x: Tensor) -> Tensor:
        """ln p(x) - KL(q(z|x) || p(z|x))."""
        q = self.posterior(x)
        return self.log_p(x) - kl_divergence(q, Independent(self.exact_posterior(x), 1))

    @torch.no_grad()
    def mutual_information(self) -> float:
        """I(x; z) of the model, -1/2 ln(1 - rho^2) for each dimension."""
        squared_correlation = self.a**2 / (self.a**2 + self.s**2)
        return -(1 - squared_correlation).log().sum().item() / 2
