"""All figures of one evaluation: averages over a split, per observation and per token."""

import math

import torch
from torch import Tensor

from trainables.data.corpus import PAD, Corpus
from trainables.evaluation.certain import has_information, score_certain
from trainables.evaluation.codes import code_figures
from trainables.evaluation.config import EvaluationConfig
from trainables.evaluation.enumeration import can_enumerate, score_exactly
from trainables.evaluation.importance import encode, score
from trainables.evaluation.information import (
    active_units,
    pool_information,
    published_batches,
    published_information,
)
from trainables.models import Model

Metrics = dict[str, float | int | str | None]


def evaluate(model: Model, corpus: Corpus, config: EvaluationConfig, seed: int) -> Metrics:
    """Measure a model in evaluation mode, in nats.

    `<metric>_se` is the Monte Carlo standard error; `<metric>_sampling_se` that of having seen a
    subset of the split, none for a whole split. `nll_exact` and `mi_exact` are there where the
    latent space was enumerated. `mi` is the model's information, `mi_q` the encoder's, by a pool
    of all that is evaluated, and `mi_q_batch` the same as published, within batches; each comes
    with its ceiling. Images are observations of one token, for their published figures are per
    image. Leaves torch's global generator and the model's mode as they were.

    Where q(z|x) is certain of one z, K samples of it tell no more than one: -ln p(z) p(x|z), an
    upper bound of the NLL, and nothing of p(z|x), so that the estimate of the model's information
    would be ln 1/p(z) whatever the model is. There `nll` and `mi` are the exact figures or, where
    z has too many values for these, estimates by K samples of another proposal, made of the
    model's conditionals. Where even the categories of all variables are too many for it, `nll` is
    that bound, as `nll_is_bound` says, and `mi` is none, for the reason in `mi_reason`.
    """
    x, n_split = subset(corpus.splits[config.split], config.limit)
    if x.dim() == 2:  # sentences of like length waste no padding
        x = x[(x != PAD).sum(dim=1).argsort(stable=True)]
    lengths = (x != PAD).sum(dim=1).double() if x.dim() == 2 else torch.ones(len(x)).double()
    tokens = lengths.sum().item() / len(x)
    was_training = model.training
    model.eval()
    certain = model.latents.deterministic
    try:
        exact = score_exactly(model, x) if can_enumerate(model, config.enumerate_up_to) else None
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            parameters = encode(model, x, config.mi_batch_size)
            estimated = (
                score_certain(model, x, config, parameters, exact)
                if certain
                else score(model, x, config.samples, parameters)
            )
            # After the samples above, which thus are the same whatever else is measured.
            pool = pool_information(model.latents, parameters)
            within = published_batches(x, config.mi_batch_size)
            published = published_information(model.latents, parameters, within)
    finally:
        model.train(was_training)

    is_bound = not has_information(model.latents, config)
    unseen = 1 - len(x) / n_split
    # What a subset adds is an error of the truth, where that is known.
    nll = -(estimated.log_p if exact is None else exact.log_p)
    mi = estimated.mi if exact is None else exact.mi
    metrics: Metrics = {
        "split": config.split,
        "observations": len(x),
        "tokens": tokens,
        "samples": config.samples,
        "nll": -_mean(estimated.log_p),
        "nll_se": _monte_carlo_error(estimated.log_p_variance),
        "nll_sampling_se": _sampling_error(nll, unseen),
        "mi": _mean(estimated.mi),
        "mi_se": _monte_carlo_error(estimated.mi_variance),
        "mi_sampling_se": _sampling_error(mi, unseen),
        "nll_mi_covariance": -estimated.log_p_mi_covariance.sum().item() / len(x) ** 2,
        "mi_q": _finite(_mean(pool.terms)),
        "mi_q_se": _finite(_monte_carlo_error(pool.variance)),
        "mi_q_sampling_se": _sampling_error(pool.terms, unseen),
        "mi_q_ceiling": pool.ceiling,
        "mi_q_batch": _finite(_mean(published.terms)),
        "mi_q_batch_se": _finite(_monte_carlo_error(published.variance)),
        "mi_q_batch_ceiling": published.ceiling,
        "active_units": active_units(model.latents, parameters),
        "elbo": _mean(estimated.elbo),
        "elbo_se": _monte_carlo_error(estimated.elbo_variance),
        "kl": _mean(estimated.kl),
        "kl_se": 0.0,  # closed form: no Monte Carlo error
        "reconstruction": -_mean(estimated.elbo + estimated.kl),
        "reconstruction_se": _monte_carlo_error(estimated.elbo_variance),
        "ess": _mean(estimated.ess),
        "ess_min": estimated.ess.min().item(),
        "nll_exact": None if exact is None else -_mean(exact.log_p),
        "mi_exact": None if exact is None else _mean(exact.mi),
        "nll_per_token_sampling_se": _ratio_error(nll, lengths, unseen),
        "mi_per_token_sampling_se": _ratio_error(mi, lengths, unseen),
        "nll_floor": corpus.nll_floor if unseen == 0 else None,
        "mi_ceiling": _finite(math.log(model.latents.n_states)),
        "nll_is_bound": is_bound,
        "mi_reason": None,
        **code_figures(model.latents, parameters),
    }
    for name in ("nll", "mi", "elbo", "kl"):
        metrics[f"{name}_per_token"] = float(metrics[name]) / tokens  # type: ignore[arg-type]
    if certain and (is_bound or exact is not None):
        metrics |= dict.fromkeys(("ess", "ess_min"))  # there are no weights
    if is_bound:
        unknown = ("mi", "mi_se", "mi_sampling_se", "nll_mi_covariance")
        metrics |= dict.fromkeys((*unknown, "mi_per_token", "mi_per_token_sampling_se"))
        metrics["mi_reason"] = (
            "q(z|x) is certain of one z, so its samples say nothing of p(z|x), and another "
            "proposal asks for the categories of all variables, more than the "
            f"{config.enumerate_up_to:,} that are enumerated"
        )
    is_text = x.dim() <= 2
    metrics["perplexity"] = _exp(-_mean(estimated.log_p) / tokens) if is_text else None
    return metrics


def subset(x: Tensor, limit: int | None) -> tuple[Tensor, int]:
    """Keep `limit` observations, the same ones every time, and say how many there are."""
    if limit is None or limit >= len(x):
        return x, len(x)
    return x[chosen(len(x), limit)], len(x)


def chosen(n: int, limit: int | None) -> Tensor:
    """Give the numbers of at most `limit` of n observations, the same ones every time, sorted."""
    if limit is None or limit >= n:
        return torch.arange(n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    return order[:limit].sort().values


def _mean(values: Tensor) -> float:
    return values.mean().item()


def _monte_carlo_error(variances: Tensor) -> float:
    return variances.sum().sqrt().item() / len(variances)


def _sampling_error(values: Tensor, unseen: float) -> float | None:
    """Give the standard error of a mean over a subset drawn without replacement."""
    if unseen == 0 or len(values) < 2:
        return None
    return (values.var() / len(values) * unseen).sqrt().item()


def _ratio_error(values: Tensor, lengths: Tensor, unseen: float) -> float | None:
    """Give the standard error of sum(values) / sum(lengths) over such a subset.

    Long sentences have more nats, so the ratio is far surer than either sum (delta method).
    """
    ratio = values.sum() / lengths.sum()
    error = _sampling_error(values - ratio * lengths, unseen)
    return None if error is None else error / lengths.mean().item()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
