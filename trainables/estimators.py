"""Estimators of ln p(x) from K samples of q(z|x), and of its gradient.

Each estimator gives two moments of the same samples, `log_evidence` and `reconstruction`:

    S_alpha = ln (1/K) sum_i w_alpha,i     ln w_alpha,i = alpha l_i + ln p(z_i) - ln q(z_i|x)
    U       = sum_i wn_i l_i               wn_i = w_i / sum_j w_j

with l_i = ln p(x|z_i). S = S_1 is a lower bound of ln p(x); S_alpha one of
ln p^alpha(x) = ln E_p(z) p(x|z)^alpha; U estimates the posterior expectation of l. U is the
derivative of S_alpha at alpha = 1, so the gradients given here for U are the alpha-derivatives of
those for S_alpha. Melis, György and Blunsom (2022), see `objectives.micmco`.

The sample axis comes first, the batch second; everything is in nats.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from trainables.models.latents import stop_gradient

Samples = Float[Tensor, "K batch"]
Batch = Float[Tensor, " batch"]


@runtime_checkable  # for the type checks of the tests
class LatentVariableModel(Protocol):
    """What an estimator needs of a model; see `trainables.models`."""

    def posterior(self, x: Tensor) -> Distribution:
        """Give q(z|x)."""

    def prior(self) -> Distribution:
        """Give p(z)."""

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Give ln p(x|z), `[K, batch]`."""


class Draw(NamedTuple):
    """K samples of q(z|x) for each observation of a batch, as log-densities.

    What is differentiable, and in what, depends on the estimator that drew them.
    """

    log_p_x_given_z: Samples
    log_p_z: Samples
    log_q_z_given_x: Samples
    kl: Batch | None = None  # KL(q(z|x) || p(z)) in closed form
    log_p_x_given_z_path: Samples | None = None  # the same likelihoods, differentiable in z alone
    baseline: Tensor | None = None  # what REINFORCE subtracts: a number that knows nothing of z

    def log_w(self, alpha: float = 1.0) -> Samples:
        """Give ln w_alpha = alpha ln p(x|z) + ln p(z) - ln q(z|x)."""
        return alpha * self.log_p_x_given_z + self.log_p_z - self.log_q_z_given_x

    def log_w_path(self, alpha: float = 1.0) -> Samples:
        """Give ln w_alpha again, as a function of z alone."""
        assert self.log_p_x_given_z_path is not None
        return alpha * self.log_p_x_given_z_path + self.log_p_z - self.log_q_z_given_x

    def double(self) -> "Draw":
        """Give the same in float64, for differences of large and like moments."""
        return Draw(*(None if field is None else field.double() for field in self))  # type: ignore[arg-type]

    def first(self, K: int) -> "Draw":
        """Keep the first K samples."""
        path = self.log_p_x_given_z_path
        return self._replace(
            log_p_x_given_z=self.log_p_x_given_z[:K],
            log_p_z=self.log_p_z[:K],
            log_q_z_given_x=self.log_q_z_given_x[:K],
            log_p_x_given_z_path=None if path is None else path[:K],
        )


class Estimate(NamedTuple):
    """A value and its gradient, kept apart because they are different things."""

    bound: Batch  # the number to report; carries no gradient
    surrogate: Batch  # its gradient, for ascent, is the estimator; its value means nothing


def log_mean_exp(log_w: Samples) -> Batch:
    """Give ln (1/K) sum_i w_i."""
    return log_w.logsumexp(dim=0) - math.log(len(log_w))


def reconstruction(log_w: Samples, log_p_x_given_z: Samples) -> Batch:
    """Give U = sum_i wn_i l_i, the self-normalised estimate of E_p(z|x) ln p(x|z)."""
    return (log_w.softmax(dim=0) * log_p_x_given_z).sum(dim=0)


# How samples are drawn ------------------------------------------------------------------------


def draw_paths(model: LatentVariableModel, x: Tensor, K: int) -> Draw:
    """Reparameterised samples; every density is differentiable in z and in its parameters."""
    q, p = model.posterior(x), model.prior()
    z = q.rsample((K,))
    return Draw(model.log_likelihood(x, z), p.log_prob(z), q.log_prob(z), kl_divergence(q, p))


def draw_sticking(model: LatentVariableModel, x: Tensor, K: int) -> Draw:
    """Reparameterised samples; q's parameters are cut out of ln q(z|x)."""
    q, p = model.posterior(x), model.prior()
    z = q.rsample((K,))
    return Draw(model.log_likelihood(x, z), p.log_prob(z), stop_gradient(q).log_prob(z))


def draw_doubly(model: LatentVariableModel, x: Tensor, K: int) -> Draw:
    """Reparameterised samples whose likelihoods tell the decoder's gradient from that of z.

    The decoder sees a cut z. Its gradient there, taken once and put back on the path as a linear
    function of z, lets an estimator weigh the two gradients differently at no further pass.
    """
    q, p = model.posterior(x), model.prior()
    z = q.rsample((K,))
    leaf = z.detach().requires_grad_(z.requires_grad)
    likelihood = model.log_likelihood(x, leaf)
    path = likelihood.detach()
    if likelihood.requires_grad and leaf.requires_grad:
        (slope,) = torch.autograd.grad(likelihood.sum(), leaf, retain_graph=True)
        path = path + (slope * (z - leaf.detach())).flatten(2).sum(dim=-1)
    return Draw(
        likelihood,
        p.log_prob(z),
        stop_gradient(q).log_prob(z),
        log_p_x_given_z_path=path,
    )


def draw_scores(model: LatentVariableModel, x: Tensor, K: int) -> Draw:
    """Constant samples; ln q(z|x) is differentiable in q's parameters."""
    q, p = model.posterior(x), model.prior()
    z = q.sample((K,))
    return Draw(model.log_likelihood(x, z), p.log_prob(z), q.log_prob(z))


# Reparameterised estimators -------------------------------------------------------------------


def elbo(draw: Draw, alpha: float) -> Estimate:
    """Evidence lower bound with the KL in closed form; K samples are averaged.

    alpha E_q ln p(x|z) - KL(q(z|x) || p(z)). Kingma and Welling (2014),
    https://arxiv.org/abs/1312.6114, Eq. 7 (alpha = 1).
    """
    assert draw.kl is not None
    bound = alpha * draw.log_p_x_given_z.mean(dim=0) - draw.kl
    return Estimate(bound.detach(), bound)


def elbo_reconstruction(draw: Draw) -> Estimate:
    """U of the ELBO: E_q ln p(x|z)."""
    bound = draw.log_p_x_given_z.mean(dim=0)
    return Estimate(bound.detach(), bound)


def iwae(draw: Draw, alpha: float) -> Estimate:
    """Importance-weighted bound with pathwise gradients.

    Burda, Grosse and Salakhutdinov (2016), https://arxiv.org/abs/1509.00519, Eq. 8 (alpha = 1).
    """
    bound = log_mean_exp(draw.log_w(alpha))
    return Estimate(bound.detach(), bound)


def iwae_reconstruction(draw: Draw) -> Estimate:
    """U with pathwise gradients, also through its weights."""
    bound = reconstruction(draw.log_w(), draw.log_p_x_given_z)
    return Estimate(bound.detach(), bound)


def dreg(draw: Draw, alpha: float) -> Estimate:
    """Importance-weighted bound with doubly reparameterised gradients.

    Decoder: sum_i wn_i d ln w_i. Encoder: sum_i wn_i^2 (d ln w_i / dz_i) dz_i, q's parameters cut
    out of ln w. Tucker et al. (2019), https://arxiv.org/abs/1810.04152.
    """
    log_w = draw.log_w(alpha)
    weight = log_w.detach().softmax(dim=0)
    decoder = weight * alpha * draw.log_p_x_given_z
    encoder = weight**2 * draw.log_w_path(alpha)
    return Estimate(log_mean_exp(log_w).detach(), (decoder + encoder).sum(dim=0))


def dreg_reconstruction(draw: Draw) -> Estimate:
    """U with doubly reparameterised gradients, the alpha-derivative of `dreg` at alpha = 1.

    Decoder: sum_i wn_i (1 + l_i - U) dl_i. Encoder:
    sum_i wn_i^2 [dl_i/dz_i + 2 (l_i - U) d ln w_i/dz_i] dz_i.
    """
    likelihood = draw.log_p_x_given_z.detach()
    log_w = draw.log_w().detach()
    bound = reconstruction(log_w, likelihood)
    weight, excess = log_w.softmax(dim=0), likelihood - bound
    assert draw.log_p_x_given_z_path is not None
    decoder = weight * (1 + excess) * draw.log_p_x_given_z
    encoder = weight**2 * (draw.log_p_x_given_z_path + 2 * excess * draw.log_w_path())
    return Estimate(bound, (decoder + encoder).sum(dim=0))


# Score-function estimators ---------------------------------------------------------------------


def reinforce(draw: Draw, alpha: float) -> Estimate:
    """Importance-weighted bound with score-function gradients.

    sum_i (S - b) d ln q(z_i|x) + dS at fixed z, b = `draw.baseline` or 0.
    Williams (1992); Mnih and Rezende (2016), https://arxiv.org/abs/1602.06725.
    """
    return _with_score(log_mean_exp(draw.log_w(alpha)), draw, draw.baseline)


def reinforce_reconstruction(draw: Draw) -> Estimate:
    """U with score-function gradients."""
    return _with_score(reconstruction(draw.log_w(), draw.log_p_x_given_z), draw, draw.baseline)


def vimco(draw: Draw, alpha: float) -> Estimate:
    """Importance-weighted bound with leave-one-out score-function gradients.

    sum_i (S - S_-i) d ln q(z_i|x) + dS at fixed z, where S_-i is S with w_i replaced by the
    geometric mean of the others. One sample has no others: then this is `reinforce`.
    Mnih and Rezende (2016), https://arxiv.org/abs/1602.06725.
    """
    log_w = draw.log_w(alpha)
    if len(log_w) == 1:
        return reinforce(draw, alpha)
    left_out = _without_each(log_w.detach()).logsumexp(dim=0) - math.log(len(log_w))
    return _with_score(log_mean_exp(log_w), draw, left_out)


def vimco_reconstruction(draw: Draw) -> Estimate:
    """U with leave-one-out score-function gradients.

    U_-i is U with ln w_i and l_i replaced by the means of the others.
    """
    log_w = draw.log_w()
    bound = reconstruction(log_w, draw.log_p_x_given_z)
    if len(log_w) == 1:
        return reinforce_reconstruction(draw)
    weights = _without_each(log_w.detach()).softmax(dim=0)
    left_out = (weights * _without_each(draw.log_p_x_given_z.detach())).sum(dim=0)
    return _with_score(bound, draw, left_out)


def _with_score(bound: Batch, draw: Draw, baseline: Tensor | None) -> Estimate:
    """Add the score term sum_i (bound - baseline_i) d ln q(z_i|x) to the gradient of `bound`."""
    signal = bound.detach() if baseline is None else bound.detach() - baseline
    return Estimate(bound.detach(), (signal * draw.log_q_z_given_x).sum(dim=0) + bound)


def _without_each(values: Samples) -> Float[Tensor, "K K batch"]:
    """Copy `values` once for each i, along the second axis, with the i-th replaced.

    The replacement is the mean of the other values.
    """
    K = len(values)
    others = (values.sum(dim=0) - values) / (K - 1)
    own = torch.eye(K, dtype=torch.bool, device=values.device)[:, :, None]
    return torch.where(own, others, values[:, None])


class Estimator(NamedTuple):
    """How to draw samples, and what to make of them."""

    draw: Callable[[LatentVariableModel, Tensor, int], Draw]
    log_evidence: Callable[[Draw, float], Estimate]
    reconstruction: Callable[[Draw], Estimate]
    needs_reparameterisation: bool = False
    only_one_sample: bool = False


ESTIMATORS = {
    "elbo": Estimator(draw_paths, elbo, elbo_reconstruction, needs_reparameterisation=True),
    "iwae": Estimator(draw_paths, iwae, iwae_reconstruction, needs_reparameterisation=True),
    # With q's parameters cut, the one-sample bounds are plain functions of z: "sticking the
    # landing", Roeder, Wu and Duvenaud (2017), https://arxiv.org/abs/1703.09194.
    "stl": Estimator(
        draw_sticking,
        iwae,
        iwae_reconstruction,
        needs_reparameterisation=True,
        only_one_sample=True,
    ),
    "dreg": Estimator(draw_doubly, dreg, dreg_reconstruction, needs_reparameterisation=True),
    "reinforce": Estimator(draw_scores, reinforce, reinforce_reconstruction),
    "vimco": Estimator(draw_scores, vimco, vimco_reconstruction),
}
EstimatorName = Literal["elbo", "iwae", "stl", "dreg", "reinforce", "vimco"]
