"""How much an encoder tells of x by z: I_q(x; z) = E_x KL(q(z|x) || q(z)), and who of z tells it.

The aggregate q(z) is known only as the mixture (1/N) sum_j q(z|x_j) over a pool of observations,
x_i itself among them. That makes the estimate InfoNCE with the exact critic: a lower bound of I_q
in expectation, which cannot exceed ln N. He et al. (2019), https://arxiv.org/abs/1901.05534, take
the batch for the pool. With 32 sentences it ends at 3.47 nats, which published figures come close
to; where the truth is 18.4, theirs reads about 3.47 as well. `pool_information` takes the whole
set that is evaluated.

Given the observations, the terms of the mean share no randomness: term i depends on the samples
of its own z alone. So the Monte Carlo variance of the mean is the sum of the terms' variances over
N^2. Each is known from the difference of two samples. What the choice of the observations adds, as
long as the pool is large for the information, is the scatter of the terms as that of any mean:
to first order, the part of an observation in the pool changes nothing, because the derivative of
an entropy's logarithm integrates to zero.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.data.corpus import PAD
from trainables.data.order import exact_length_batches
from trainables.models import Model
from trainables.models.latents import GaussianLatents, Latents

PAIRS_AT_ONCE = 2**22  # densities ln q(z_i|x_j) in one pass: 32 MiB
ACTIVE = 0.01  # Burda et al. (2016), https://arxiv.org/abs/1509.00519, section 5


class Information(NamedTuple):
    """An estimate of I_q(x; z) by its terms, one an observation; both are float64 `[N]`."""

    terms: Tensor
    variance: Tensor  # of each term's Monte Carlo error
    ceiling: float  # what the mean of the terms cannot exceed in expectation


@torch.no_grad()
def pool_information(latents: Latents, parameters: Float[Tensor, "N parameters"]) -> Information:
    """Estimate I_q(x; z) with all observations as the pool, from the parameters of their q(z|x).

        1/N sum_i [ ln q(z_i|x_i) - ln 1/N sum_j q(z_i|x_j) ],  z_i ~ q(z|x_i)

    It is the mean over two samples an observation. He et al. have E ln q(z|x_i) in closed form in
    place of the first term, which expects the same. As a ratio no term exceeds ln N, all are zero
    where z tells nothing, and latents that tell nothing add no noise. Takes N^2 densities, in
    float64. Randomness comes from torch's global generator.
    """
    parameters = parameters.double()
    first, second = (
        _log_ratio(latents, parameters, z) for z in latents.posterior(parameters).sample((2,))
    )
    return Information(
        ((first + second) / 2).cpu(),
        ((first - second).square() / 4).cpu(),
        math.log(len(parameters)),
    )


def _log_ratio(latents: Latents, parameters: Tensor, z: Tensor) -> Tensor:
    """Give ln q(z_i|x_i) - ln 1/N sum_j q(z_i|x_j) of each observation."""
    pieces, start = [], 0
    for log_q in _densities(latents, parameters, z):
        own = log_q.diagonal(offset=start)
        pieces.append(own - log_q.logsumexp(dim=1))
        start += len(log_q)
    return torch.cat(pieces) + math.log(len(parameters))


def _densities(latents: Latents, parameters: Tensor, z: Tensor) -> Iterator[Tensor]:
    """Give ln q(z_i|x_j) of all x and of some z at a time, so that memory is bounded."""
    for some in torch.split(z, max(1, PAIRS_AT_ONCE // len(parameters))):
        yield latents.cross_log_prob(parameters, some)


@torch.no_grad()
def published_information(
    latents: Latents,
    parameters: Float[Tensor, "N parameters"],
    batches: Sequence[Tensor],
) -> Information:
    """Estimate I_q(x; z) within batches, the indices of some observations each, as published.

    The mean over the terms is that over batches weighted by their sizes, B, so the ceiling is such
    a mean of ln B. Terms are in the order of the batches. The value is from one sample an
    observation, as theirs; a second one tells its error. Randomness comes from torch's global
    generator.
    """
    parts = [_of_batch(latents, parameters[batch]) for batch in batches]
    terms, variance = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    ceiling = sum(len(batch) * math.log(len(batch)) for batch in batches) / len(terms)
    return Information(terms, variance, ceiling)


@torch.no_grad()
def batch_information(model: Model, batches: Iterable[Tensor]) -> float:
    """Measure I_q(x; z) as He et al. do: in each batch of observations, weighted by their sizes.

    The model is taken as it is: put it into evaluation mode first. Randomness comes from torch's
    global generator. Raises ValueError where there is no observation.
    """
    total, n = 0.0, 0
    for batch in batches:
        terms, _ = _of_batch(model.latents, model.encode(batch).parameters)
        total, n = total + terms.sum().item(), n + len(terms)
    if not n:
        raise ValueError("information is measured in batches, and there is none.")
    return total / n


def _of_batch(latents: Latents, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Give each observation's term in its batch, and the variance of its Monte Carlo error.

    E ln q(z|x_i) - ln 1/B sum_j q(z_i|x_j), the former in closed form (He et al., `calc_mi`).
    """
    parameters = parameters.double()
    q = latents.posterior(parameters)
    z = q.sample((2,))
    pieces = [log_q.logsumexp(dim=1) for log_q in _densities(latents, parameters, z.flatten(0, 1))]
    log_mixture = torch.cat(pieces).view(2, -1) - math.log(len(parameters))
    first, second = -q.entropy() - log_mixture
    return first, (first - second).square() / 2


def published_batches(x: Tensor, size: int) -> list[Tensor]:
    """Cut observations into batches of at most `size` as He et al. do; gives their indices.

    Sentences of a batch have exactly one length, so the last batch of a length can be small.
    Symbols and images are shuffled by torch's global generator.
    """
    if x.dim() != 2:
        return list(torch.split(torch.randperm(len(x)), size))
    return exact_length_batches((x != PAD).sum(dim=1), size)


def active_units(
    latents: Latents, parameters: Float[Tensor, "N parameters"], threshold: float = ACTIVE
) -> int | None:
    """Count the dimensions of z whose posterior means vary with x: by `threshold` or more.

    That is their unbiased variance over the observations. None for latents that have no means,
    and for a single observation.
    """
    if not isinstance(latents, GaussianLatents) or len(parameters) < 2:
        return None
    mean, _ = parameters.double().chunk(2, dim=-1)
    return int((mean.var(dim=0) >= threshold).sum())
