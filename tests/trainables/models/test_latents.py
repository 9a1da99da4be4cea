"""Latent spaces: densities against their formulas, states against counting."""

import itertools
import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.distributions import kl_divergence

from trainables.models.latents import CategoricalLatents, GaussianLatents, Latents, stop_gradient

GAUSSIAN = GaussianLatents(kind="gaussian", dimensions=3)
CATEGORICAL = CategoricalLatents(kind="categorical", variables=3, categories=4)


def parameters(latents: Latents, batch: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (batch, latents.n_parameters)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL])
def test_shapes_and_dtypes_follow_what_they_are_made_from(latents: Latents) -> None:
    given = parameters(latents)

    q, p = latents.posterior(given), latents.prior(like=given)
    z = q.sample((7,))

    event = (3,) if latents.kind == "gaussian" else (3, 4)
    assert (q.batch_shape, q.event_shape) == ((5,), event)
    assert (p.batch_shape, p.event_shape) == ((), event)
    assert z.shape == (7, 5, *event)
    assert z.flatten(2).shape[-1] == latents.width
    assert z.dtype == p.sample().dtype == torch.float64
    assert q.log_prob(z).shape == p.log_prob(z).shape == (7, 5)


def test_a_gaussian_posterior_has_means_then_log_variances() -> None:
    given = parameters(GAUSSIAN)
    mean, variance = given[:, :3], given[:, 3:].exp()
    q, p = GAUSSIAN.posterior(given), GAUSSIAN.prior(like=given)
    z = torch.linspace(-2, 2, 30, dtype=torch.float64).view(2, 5, 3)

    log_q = -((z - mean) ** 2 / variance + (2 * math.pi * variance).log()).sum(dim=-1) / 2
    log_p = -(z**2 + math.log(2 * math.pi)).sum(dim=-1) / 2
    kl = (mean**2 + variance - variance.log() - 1).sum(dim=-1) / 2

    torch.testing.assert_close(q.log_prob(z), log_q)
    torch.testing.assert_close(p.log_prob(z), log_p)
    torch.testing.assert_close(kl_divergence(q, p), kl)


def test_a_categorical_posterior_has_logits_of_one_variable_after_another() -> None:
    given = parameters(CATEGORICAL)
    probability = given.unflatten(1, (3, 4)).exp()
    probability = probability / probability.sum(dim=-1, keepdim=True)
    q, p = CATEGORICAL.posterior(given), CATEGORICAL.prior(like=given)
    states = CATEGORICAL.states(like=given)[:, None].expand(-1, 5, -1, -1)

    log_q = torch.stack(
        [
            sum(probability[:, variable, value].log() for variable, value in enumerate(state))
            for state in itertools.product(range(4), repeat=3)
        ]
    )
    entropy = -(probability * probability.log()).sum(dim=(1, 2))

    torch.testing.assert_close(q.log_prob(states), log_q)
    torch.testing.assert_close(p.log_prob(states), torch.full((64, 5), -math.log(64)).double())
    torch.testing.assert_close(kl_divergence(q, p), math.log(64) - entropy)


@pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL])
def test_cross_densities_are_those_of_every_z_under_every_posterior(latents: Latents) -> None:
    """The same as q(z|x) gives pair by pair, in value and gradient."""
    given = parameters(latents)
    q = latents.posterior(given)
    torch.manual_seed(0)
    z = latents.posterior(parameters(latents, batch=4)).sample()
    z.requires_grad_(latents.kind == "gaussian")
    wrt = (given, z) if z.requires_grad else (given,)
    weight = torch.randn(4, 5, dtype=torch.float64)

    crossed = latents.cross_log_prob(given, z)
    reference = q.log_prob(z[:, None].expand(-1, 5, *z.shape[1:]))

    torch.testing.assert_close(crossed, reference, rtol=1e-13, atol=1e-13)
    slopes = (torch.autograd.grad((weight * each).sum(), wrt) for each in (crossed, reference))
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 1e-8)])
def test_narrow_posteriors_far_out_keep_the_digits_of_their_densities(
    dtype: torch.dtype, tolerance: float
) -> None:
    """Where (z - mean)^2 / variance is 1 and mean^2 / variance is 1e8, which must not cancel."""
    mean = torch.tensor([[8.0, -8.0, 8.0]], dtype=dtype)
    scale = torch.full_like(mean, 2.0**-10)
    given = torch.cat([mean, 2 * scale.log()], dim=1)
    z = mean + torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, -2.0]], dtype=dtype) * scale

    crossed = GAUSSIAN.cross_log_prob(given, z)

    constant = 3 * (10 * math.log(2) - 0.5 * math.log(2 * math.pi))
    exact = torch.tensor([[constant - 2.25 / 2], [constant - 8 / 2]], dtype=dtype)
    assert crossed.dtype == dtype
    torch.testing.assert_close(crossed, exact, rtol=tolerance, atol=0)


def test_categorical_samples_are_one_hot() -> None:
    z = CATEGORICAL.posterior(parameters(CATEGORICAL)).sample((20,))

    assert set(z.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(z.sum(dim=-1), torch.ones_like(z[..., 0]))


def test_the_states_are_all_and_each_once() -> None:
    states = CATEGORICAL.states(like=torch.zeros(1, dtype=torch.float64))

    listed = [tuple(state) for state in states.argmax(dim=-1).tolist()]
    assert listed == list(itertools.product(range(4), repeat=3))
    assert states.dtype == torch.float64
    assert len(listed) == CATEGORICAL.n_states


def test_the_number_of_states_may_be_beyond_any_float() -> None:
    many = CategoricalLatents(kind="categorical", variables=400, categories=10)

    assert math.log(many.n_states) == pytest.approx(400 * math.log(10))
    assert many.n_states > 65_536
    assert GAUSSIAN.n_states == math.inf


def test_stopping_gradients_cuts_the_parameters_and_nothing_else() -> None:
    given = parameters(GAUSSIAN)
    q = GAUSSIAN.posterior(given)
    z = q.rsample((2,)).detach().requires_grad_()

    cut = stop_gradient(q).log_prob(z)

    torch.testing.assert_close(cut, q.log_prob(z))
    of_z, of_parameters = torch.autograd.grad(cut.sum(), (z, given), allow_unused=True)
    mean, variance = given.detach()[:, :3], given.detach()[:, 3:].exp()
    torch.testing.assert_close(of_z, -(z.detach() - mean) / variance)
    assert of_parameters is None


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "gaussian", "dimensions": 0},
        {"kind": "gaussian", "dimensions": 2.0},
        {"kind": "gaussian", "categories": 2},
        {"kind": "categorical", "variables": 0},
        {"kind": "categorical", "categories": 1},
        {"kind": "categorical", "categories": "10"},
        {"kind": "vector_quantised"},
    ],
)
def test_latents_that_cannot_be_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Latents).validate_python(config)


@pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL])
def test_crossed_densities_are_those_of_every_pair(latents: Latents) -> None:
    given = parameters(latents)
    z = latents.posterior(given).sample((2,)).flatten(0, 1)

    crossed = latents.cross_log_prob(given, z)

    one_by_one = [latents.posterior(given[n : n + 1]).log_prob(z) for n in range(5)]
    assert crossed.shape == (10, 5)
    torch.testing.assert_close(crossed, torch.stack(one_by_one, dim=1))
    torch.testing.assert_close(
        torch.autograd.grad(crossed.sum(), given),
        torch.autograd.grad(sum(one_by_one).sum(), given),
    )
