"""The symbol model against its description: layers, likelihoods, what the latents select."""

from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.models.latents import CategoricalLatents, GaussianLatents
from trainables.models.symbol import SymbolMlp, SymbolMlpConfig

VOCABULARY, K = 6, 3
GAUSSIAN = GaussianLatents(kind="gaussian", dimensions=2)
CATEGORICAL = CategoricalLatents(kind="categorical", variables=2, categories=3)
EVERY = [
    {"latents": GAUSSIAN},
    {"latents": CATEGORICAL, "join": "concatenate"},
    {"latents": CATEGORICAL, "join": "sum"},
]
X = torch.tensor([0, 5, 2, 2])


def make(**settings: Any) -> SymbolMlp:
    torch.manual_seed(0)
    config = SymbolMlpConfig(name="symbol_mlp", embedding=4, hidden=5, **settings)
    return config.create(VOCABULARY).double()


def draw(model: SymbolMlp) -> Tensor:
    return model.posterior(X).sample((K,))


def repeat(z: Tensor, times: int) -> Tensor:
    """Repeat z `[K, 1, *latent]` for that many observations."""
    return z.repeat_interleave(times, dim=1)


@pytest.mark.parametrize("settings", EVERY)
def test_the_likelihood_is_two_tanh_layers_and_a_softmax(settings: dict[str, Any]) -> None:
    model = make(**settings)
    z = draw(model)
    parts = dict(model.named_parameters())

    if model.latents.kind == "gaussian":
        features = (z @ parts["decoder.1.weight"].T + parts["decoder.1.bias"]).tanh()
        last = "decoder.3"
    else:  # the embeddings of the categories stand for the first layer
        embeddings = parts["decoder.0.weight"]
        chosen = [embeddings[v][z[:, :, v].argmax(dim=-1)] for v in range(2)]
        features = (
            chosen[0] + chosen[1] if settings["join"] == "sum" else torch.cat(chosen, dim=-1)
        )
        last = "decoder.1"
    features = (features @ parts[f"{last}.weight"].T + parts[f"{last}.bias"]).tanh()
    logits = features @ parts["softmax.logits.weight"].T + parts["softmax.logits.bias"]
    p = logits.exp() / logits.exp().sum(dim=-1, keepdim=True)

    torch.testing.assert_close(
        model.log_likelihood(X, z), p.log().gather(-1, X.expand(K, -1)[..., None])[..., 0]
    )


@pytest.mark.parametrize("settings", EVERY)
def test_the_posterior_is_an_embedding_two_tanh_layers_and_an_affine_one(
    settings: dict[str, Any],
) -> None:
    model = make(**settings)
    parts = dict(model.named_parameters())

    state = parts["encoder.embedding.weight"][X]
    for layer in ("encoder.layers.0", "encoder.layers.2"):
        state = (state @ parts[f"{layer}.weight"].T + parts[f"{layer}.bias"]).tanh()
    expected = model.latents.posterior(
        state @ parts["to_posterior.weight"].T + parts["to_posterior.bias"]
    )
    z = draw(model)

    torch.testing.assert_close(model.posterior(X).log_prob(z), expected.log_prob(z))


@pytest.mark.parametrize("settings", EVERY)
def test_the_likelihoods_of_all_symbols_add_up_to_one(settings: dict[str, Any]) -> None:
    model = make(**settings)
    every = torch.arange(VOCABULARY)

    log_p = model.log_likelihood(every, repeat(draw(model)[:, :1], VOCABULARY))

    torch.testing.assert_close(log_p.exp().sum(dim=-1), torch.ones(K, dtype=torch.float64))


@pytest.mark.parametrize("settings", EVERY)
def test_one_z_for_all_observations_is_that_z_repeated(settings: dict[str, Any]) -> None:
    model = make(**settings)
    z = draw(model)[:, :1]
    repeated = repeat(z, len(X))

    torch.testing.assert_close(model.log_likelihood(X, z), model.log_likelihood(X, repeated))
    torch.testing.assert_close(
        model.log_likelihood(X[:1], z), model.log_likelihood(X, repeated)[:, :1]
    )


@pytest.mark.parametrize("settings", EVERY)
def test_z_of_other_observations_is_no_z_for_these(settings: dict[str, Any]) -> None:
    model = make(**settings)

    with pytest.raises(RuntimeError, match="expanded size"):
        model.log_likelihood(X, draw(model)[:, :2])


def test_every_parameter_gets_a_gradient() -> None:
    for settings in EVERY:
        model = make(**settings)
        q = model.posterior(X)
        z = q.rsample((K,)) if model.latents.kind == "gaussian" else draw(model)

        (model.log_likelihood(X, z) + q.log_prob(z.detach())).sum().backward()

        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_the_sizes_are_the_published_ones_by_default() -> None:
    config = SymbolMlpConfig.model_validate(
        {"name": "symbol_mlp", "latents": {"kind": "categorical"}}
    )
    model = config.create(10_000)

    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert shapes["encoder.embedding.weight"] == (10_000, 128)
    assert shapes["encoder.layers.0.weight"] == shapes["encoder.layers.2.weight"] == (128, 128)
    assert shapes["to_posterior.weight"] == (80, 128)
    assert shapes["decoder.0.weight"] == (8, 10, 128)
    assert shapes["softmax.logits.weight"] == (10_000, 128)
    gaussian = SymbolMlpConfig.model_validate(
        {"name": "symbol_mlp", "latents": {"kind": "gaussian"}}
    )
    assert gaussian.latents.n_parameters == 80
