"""Refined posteriors: steps written out, gradients through them, and rows on their own."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.distributions import Independent, kl_divergence

from tests.oracles.linear_gaussian import LinearGaussian
from trainables.data.corpus import PAD
from trainables.models.images.masked import ResNetMaskedConfig
from trainables.models.semi_amortised import SemiAmortised, SemiAmortisedModel
from trainables.models.text import TextLstm, TextLstmConfig
from trainables.objectives import create

SENTENCES = torch.tensor([[1, 2, 0, PAD], [2, 3, 1, 0]])


def linear_gaussian(**fields: Any) -> SemiAmortisedModel:
    base = LinearGaussian(shift=2.0, stretch=1.5)
    return SemiAmortisedModel(base, SemiAmortised(**fields))


def some_x(model: SemiAmortisedModel, n: int = 4) -> Tensor:
    torch.manual_seed(1)
    assert isinstance(model.base, LinearGaussian)
    return model.base.sample(n)


def text(*, dropout: float = 0.0, skip: bool = False, **fields: Any) -> SemiAmortisedModel:
    torch.manual_seed(0)
    config = TextLstmConfig.model_validate(
        {
            "name": "text_lstm",
            "latents": {"kind": "gaussian", "dimensions": 2},
            "embedding": 3,
            "hidden": 4,
            "dropout": dropout,
            "skip": skip,
            "init": 0.8,
            "inference": {"steps": 3, "learning_rate": 0.3, **fields},
        }
    )
    model = config.create(4).double()
    assert isinstance(model, SemiAmortisedModel)
    return model


def refined(model: SemiAmortisedModel, x: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return model.encode(x).parameters


# The steps ------------------------------------------------------------------------------------


def by_hand(
    model: SemiAmortisedModel, x: Tensor, *, frozen_factors: list[Tensor] | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Take the steps with the slope of the linear-Gaussian -ELBO written out.

    Gives the parameters of q, and the factors of the clipped gradients, `[batch, 2, 1]` a step.
    """
    base, config = model.base, model.config
    assert isinstance(base, LinearGaussian)
    mean, log_variance = base.encode(x).parameters.chunk(2, dim=-1)
    speed = torch.zeros(2, *mean.shape, dtype=torch.float64)
    factors = []
    torch.manual_seed(0)
    for step in range(config.steps):
        noise = torch.randn(1, *mean.shape, dtype=torch.float64)[0]
        scale = (log_variance / 2).exp()
        error = base.a * (base.a * (mean + scale * noise) + base.b - x) / base.s**2
        slopes = torch.stack(
            [error + mean, error * noise * scale / 2 + (log_variance.exp() - 1) / 2]
        )
        if frozen_factors is not None:
            factor = frozen_factors[step]
        elif config.clip_norm is None:
            factor = torch.ones(())
        else:
            norm = slopes.detach().square().sum(dim=-1, keepdim=True).sqrt()
            factor = (config.clip_norm / norm).clamp(max=1)
        factors.append(factor)
        speed = config.momentum * speed - factor * slopes
        mean = mean + config.learning_rate * speed[0]
        log_variance = log_variance + config.learning_rate * speed[1]
    return torch.cat([mean, log_variance], dim=-1), factors


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("clip_norm", [None, 1.0, 1e3])
def test_steps_and_their_gradients_equal_those_written_out(
    momentum: float, clip_norm: float | None
) -> None:
    model = linear_gaussian(steps=4, learning_rate=0.2, momentum=momentum, clip_norm=clip_norm)
    x = some_x(model)

    made = refined(model, x)
    expected, factors = by_hand(model, x)
    upstream = torch.randn_like(made)

    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(
        torch.autograd.grad(made, list(model.parameters()), upstream),
        torch.autograd.grad(expected, list(model.parameters()), upstream),
    )
    clipped = torch.stack([factor.expand(2, 4, 1) for factor in factors]) < 1
    assert clipped.any() == (clip_norm == 1.0)
    assert not clipped.all()


def test_momentum_by_numbers() -> None:
    """Slopes 1, 1, 1 with eta = 0.1, m = 0.5: speeds -1, -1.5, -1.75, a way of -0.425."""
    model = linear_gaussian(steps=3, learning_rate=0.1, momentum=0.5)
    model._slope = lambda x, point, *, differentiable: torch.ones_like(point)  # type: ignore[method-assign]

    made = model.refine(torch.zeros(1, 3), torch.zeros(1, 6))

    torch.testing.assert_close(made, torch.full((1, 6), -0.425))


def test_means_and_log_variances_are_clipped_apart_and_row_by_row() -> None:
    model = linear_gaussian(clip_norm=5.0)
    slope = torch.tensor([[3.0, 4, 0, 6, 0, 8], [0, 0, 0, 0, 50, 0]])

    expected = torch.tensor([[3.0, 4, 0, 3, 0, 4], [0, 0, 0, 0, 5, 0]])
    torch.testing.assert_close(model._clip(slope), expected)


def test_what_is_not_clipped_keeps_every_bit() -> None:
    x = some_x(linear_gaussian())

    free, bounded = (refined(linear_gaussian(clip_norm=limit), x) for limit in (None, 1e9))

    assert torch.equal(free, bounded)


def test_many_steps_lead_to_the_exact_posterior() -> None:
    """The gradient's noise is that of one sample, so q keeps moving about its fixed point."""
    few, many = (
        linear_gaussian(steps=steps, learning_rate=0.01, momentum=0.5) for steps in (5, 600)
    )
    x = some_x(many, 200)
    base = many.base
    assert isinstance(base, LinearGaussian)
    exact = Independent(base.exact_posterior(x), 1)
    with torch.no_grad():
        start, near, there = (
            kl_divergence(many.latents.posterior(parameters), exact).mean()
            for parameters in (base.encode(x).parameters, refined(few, x), refined(many, x))
        )

    assert start > 6  # of 3 (2^2 + 1.5^2 - 1 - ln 1.5^2) / 2
    assert near < 0.8 * start
    assert there < 0.05


# Gradients ------------------------------------------------------------------------------------


def negative_elbo(model: SemiAmortisedModel, x: Tensor) -> Tensor:
    """Give the loss of a training step, from the same noise and masks every time."""
    torch.manual_seed(5)
    return create({"name": "bound", "estimator": "elbo"}).forward(model, x).loss


def check_against_finite_differences(model: SemiAmortisedModel, x: Tensor) -> None:
    """Compare along a random direction in every parameter, with central differences."""
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(negative_elbo(model, x), list(parameters.values()))
    generator = torch.Generator().manual_seed(0)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        values, step = [], 1e-5
        with torch.no_grad():
            for sign in (1, -1):
                parameter.add_(direction, alpha=sign * step)
                values.append(negative_elbo(model, x))
                parameter.add_(direction, alpha=-sign * step)
        difference = (values[0] - values[1]) / (2 * step)
        slope = (gradient * direction).sum()
        torch.testing.assert_close(slope, difference, rtol=1e-6, atol=1e-8, msg=f"{name}: {slope}")


@pytest.mark.parametrize("clip_norm", [None, 1e3])
@pytest.mark.parametrize(("dropout", "skip"), [(0.0, False), (0.5, True)])
def test_a_text_models_gradients_equal_finite_differences(
    clip_norm: float | None, dropout: float, skip: bool
) -> None:
    model = text(clip_norm=clip_norm, dropout=dropout, skip=skip).train()

    check_against_finite_differences(model, SENTENCES)


def test_a_linear_gaussians_gradients_equal_finite_differences() -> None:
    model = linear_gaussian(steps=20, learning_rate=0.1, momentum=0.5, clip_norm=None)

    check_against_finite_differences(model, some_x(model))


def test_a_clipped_gradients_factor_counts_as_a_constant() -> None:
    """With the factors of the unperturbed steps held fixed, finite differences agree."""
    model = linear_gaussian(steps=4, learning_rate=0.2, momentum=0.5, clip_norm=0.5)
    x = some_x(model)
    upstream = torch.randn(4, 6, dtype=torch.float64)
    gradients = torch.autograd.grad(refined(model, x), list(model.parameters()), upstream)
    _, factors = by_hand(model, x)
    assert max(factor.min() for factor in factors) < 1

    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        for place in range(len(parameter)):
            values = []
            with torch.no_grad():
                for change in (1e-6, -1e-6):
                    parameter[place] += change
                    values.append((by_hand(model, x, frozen_factors=factors)[0] * upstream).sum())
                    parameter[place] -= change
            difference = (values[0] - values[1]) / 2e-6
            torch.testing.assert_close(gradient[place], difference, rtol=1e-6, atol=1e-8)


def test_the_gradient_is_not_that_of_the_last_step_alone() -> None:
    model = text()
    weight = model.base.get_parameter("decoder.recurrent.weight")
    (through,) = torch.autograd.grad(negative_elbo(model, SENTENCES), weight)
    refine = model.refine
    model.refine = lambda x, start: refine(x, start).detach()  # type: ignore[method-assign]

    (last,) = torch.autograd.grad(negative_elbo(model, SENTENCES), weight)

    assert ((through - last).abs().max() / last.abs().max()) > 0.01


# Rows and randomness --------------------------------------------------------------------------


@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_a_row_depends_on_no_other(clip_norm: float | None) -> None:
    model = text(clip_norm=clip_norm).eval()
    other = SENTENCES.clone()
    other[1] = torch.tensor([3, 3, 3, 0])

    first, second = refined(model, SENTENCES), refined(model, other)

    torch.testing.assert_close(first[0], second[0], rtol=1e-13, atol=1e-14)
    assert not torch.allclose(first[1], second[1])
    (slope,) = torch.autograd.grad(first[0].sum(), model.base.get_parameter("to_initial.weight"))
    (same,) = torch.autograd.grad(second[0].sum(), model.base.get_parameter("to_initial.weight"))
    torch.testing.assert_close(slope, same)


def test_padding_changes_nothing() -> None:
    model = text().eval()
    padded = nn.functional.pad(SENTENCES, (0, 2), value=PAD)

    torch.testing.assert_close(refined(model, padded), refined(model, SENTENCES))


def test_without_gradients_the_same_steps_are_taken_and_nothing_is_kept() -> None:
    model = text().eval()
    with_graph = refined(model, SENTENCES)

    with torch.no_grad():
        without = refined(model, SENTENCES)
        q = model.posterior(SENTENCES)

    torch.testing.assert_close(without, with_graph)
    assert with_graph.requires_grad
    assert not without.requires_grad
    assert not q.mean.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_noise_is_torchs_and_new_for_every_step() -> None:
    model = text(learning_rate=1e-300).eval()  # so that q stays where it is
    moving = text().eval()

    assert torch.equal(refined(moving, SENTENCES, 3), refined(moving, SENTENCES, 3))
    assert not torch.equal(refined(moving, SENTENCES, 3), refined(moving, SENTENCES, 4))

    drawn: list[Tensor] = []
    likelihood = model.base.log_likelihood
    model.base.log_likelihood = lambda x, z: drawn.append(z) or likelihood(x, z)  # type: ignore[method-assign, func-returns-value]
    refined(model, SENTENCES)
    assert len(drawn) == 3
    assert len(torch.stack(drawn).unique()) == 3 * 2 * 2


def test_a_frozen_start_still_passes_gradients_to_the_decoder() -> None:
    model = text()
    for parameter in model.inference_parameters():
        parameter.requires_grad_(False)
    weight = model.base.get_parameter("decoder.recurrent.weight")

    (slope,) = torch.autograd.grad(refined(model, SENTENCES).sum(), weight)

    assert slope.abs().max() > 0


def test_the_running_statistics_are_those_of_the_objectives_own_passes() -> None:
    """Steps normalise by their batch, yet count for nothing afterwards."""
    images = ResNetMaskedConfig.model_validate(
        {
            "name": "resnet_masked",
            "latents": {"kind": "gaussian", "dimensions": 2},
            "channels": 2,
            "kernels": [3, 3, 3],
            "encoder": {"channels": 2, "hidden": 3},
            "inference": {"steps": 3},
        }
    )
    torch.manual_seed(0)
    model = images.create(2, (6, 6))
    x = torch.randint(2, (4, 6, 6), dtype=torch.uint8)
    layers = {n: b.clone() for n, b in model.named_buffers() if "decoder" in n and "running" in n}

    z = model.posterior(x).rsample((1,))

    assert layers
    assert all(torch.equal(model.get_buffer(name), before) for name, before in layers.items())
    model.log_likelihood(x, z)
    assert not any(torch.equal(model.get_buffer(name), before) for name, before in layers.items())


# The wrapper ----------------------------------------------------------------------------------


def test_it_has_the_parameters_of_the_base_and_no_more() -> None:
    model = text()
    base = model.base
    assert isinstance(base, TextLstm)

    assert [*model.parameters()] == [*base.parameters()]
    assert set(model.state_dict()) == {f"base.{name}" for name in base.state_dict()}
    assert [*model.inference_parameters()] == [*base.inference_parameters()]
    assert model.new_encoder().width == base.encoder.width
    early = model.encode(SENTENCES).early
    assert torch.equal(early, base.encoder.early(SENTENCES))
    z = torch.randn(3, 2, 2, dtype=torch.float64)
    assert torch.equal(model.log_likelihood(SENTENCES, z), base.log_likelihood(SENTENCES, z))
    assert model.prior().event_shape == base.prior().event_shape


def test_the_defaults_are_the_published_ones_for_texts() -> None:
    published = SemiAmortised()

    assert (published.steps, published.momentum) == (20, 0.5)
    assert published.learning_rate == 1 / 32
    assert published.clip_norm == pytest.approx(5 * 32**0.5, rel=0.02)


def test_a_batch_of_like_rows_moves_as_the_published_batch_would() -> None:
    """There the loss is the mean over B rows, and the whole batch's norm is clipped to 5."""
    B = 8
    model = linear_gaussian(steps=1, learning_rate=1 / B, momentum=0.5, clip_norm=5 * B**0.5)
    slope = torch.full((B, 6), 30.0).requires_grad_()
    mean_slope = slope.detach() / B
    whole = mean_slope[:, :3].norm()
    assert whole > 5

    moved = model.config.learning_rate * model._clip(slope.detach())

    torch.testing.assert_close(moved[:, :3], mean_slope[:, :3] * 5 / whole)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("steps", 0), ("steps", 1.5), ("learning_rate", 0.0), ("momentum", 1.0)),
        *(("clip_norm", 0.0), ("beta", 1.0)),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        SemiAmortised.model_validate({field: value})


def test_categorical_latents_are_refused_at_the_field() -> None:
    with pytest.raises(ValidationError) as refusal:
        TextLstmConfig.model_validate(
            {
                "name": "text_lstm",
                "latents": {"kind": "categorical", "variables": 2, "categories": 3},
                "inference": {},
            }
        )

    (error,) = refusal.value.errors()
    assert error["loc"] == ("inference",)
    assert error["msg"] == (
        "Value error, refining q(z|x) differentiates through z, which categorical latents do not "
        "allow; remove it, or use gaussian latents"
    )
