"""NLL and mutual information by importance sampling, with their Monte Carlo errors.

For each observation K samples z_i of q(z|x) give ln w_i = ln p(x, z_i) - ln q(z_i|x) and

    ln p^K = ln (1/K) sum_i w_i            a lower bound of ln p(x) in expectation
    U^K    = sum_i wn_i ln p(x|z_i)        wn_i = w_i / sum_j w_j
    MI^K   = U^K - ln p^K                  estimates KL(p(z|x) || p(z)), the rate axis of MICMCO

Melis, György and Blunsom (2022) use K = 100. With a poor proposal both figures are too high by
more than their standard errors. A small effective sample size shows a few weights that carry
everything; where q(z|x) misses parts of p(z|x) altogether nothing but enumeration shows it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import kl_divergence

from trainables.data.corpus import PAD
from trainables.estimators import log_mean_exp, reconstruction
from trainables.models import Model

SAMPLES_AT_ONCE = 3_200  # samples of z per pass: small enough for any cache, large enough for BLAS
VALUES_AT_ONCE = 2**17  # tokens or pixels per pass: 64 channels of them are 32 MiB


class Scores(NamedTuple):
    """What importance sampling says of each observation; every field is float64 `[N]`."""

    log_p: Tensor  # ln p^K
    log_p_variance: Tensor  # of the Monte Carlo error
    mi: Tensor  # U^K - ln p^K
    mi_variance: Tensor
    log_p_mi_covariance: Tensor  # of the two Monte Carlo errors, which share their samples
    elbo: Tensor  # with the KL in closed form
    elbo_variance: Tensor
    kl: Tensor  # KL(q(z|x) || p(z)), in closed form
    ess: Tensor  # effective sample size, 1 / sum_i wn_i^2, between 1 and K


@torch.no_grad()
def encode(model: Model, x: Tensor, size: int) -> Float[Tensor, "N parameters"]:
    """Give the parameters of q(z|x) for the observations x, inferred in batches of `size`.

    They are on the model's device, to which x goes batch by batch.
    """
    parts = batches(x, size, next(model.parameters()).device)
    return torch.cat([model.encode(batch).parameters for batch in parts])


@torch.no_grad()
def score(model: Model, x: Tensor, K: int, parameters: Tensor | None = None) -> Scores:
    """Score the observations x, `[N]`, `[N, T]` or `[N, H, W]`, with K samples each.

    `parameters` are those of q(z|x), `[N, P]`, where they are known; a model may infer them at
    some cost. x goes to the model's device batch by batch, and the scores are on the CPU.
    Randomness comes from torch's global generator.
    """
    prior = model.prior()
    parts = []
    at_once = min(SAMPLES_AT_ONCE, max(1, VALUES_AT_ONCE // max(1, x[0].numel())))
    size = max(1, at_once // K)
    parameters = encode(model, x, size) if parameters is None else parameters
    observed = batches(x, size, parameters.device)
    for batch, of_batch in zip(observed, torch.split(parameters, size), strict=True):
        posterior = model.latents.posterior(of_batch)
        z = posterior.sample((K,))
        likelihood = torch.cat(
            [model.log_likelihood(batch, some) for some in torch.split(z, at_once)]
        ).double()
        log_w = likelihood + prior.log_prob(z) - posterior.log_prob(z)
        kl = kl_divergence(posterior, prior).double()
        parts.append(_scores(likelihood, log_w, kl))
    return Scores(*(torch.cat(field).cpu() for field in zip(*parts, strict=True)))


def _scores(likelihood: Tensor, log_w: Tensor, kl: Tensor) -> Scores:
    """Reduce log-likelihoods and log-weights, `[K, B]`, over their samples.

    Variances are those of the delta method: the mean square of each sample's influence.
    """
    K = len(log_w)
    log_p = log_mean_exp(log_w)
    weight = log_w.softmax(dim=0)
    u = reconstruction(log_w, likelihood)
    log_p_influence = weight - 1 / K
    mi_influence = weight * (likelihood - u) - log_p_influence
    return Scores(
        log_p=log_p,
        log_p_variance=log_p_influence.square().sum(dim=0),
        mi=u - log_p,
        mi_variance=mi_influence.square().sum(dim=0),
        log_p_mi_covariance=(log_p_influence * mi_influence).sum(dim=0),
        elbo=likelihood.mean(dim=0) - kl,
        elbo_variance=likelihood.var(dim=0) / K,
        kl=kl,
        ess=1 / weight.square().sum(dim=0),
    )


def batches(x: Tensor, size: int, device: torch.device | None = None) -> Iterator[Tensor]:
    """Cut observations into batches, trimming sentences to the longest of each batch.

    With a `device` each batch then goes there. Where x itself is on one, nothing is trimmed.
    """
    for start in range(0, len(x), size):
        yield trim(x[start : start + size]).to(device)


def trim(x: Tensor) -> Tensor:
    """Drop the columns of sentences `[B, T]` in which all are over; all else stays as it is."""
    if x.dim() != 2 or x.is_cuda:  # on a device, shapes stay the same and nothing waits for it
        return x
    return x[:, : int((x != PAD).sum(dim=1).max())]
