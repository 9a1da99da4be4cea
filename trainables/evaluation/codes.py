"""What codes tell: the entropy of those that vector-quantised latents give to observations.

q(z|x) is certain of one code, so that KL(q(z|x) || p(z)) is L ln J whatever x is, for L variables
of J codes: the rate of a decoder that expects every code alike. What the codes do carry is
I_q(x; z) = H(z), their entropy over the observations. With each observation counted once, the
plug-in estimate is exactly `mi_q`; it cannot exceed ln N for N of them, nor L ln J.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.models.latents import Latents, VqLatents

FIGURES = (
    *("code_space", "code_entropy", "code_entropy_ceiling", "code_entropy_per_variable"),
    "codes_used",
)


@torch.no_grad()
def code_figures(
    latents: Latents, parameters: Float[Tensor, "N parameters"]
) -> dict[str, float | None]:
    """Give `FIGURES` from the parameters of q(z|x) of N observations; none for other latents.

    `code_space` is L ln J, `code_entropy` that of whole codes and `code_entropy_ceiling` the least
    of ln N and L ln J; `code_entropy_per_variable` is that of a variable's code, mean over
    variables, at most ln J. All are in nats. `codes_used` is the share of codes that some
    observation has, of each variable, mean over variables.
    """
    if not isinstance(latents, VqLatents):
        return dict.fromkeys(FIGURES)
    shape = (latents.variables, latents.categories)
    index = parameters.reshape(-1, *shape).argmax(dim=-1).cpu()
    space = latents.variables * math.log(latents.categories)
    counts = torch.nn.functional.one_hot(index, latents.categories).sum(dim=0)
    _, whole = torch.unique(index, dim=0, return_counts=True)
    return {
        "code_space": space,
        "code_entropy": entropy(whole).item(),
        "code_entropy_ceiling": min(space, math.log(len(index))),
        "code_entropy_per_variable": entropy(counts).mean().item(),
        "codes_used": (counts > 0).double().mean().item(),
    }


def entropy(counts: Int[Tensor, "*batch codes"]) -> Float[Tensor, "*batch"]:
    """Give the entropy of the distribution that counts are proportional to, in nats, float64."""
    share = counts.double() / counts.sum(dim=-1, keepdim=True)
    return torch.special.entr(share).sum(dim=-1)
