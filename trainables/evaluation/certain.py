"""NLL and mutual information where q(z|x) is certain of one z, as that of a VQ-VAE is.

Samples of such a q are all alike: they bound the NLL, and say nothing of p(z|x). What does is the
likelihood of every category of one variable while the others stay: with a uniform prior it is that
variable's posterior given the others,

    p(z_v = j | z_-v, x)  is proportional to  p(x | z_v = j, z_-v).

From q's own z each variable in turn goes to its most likely category, and round the z where that
leads a product of these conditionals is proposed. They know nothing of what variables do jointly,
so they are flattened, to the power of 1/2, and every category keeps a share of `SPREAD` / J. What
that still misses shows in the effective sample size, as with any proposal.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.evaluation.config import EvaluationConfig
from trainables.evaluation.enumeration import ExactScores
from trainables.evaluation.importance import (
    SAMPLES_AT_ONCE,
    VALUES_AT_ONCE,
    Scores,
    batches,
    score,
)
from trainables.models import Model
from trainables.models.latents import Latents, VqLatents

ALL_ALIKE = 2  # samples of q: a second one shows that they do not scatter
FLATTENED = 0.5
SPREAD = 0.02


def has_information(latents: Latents, config: EvaluationConfig) -> bool:
    """Say whether there is an MI of the model, exact or estimated.

    There is unless q(z|x) is certain of one z and even the categories of all variables, never
    more than the values of z, are too many to be enumerated.
    """
    if not isinstance(latents, VqLatents):
        return True
    return latents.variables * latents.categories <= config.enumerate_up_to


def score_certain(
    model: Model,
    x: Tensor,
    config: EvaluationConfig,
    parameters: Float[Tensor, "N parameters"],
    exact: ExactScores | None,
) -> Scores:
    """Score the observations x, whose q(z|x) have these parameters, where q is certain of one z.

    The ELBO and the KL are q's. All else is the truth where that is known, or from K samples of
    `conditional_proposal`; where there is none, ln p(x) is the ELBO and the rest means nothing.
    """
    own = score(model, x, ALL_ALIKE, parameters)
    if exact is not None:
        none = torch.zeros_like(exact.log_p)
        known = {"log_p": exact.log_p, "log_p_variance": none, "mi": exact.mi}
        return own._replace(**known, mi_variance=none, log_p_mi_covariance=none)
    if not has_information(model.latents, config):
        return own
    proposed = score(model, x, config.samples, conditional_proposal(model, x, parameters))
    return proposed._replace(elbo=own.elbo, elbo_variance=own.elbo_variance, kl=own.kl)


@torch.no_grad()
def conditional_proposal(
    model: Model, x: Tensor, parameters: Float[Tensor, "N parameters"]
) -> Float[Tensor, "N parameters"]:
    """Give logits of one-hot z for the observations x, from those of their q(z|x).

    They are what `trainables.evaluation.importance.score` takes in the place of q's. Each
    observation is decoded 2 L J times, for L variables of J categories. x goes to the model's
    device batch by batch.
    """
    at_once = min(SAMPLES_AT_ONCE, max(1, VALUES_AT_ONCE // max(1, x[0].numel())))
    z = model.latents.posterior(parameters).mean.round()
    J = z.shape[-1]
    size = max(1, at_once // J)
    pieces = []
    observed = batches(x, size, parameters.device)
    for batch, of_batch in zip(observed, torch.split(z, size), strict=True):
        mode = of_batch.clone()
        for v in range(mode.shape[1]):
            best = _of_variable(model, batch, mode, v, at_once).argmax(dim=-1)
            mode[:, v] = torch.nn.functional.one_hot(best, J).to(mode.dtype)
        pieces.append(
            torch.stack(
                [_of_variable(model, batch, mode, v, at_once) for v in range(mode.shape[1])], dim=1
            )
        )
    conditional = (FLATTENED * torch.cat(pieces)).softmax(dim=-1)
    return ((1 - SPREAD) * conditional + SPREAD / J).log().flatten(1).to(parameters.dtype)


def _of_variable(
    model: Model, x: Tensor, z: Float[Tensor, "batch variables categories"], v: int, at_once: int
) -> Float[Tensor, "batch categories"]:
    """Give ln p(x|z) for every category of one variable, float64, while the others stay."""
    J = z.shape[-1]
    varied = z.expand(J, *z.shape).clone()
    varied[:, :, v] = torch.eye(J, dtype=z.dtype, device=z.device)[:, None]
    parts = torch.split(varied, max(1, at_once // len(x)))
    return torch.cat([model.log_likelihood(x, part) for part in parts]).double().T
