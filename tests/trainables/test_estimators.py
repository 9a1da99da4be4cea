"""Every estimator's value and gradient against exact expectations over all sample tuples."""

import itertools
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from tests.oracles import formulas
from tests.oracles.exact_models import (
    MODELS,
    Enumerated,
    EnumeratedCategorical,
    EnumeratedGaussian,
)
from trainables.estimators import (
    ESTIMATORS,
    Draw,
    Estimate,
    EstimatorName,
    iwae,
    iwae_reconstruction,
    log_mean_exp,
)
from trainables.models.latents import GaussianLatents
from trainables.models.symbol import SymbolMlpConfig

# What can estimate what: (estimator, latents, K)
CASES = [
    *itertools.product(["reinforce"], ["categorical", "gaussian"], [1, 2, 3]),
    *itertools.product(["vimco"], ["categorical", "gaussian"], [2, 3]),
    *itertools.product(["elbo", "iwae", "dreg"], ["gaussian"], [1, 2, 3]),
    ("stl", "gaussian", 1),
]
ALPHAS = [1.0, 0.6, 1.8]
# Quadrature over Gaussian samples is exact to about this much.
CLOSE = {"rtol": 1e-7, "atol": 1e-8}

over_cases = pytest.mark.parametrize(("estimator", "latents", "K"), CASES)


def estimate(model: Enumerated, estimator: str, K: int, alpha: float | None) -> Estimate:
    """Estimate S_alpha, or U where `alpha` is none."""
    draw, log_evidence, reconstruction, *_ = ESTIMATORS[estimator]
    drawn = draw(model, model.x, K)
    return reconstruction(drawn) if alpha is None else log_evidence(drawn, alpha)


def exact_value(model: Enumerated, estimator: str, alpha: float | None) -> Tensor:
    moments = formulas.moments_of(estimator)
    if alpha is None:
        return moments.reconstruction(*model.densities())
    return moments.log_evidence(*model.densities(), alpha)


@over_cases
@pytest.mark.parametrize("alpha", [*ALPHAS, None])
def test_the_expected_surrogate_gradient_is_that_of_the_expected_bound(
    estimator: str, latents: str, K: int, alpha: float | None
) -> None:
    model = MODELS[latents](K)

    estimated = model.expected_gradients(estimate(model, estimator, K, alpha).surrogate)
    exact = model.gradients_of_expectation(exact_value(model, estimator, alpha))

    for gradient in exact:  # a gradient that vanished would prove nothing
        assert gradient.abs().max() > 1e-3
    torch.testing.assert_close(estimated, exact, **CLOSE)


@over_cases
@pytest.mark.parametrize("alpha", [*ALPHAS, None])
def test_the_bound_is_the_value_of_its_formula_and_carries_no_gradient(
    estimator: str, latents: str, K: int, alpha: float | None
) -> None:
    model = MODELS[latents](K)

    bound = estimate(model, estimator, K, alpha).bound
    expected = exact_value(model, estimator, alpha).detach()

    assert not bound.requires_grad
    if estimator == "elbo":  # its KL is in closed form, so only the expectations agree
        bound, expected = model.expected(bound), model.expected(expected)
    torch.testing.assert_close(bound, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("latents", ["categorical", "gaussian"])
@pytest.mark.parametrize("baseline", [-3.0, 0.7])
@pytest.mark.parametrize("alpha", [1.0, 2.5, None])
def test_a_baseline_changes_no_expectation_but_does_change_gradients(
    latents: str, baseline: float, alpha: float | None
) -> None:
    K = 2
    model = MODELS[latents](K)
    estimator = ESTIMATORS["reinforce"]

    surrogates = []
    for given in (None, torch.tensor(baseline, dtype=torch.float64)):
        draw = estimator.draw(model, model.x, K)._replace(baseline=given)
        made = (
            estimator.reconstruction(draw)
            if alpha is None
            else estimator.log_evidence(draw, alpha)
        )
        surrogates.append(made.surrogate)
    without, with_baseline = surrogates
    difference = torch.autograd.grad((without - with_baseline).sum(), model.phi, retain_graph=True)

    assert difference[0].abs().max() > 1e-2
    torch.testing.assert_close(
        model.expected_gradients(with_baseline), model.expected_gradients(without), **CLOSE
    )


def test_vimco_leaves_out_by_the_geometric_mean() -> None:
    """Its signal for sample i is S minus S with w_i replaced (Mnih and Rezende, 2016)."""
    generator = torch.Generator().manual_seed(0)
    log_l, log_p, log_q = torch.randn(3, 4, 1, generator=generator, dtype=torch.float64)
    log_q.requires_grad_()
    draw = Draw(log_l, log_p, log_q)
    w = (1.7 * log_l + log_p - log_q.detach()).exp()[:, 0]

    estimated = torch.autograd.grad(ESTIMATORS["vimco"].log_evidence(draw, 1.7).surrogate, log_q)

    for i in range(4):
        others = torch.cat([w[:i], w[i + 1 :]])
        without_i = ((others.sum() + others.prod() ** (1 / 3)) / 4).log()
        expected = w.mean().log() - without_i - w[i] / w.sum()
        torch.testing.assert_close(estimated[0][i, 0], expected)


def test_vimco_leaves_the_reconstruction_out_by_the_mean_of_the_others() -> None:
    generator = torch.Generator().manual_seed(1)
    log_l, log_p, log_q = torch.randn(3, 4, 1, generator=generator, dtype=torch.float64)
    log_q.requires_grad_()
    draw = Draw(log_l, log_p, log_q)
    w, values = (log_l + log_p - log_q.detach()).exp()[:, 0], log_l[:, 0]
    u = (w * values).sum() / w.sum()

    estimated = torch.autograd.grad(ESTIMATORS["vimco"].reconstruction(draw).surrogate, log_q)

    for i in range(4):
        rest = [j for j in range(4) if j != i]
        stand_in = w[rest].prod() ** (1 / 3)
        without_i = ((w * values)[rest].sum() + stand_in * values[rest].mean()) / (
            w[rest].sum() + stand_in
        )
        expected = u - without_i - w[i] / w.sum() * (values[i] - u)
        torch.testing.assert_close(estimated[0][i, 0], expected)


def test_vimco_of_one_sample_is_reinforce() -> None:
    model = EnumeratedCategorical(1)

    for alpha in (1.0, 2.0, None):
        torch.testing.assert_close(
            model.expected_gradients(estimate(model, "vimco", 1, alpha).surrogate),
            model.expected_gradients(estimate(model, "reinforce", 1, alpha).surrogate),
        )


@over_cases
def test_the_derivative_of_s_alpha_at_one_is_u_in_value_and_gradient(
    estimator: str, latents: str, K: int
) -> None:
    model = MODELS[latents](K)
    step = 1e-3

    def derivative(quantity: Callable[[float], Tensor]) -> Tensor:
        """Differentiate at one by a five-point stencil, whose error is of order step^4."""
        near = quantity(1 + step) - quantity(1 - step)
        far = quantity(1 + 2 * step) - quantity(1 - 2 * step)
        return (8 * near - far) / (12 * step)

    def gradient(alpha: float | None, of: torch.nn.Parameter) -> Tensor:
        surrogate = estimate(model, estimator, K, alpha).surrogate
        return torch.autograd.grad(surrogate.sum(), of)[0]

    torch.testing.assert_close(
        derivative(lambda alpha: estimate(model, estimator, K, alpha).bound),
        estimate(model, estimator, K, None).bound,
        rtol=1e-7,
        atol=1e-8,
    )
    for parameter in (model.theta, model.phi):
        torch.testing.assert_close(
            derivative(lambda alpha, of=parameter: gradient(alpha, of)),
            gradient(None, parameter),
            rtol=1e-6,
            atol=1e-6,
        )


def test_sticking_the_landing_has_no_gradient_noise_at_the_true_posterior() -> None:
    model = EnumeratedGaussian(1, exact_posterior=True)

    def gradients(estimator: str) -> Tensor:
        surrogate = estimate(model, estimator, 1, 1.0).surrogate
        return torch.autograd.grad(surrogate.sum(), model.phi)[0]

    assert gradients("iwae").std() > 0.1
    for estimator in ("stl", "dreg"):
        torch.testing.assert_close(
            gradients(estimator), torch.zeros_like(model.phi), rtol=0, atol=1e-12
        )


def test_double_reparameterisation_has_no_gradient_noise_at_the_true_posterior() -> None:
    model = EnumeratedGaussian(3, nodes=8, exact_posterior=True)

    surrogate = estimate(model, "dreg", 3, 1.0).surrogate
    (gradient,) = torch.autograd.grad(surrogate.sum(), model.phi)

    torch.testing.assert_close(gradient, torch.zeros_like(model.phi), rtol=0, atol=1e-12)


@pytest.mark.parametrize("latents", ["categorical", "gaussian"])
def test_bounds_increase_with_the_number_of_samples_up_to_the_evidence(latents: str) -> None:
    bounds, estimates_of_kl = [], []
    for K in (1, 2, 3):
        model = MODELS[latents](K)
        bound = model.expected(estimate(model, "reinforce", K, 1.0).bound)
        bounds.append(bound)
        estimates_of_kl.append(model.expected(estimate(model, "reinforce", K, None).bound) - bound)
    log_p, _ = model.exact()

    for smaller, larger in itertools.pairwise([*bounds, log_p]):
        assert (larger - smaller > 1e-3).all()
    # K = 1 estimates the evidence by the ELBO: the difference is q's own rate, not the KL.
    model = MODELS[latents](1)
    _, log_p_z, log_q = model.densities()
    torch.testing.assert_close(estimates_of_kl[0], model.expected((log_q - log_p_z)[0].detach()))


def test_estimates_converge_to_the_evidence_and_to_the_kl() -> None:
    """Their expected errors shrink as 1/K.

    With two states the number of samples in the first is binomial, so the expectation over all
    tuples is a sum of K + 1 terms however many samples there are.
    """
    likelihood = torch.tensor([0.3, 0.05], dtype=torch.float64)
    q = torch.tensor([0.7, 0.3], dtype=torch.float64)
    evidence = likelihood.mean()
    posterior = likelihood / likelihood.sum()
    kl = (posterior * (posterior * 2).log()).sum()

    errors = []
    for K in (16, 64, 256, 1024):
        first = torch.arange(K)[:, None] < torch.arange(K + 1)  # [K, K + 1], one draw a column
        state = (~first).long()
        draw = Draw(likelihood.log()[state], torch.full_like(q, 0.5).log()[state], q.log()[state])
        n = torch.arange(K + 1, dtype=torch.float64)
        log_choose = torch.lgamma(torch.tensor(K + 1.0, dtype=torch.float64))
        log_choose = log_choose - torch.lgamma(n + 1) - torch.lgamma(K - n + 1)
        probability = (log_choose + n * q[0].log() + (K - n) * q[1].log()).exp()
        s, u = iwae(draw, 1.0).bound, iwae_reconstruction(draw).bound
        assert probability.sum().item() == pytest.approx(1)
        errors.append(
            torch.stack(
                [(probability * s).sum() - evidence.log(), (probability * (u - s)).sum() - kl]
            )
        )

    for coarse, fine in itertools.pairwise(errors):
        torch.testing.assert_close(
            fine / coarse, torch.full((2,), 0.25).double(), rtol=0.1, atol=0
        )
    assert errors[-1].abs().max() < 1e-3


@pytest.mark.parametrize("K", [1, 2, 4])
def test_dreg_through_a_network_equals_its_formula(K: int) -> None:
    """sum_i wn_i dl_i for the decoder, sum_i wn_i^2 (dlnw_i/dz_i) dz_i for the encoder, and for U
    the forms with (1 + l_i - U) and 2 (l_i - U), with each derivative taken on its own.
    """
    torch.manual_seed(0)
    config = SymbolMlpConfig(
        name="symbol_mlp",
        latents=GaussianLatents(kind="gaussian", dimensions=3),
        embedding=4,
        hidden=5,
    )
    model = config.create(vocabulary=6).double()
    x = torch.tensor([0, 5, 2, 2])
    encoder = list(model.encoder.parameters())
    decoder = [*model.decoder.parameters(), *model.softmax.parameters()]
    torch.manual_seed(1)
    q = model.posterior(x)
    z = q.rsample((K,))
    at = z.detach().requires_grad_()
    log_l = model.log_likelihood(x, at)
    mean, scale = q.base_dist.loc.detach(), q.base_dist.scale.detach()
    log_q = torch.distributions.Normal(mean, scale).log_prob(at).sum(dim=-1)
    log_w = 2.5 * log_l + model.prior().log_prob(at) - log_q
    flat_log_w = log_l + model.prior().log_prob(at) - log_q
    (slope_l,) = torch.autograd.grad(log_l.sum(), at, retain_graph=True)
    (slope_w,) = torch.autograd.grad(log_w.sum(), at, retain_graph=True)
    (slope_w1,) = torch.autograd.grad(flat_log_w.sum(), at, retain_graph=True)
    wn, wn1 = log_w.detach().softmax(dim=0), flat_log_w.detach().softmax(dim=0)
    excess = log_l.detach() - (wn1 * log_l.detach()).sum(dim=0)
    weights = {
        2.5: (2.5 * wn, wn[..., None] ** 2 * slope_w),
        None: (
            wn1 * (1 + excess),
            wn1[..., None] ** 2 * (slope_l + 2 * excess[..., None] * slope_w1),
        ),
    }

    for alpha, (for_decoder, for_z) in weights.items():
        expected = [
            *torch.autograd.grad(log_l, decoder, for_decoder, retain_graph=True),
            *torch.autograd.grad(z, encoder, for_z, retain_graph=True),
        ]
        torch.manual_seed(1)
        surrogate = estimate_network(model, x, K, alpha)
        estimated = torch.autograd.grad(surrogate.sum(), [*decoder, *encoder])
        torch.testing.assert_close(list(estimated), expected)


def estimate_network(model: torch.nn.Module, x: Tensor, K: int, alpha: float | None) -> Tensor:
    draw, log_evidence, reconstruction, *_ = ESTIMATORS["dreg"]
    drawn = draw(model, x, K)
    return (reconstruction(drawn) if alpha is None else log_evidence(drawn, alpha)).surrogate


@pytest.mark.parametrize("estimator", [name for name in ESTIMATORS if name != "elbo"])
def test_weights_far_below_the_smallest_number_are_still_told_apart(estimator: str) -> None:
    """Likelihoods of sentences are of the order of e^-300: moments stay in log space."""
    K = 1 if ESTIMATORS[estimator].only_one_sample else 3
    shift = -5_000.0
    log_l = torch.tensor([[-1.0], [-2.0], [-0.5]], dtype=torch.float64)[:K]
    log_p, log_q = torch.full_like(log_l, -2.0), torch.full_like(log_l, -1.0)
    near = Draw(log_l, log_p, log_q, log_p_x_given_z_path=log_l)
    far = Draw(log_l + shift, log_p, log_q, log_p_x_given_z_path=log_l + shift)

    for moment in (
        lambda draw: ESTIMATORS[estimator].log_evidence(draw, 1.0),
        ESTIMATORS[estimator].reconstruction,
    ):
        torch.testing.assert_close(moment(far).bound, moment(near).bound + shift)
        assert moment(far).surrogate.isfinite().all()


def test_keeping_the_first_samples_keeps_every_density() -> None:
    model = EnumeratedGaussian(3, nodes=4)

    for estimator in ("elbo", "stl", "dreg", "reinforce"):
        whole = ESTIMATORS[estimator].draw(model, model.x, 3)
        part = whole.first(2)
        for name, values in whole._asdict().items():
            kept = getattr(part, name)
            if values is None or name == "kl":
                assert kept is values
            else:
                torch.testing.assert_close(kept, values[:2])


def test_the_registry_has_the_names_that_a_configuration_accepts() -> None:
    assert set(ESTIMATORS) == set(get_args(EstimatorName))


def test_shapes_are_checked_in_tests() -> None:
    with pytest.raises(TypeCheckError):
        log_mean_exp(torch.zeros(3))
