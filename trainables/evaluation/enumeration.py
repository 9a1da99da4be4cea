"""Exact NLL and mutual information, by summing over every value of a small latent space."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from trainables.evaluation.importance import batches
from trainables.models import Model
from trainables.models.latents import GaussianLatents

TOKENS_AT_ONCE = 2**17  # likelihoods of single tokens, for some states of z, in one pass
OBSERVATIONS_AT_ONCE = 2**14  # where each z is decoded once for all of them


class ExactScores(NamedTuple):
    """The truth about each observation; both fields are float64 `[N]`."""

    log_p: Tensor  # ln p(x) = ln sum_z p(z) p(x|z)
    mi: Tensor  # KL(p(z|x) || p(z))


def can_enumerate(model: Model, up_to: int) -> bool:
    """Say whether z has at most `up_to` values."""
    return model.latents.n_states <= up_to


@torch.no_grad()
def score_exactly(model: Model, x: Tensor) -> ExactScores:
    """Score the observations x, `[N]` or `[N, T]`, by enumeration.

    x goes to the model's device batch by batch, and the scores are on the CPU.

    Raises ValueError for latents that cannot be enumerated.
    """
    if isinstance(model.latents, GaussianLatents):
        raise ValueError(f"{model.latents.kind} latents have no finite number of states")
    states = model.latents.states(like=next(model.parameters()))
    at_once = OBSERVATIONS_AT_ONCE if model.decodes_once else 32
    parts = [_scores(model, batch, states) for batch in batches(x, at_once, states.device)]
    return ExactScores(*(torch.cat(field).cpu() for field in zip(*parts, strict=True)))


def _scores(model: Model, x: Tensor, states: Tensor) -> ExactScores:
    """Sum over states in one pass, keeping the highest log-likelihood as the common scale."""
    highest = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
    total, weighted = torch.zeros_like(highest), torch.zeros_like(highest)
    # What is decoded once for all observations is as large as one, and gives a figure for each.
    for_each = max(len(x), x[0].numel()) if model.decodes_once else x.numel()
    at_once = max(1, TOKENS_AT_ONCE // for_each)
    for start in range(0, len(states), at_once):
        z = states[start : start + at_once, None]
        likelihood = model.log_likelihood(x, z).double()
        before, highest = highest, torch.maximum(highest, likelihood.amax(dim=0))
        rescale, weight = (before - highest).exp(), (likelihood - highest).exp()
        total = total * rescale + weight.sum(dim=0)
        weighted = weighted * rescale + (weight * likelihood).sum(dim=0)
    log_p = highest + total.log() - math.log(len(states))  # the prior is uniform
    return ExactScores(log_p, weighted / total - log_p)
