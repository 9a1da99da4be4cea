"""The moments and objectives of MICMCO written down as they are defined, stable or not.

Every function takes the densities ln p(x|z), ln p(z) and ln q(z|x) of K samples, `[K, batch]`,
and gives `[batch]`.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Moments(NamedTuple):
    """How an estimator's value is formed from K samples."""

    log_evidence: Callable[[Tensor, Tensor, Tensor, float], Tensor]
    reconstruction: Callable[[Tensor, Tensor, Tensor], Tensor]


def importance_weighted(log_l: Tensor, log_p: Tensor, log_q: Tensor, alpha: float) -> Tensor:
    """S_alpha = ln (1/K) sum_i p(x|z_i)^alpha p(z_i) / q(z_i|x)."""
    return (log_l.exp() ** alpha * log_p.exp() / log_q.exp()).mean(dim=0).log()


def self_normalised(log_l: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """U = sum_i w_i ln p(x|z_i) / sum_i w_i."""
    w = (log_l + log_p - log_q).exp()
    return (w * log_l).sum(dim=0) / w.sum(dim=0)


def averaged_elbo(log_l: Tensor, log_p: Tensor, log_q: Tensor, alpha: float) -> Tensor:
    """The mean over samples of alpha ln p(x|z) + ln p(z) - ln q(z|x)."""
    return (alpha * log_l + log_p - log_q).mean(dim=0)


def averaged_likelihood(log_l: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """The mean over samples of ln p(x|z)."""
    return log_l.mean(dim=0)


IMPORTANCE_WEIGHTED = Moments(importance_weighted, self_normalised)
AVERAGED = Moments(averaged_elbo, averaged_likelihood)


def moments_of(estimator: str) -> Moments:
    """Say which moments an estimator estimates."""
    return AVERAGED if estimator == "elbo" else IMPORTANCE_WEIGHTED


def objective(
    config: dict[str, object], densities: tuple[Tensor, Tensor, Tensor], moments: Moments
) -> Tensor:
    """O of an objective's configuration, as the paper writes it.

    `samples` may be split: the ln p(x) term has the first so many samples, and the KL term the
    first so many, but for its own ln p(x), which has those of the one or the other.
    """
    samples = config["samples"]
    K_evidence, K_kl = (
        (samples["log_evidence"], samples["kl"])
        if isinstance(samples, dict)
        else (samples, samples)
    )
    first = [density[:K_evidence] for density in densities]
    second = [density[:K_kl] for density in densities]
    own = isinstance(samples, int) or samples.get("evidence_in_kl", "kl") == "kl"
    log_p = moments.log_evidence(*(second if own else first), 1.0)
    lambda_, alpha = config.get("lambda", 0.0), config.get("alpha", 1.0)
    match config["name"]:
        case "bound":
            return moments.log_evidence(*first, 1.0)
        case "power":
            return moments.log_evidence(*first, alpha) / alpha
        case "kl":
            kl = moments.reconstruction(*second) - log_p
            return moments.log_evidence(*first, 1.0) + lambda_ * kl
        case "renyi":
            renyi = (moments.log_evidence(*second, alpha) - alpha * log_p) / (alpha - 1)
            return moments.log_evidence(*first, 1.0) + lambda_ * renyi
    raise ValueError(config["name"])
