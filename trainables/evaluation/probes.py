"""How well labels can be read off latents: by a linear probe and by nearest neighbours.

Both are fitted on latents of training observations and say what they take others for. The figure
is the share of these that is right; its standard error is that of a binomial proportion,
sqrt(a (1 - a) / n), for the n observations are a sample.
"""

import math
import warnings
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

DISTANCES_AT_ONCE = 2**22  # in one pass: 32 MiB
MOST_ITERATIONS = 500  # of L-BFGS; beyond, a probe on many classes gains little


class Accuracy(NamedTuple):
    """The share of observations that were classified rightly, and its standard error."""

    value: float
    error: float


def accuracy(predicted: Int64[Tensor, " N"], labels: Int64[Tensor, " N"]) -> Accuracy:
    """Compare what was predicted with what is so."""
    value = (predicted == labels).double().mean().item()
    return Accuracy(value, math.sqrt(value * (1 - value) / len(labels)))


def commonest(known: Int64[Tensor, " M"]) -> int:
    """Give the label that occurs most often, the smallest of several: what a blind guess says."""
    labels, counts = torch.unique(known, return_counts=True)
    return int(labels[counts.argmax()])


def linear_probe(
    latents: Float[Tensor, "M width"],
    labels: Int64[Tensor, " M"],
    others: Float[Tensor, "N width"],
) -> Int64[Tensor, " N"]:
    """Fit multinomial logistic regression to latents and their labels; label `others`.

    Latents are scaled to the mean and variance of those that it is fitted on, so that the usual L2
    penalty, of weight 1 / M, treats all dimensions alike. scikit-learn's L-BFGS starts from zero
    and uses no randomness. Raises ModuleNotFoundError where scikit-learn is missing.
    """
    if bool((labels == labels[0]).all()):  # nothing to fit
        return labels[:1].expand(len(others))
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, scale = latents.mean(dim=0), latents.std(dim=0, correction=0)
    scale = scale.where(scale > 0, torch.ones_like(scale))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # that far is far enough
        fitted = LogisticRegression(max_iter=MOST_ITERATIONS).fit(
            ((latents - mean) / scale).numpy(), labels.numpy()
        )
    return torch.from_numpy(fitted.predict(((others - mean) / scale).numpy()))


def nearest_neighbours(
    latents: Float[Tensor, "M width"],
    labels: Int64[Tensor, " M"],
    others: Float[Tensor, "N width"],
    k: int,
) -> Int64[Tensor, " N"]:
    """Label `others` by the vote of their k nearest latents, by Euclidean distance.

    Each has one vote; of equally many votes the smallest label wins. k is at most M. Latents are
    taken as they are: dimensions that barely vary barely count.
    """
    classes, votes = torch.unique(labels, return_inverse=True)
    parts = []
    for some in torch.split(others, max(1, DISTANCES_AT_ONCE // len(latents))):
        near = torch.cdist(some, latents).topk(min(k, len(latents)), largest=False).indices
        counts = torch.zeros(len(some), len(classes), dtype=torch.int64)
        counts.scatter_add_(1, votes[near], torch.ones_like(near))
        parts.append(classes[counts.argmax(dim=1)])  # the first of the highest
    return torch.cat(parts)
