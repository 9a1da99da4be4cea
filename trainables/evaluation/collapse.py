"""Which latent dimensions have collapsed: by the KLs of their posteriors, observation by one.

A dimension i is (epsilon, delta)-collapsed where q(z_i|x) is close to p(z_i) for nearly all x:

    P_x[ KL(q(z_i|x) || p(z_i)) < epsilon ] >= 1 - delta

Lucas et al. (2019), https://arxiv.org/abs/1911.02469. With delta fixed, the share of collapsed
dimensions is a staircase in epsilon with one step a dimension, so that the places of the steps are
the whole curve. The KLs are in closed form; P_x is over the observations that are evaluated.
"""

from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, kl_divergence

from trainables.models.latents import Latents


@torch.no_grad()
def dimension_kls(
    latents: Latents, parameters: Float[Tensor, "N parameters"]
) -> Float[Tensor, "N dimensions"]:
    """Give KL(q(z_i|x) || p(z_i)) in nats, float64, of each observation and dimension.

    A dimension is a Gaussian latent or a categorical variable. Raises ValueError where q(z|x) is
    no product over dimensions, for then KL(q(z|x) || p(z)) is no sum of these.
    """
    q, p = latents.posterior(parameters.double()), latents.prior(parameters.double())
    if not (isinstance(q, Independent) and isinstance(p, Independent)):
        raise ValueError(
            f"collapse is told by dimension, so q(z|x) must be a product; {latents.kind} latents "
            "have none."
        )
    return kl_divergence(q.base_dist, p.base_dist)


def collapse_steps(
    kl: Float[Tensor, "N dimensions"], delta: float
) -> Float[Tensor, " dimensions"]:
    """Give for each dimension the epsilon above which it is collapsed, and at which it is not.

    That is the order statistic of its KLs that all but a share `delta` of the observations do not
    exceed. `delta` is taken as the decimal number it is written as: 0.29 of 100 observations are
    29, which the nearest float is not.
    """
    allowed = int(Fraction(str(delta)) * len(kl))
    return kl.sort(dim=0).values[len(kl) - allowed - 1]


def collapsed_share(steps: Float[Tensor, " dimensions"], epsilon: float) -> float:
    """Give the share of dimensions that are collapsed at `epsilon`, from `collapse_steps`."""
    return (steps < epsilon).double().mean().item()
