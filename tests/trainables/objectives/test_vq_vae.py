"""The loss of the VQ-VAE by hand, and which parts of it have which gradients."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from trainables.models.encoder import Encoder
from trainables.models.latents import GaussianLatents, VqLatents
from trainables.models.model import Encoding, Model
from trainables.models.symbol import SymbolMlpConfig
from trainables.models.vq import VqModel
from trainables.objectives import create
from trainables.objectives.vq_vae import VqVae, VqVaeObjective

LATENTS = VqLatents(kind="vq", variables=2, categories=3, dimension=2)
X = torch.arange(4)


class Table(Model):
    """Every observation has vectors of its own, and ln p(x|z) is a sum of sines of z."""

    def __init__(self) -> None:
        super().__init__(LATENTS)
        self.table = nn.Parameter(torch.randn(4, 4))

    def encode(self, x: Tensor) -> Encoding:
        return Encoding(x, self.table[x])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return (z.flatten(2) * (1 + x[None, :, None])).sin().sum(dim=-1)

    def new_encoder(self) -> Encoder:
        raise NotImplementedError

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        yield self.table


def table() -> VqModel:
    torch.manual_seed(1)
    model = VqModel(Table(), LATENTS)
    with torch.no_grad():
        model.codebook.codes.copy_(torch.randn_like(model.codebook.codes))
    return model.double()


def objective(**settings: Any) -> VqVaeObjective:
    made = create({"name": "vq_vae", **settings})
    assert isinstance(made, VqVaeObjective)
    return made


def chosen(model: VqModel) -> Tensor:
    """The code of each variable of each observation, by comparing with all of them."""
    vectors = model.vectors(X)
    distances = (vectors[:, :, None] - model.codebook.codes[0]).square().sum(dim=-1)
    return model.codebook.codes[0][distances.argmin(dim=-1)]


def of_encoder(model: VqModel) -> Tensor:
    assert isinstance(model.base, Table)
    assert model.base.table.grad is not None
    return model.base.table.grad


def test_the_loss_is_that_at_the_codes_and_the_squared_distance_to_them() -> None:
    model = table()
    codes, vectors = chosen(model).detach(), model.vectors(X).detach()
    reconstruction = sum(
        math.sin(value * (1 + row)) for row in range(4) for value in codes[row].flatten().tolist()
    )
    distance = sum((v - c) ** 2 for v, c in zip(vectors.flatten(), codes.flatten(), strict=True))

    loss, metrics = objective(beta=3.0)(model, X)

    assert metrics["reconstruction"].item() == pytest.approx(-reconstruction / 4)
    assert metrics["commitment"].item() == pytest.approx(float(distance) / 4)
    assert loss.item() == pytest.approx((-reconstruction + 3 * float(distance)) / 4)
    assert metrics["objective"] == -loss


def test_the_encoder_gets_the_gradient_at_the_codes_as_it_is() -> None:
    model = table()
    codes = chosen(model).detach().requires_grad_()
    model.base.log_likelihood(X, codes[None]).mean().backward()
    assert codes.grad is not None

    objective(beta=0.0)(model, X).loss.backward()

    torch.testing.assert_close(of_encoder(model), -codes.grad.flatten(1))


def test_the_commitment_draws_vectors_to_their_codes() -> None:
    model = table()
    with_it, without = objective(beta=2.0), objective(beta=0.0)
    without(model, X).loss.backward()
    before = of_encoder(model).clone()
    model = table()
    codes, vectors = chosen(model).detach(), model.vectors(X).detach()

    with_it(model, X).loss.backward()

    # d/dv of 2 ||v - e||^2, mean over four observations
    expected = 2 * 2 * (vectors - codes).flatten(1) / 4
    torch.testing.assert_close(of_encoder(model) - before, expected)


def test_codes_that_follow_get_no_gradient() -> None:
    model = table()

    objective()(model, X).loss.backward()

    assert model.codebook.codes.grad is None


def test_codes_that_the_optimiser_moves_are_drawn_to_their_vectors_alone() -> None:
    model = table()
    codes, vectors = chosen(model).detach(), model.vectors(X).detach()
    before = model.codebook.codes.detach().clone()
    index = model.codebook.nearest(vectors)

    loss, metrics = objective(codebook="gradient", beta=1.0)(model, X)
    loss.backward()

    expected = torch.zeros(1, 3, 2).double()
    pairs = (index.flatten(), (codes - vectors).flatten(0, 1))
    for j, difference in zip(*pairs, strict=True):
        expected[0, j] += 2 * difference / 4
    torch.testing.assert_close(model.codebook.codes.grad, expected)
    assert torch.equal(model.codebook.codes, before)
    # The loss has the distance twice, once for each side of it.
    torch.testing.assert_close(loss, metrics["reconstruction"] + 2 * metrics["commitment"])


def test_each_pass_in_training_moves_the_averages_and_none_in_evaluation() -> None:
    model, made = table(), objective(decay=0.75, epsilon=1e-3)
    expected = table()
    vectors = expected.vectors(X).detach()
    index = expected.codebook.nearest(vectors)
    expected.codebook.follow(vectors, index, 0.75, 1e-3)

    made.eval()
    made(model, X)
    assert torch.equal(model.codebook.codes, table().codebook.codes)
    assert model.codebook.weight == 0
    made.train()
    made(model, X)

    for name, value in expected.codebook.state_dict().items():
        assert torch.equal(model.codebook.state_dict()[name], value), name
    assert not torch.equal(model.codebook.codes, table().codebook.codes)


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([[0, 0], [0, 0], [0, 0], [0, 0]], [8]),
        ([[0, 1], [1, 0], [0, 1], [1, 0]], [4, 4]),
        ([[0, 0], [0, 0], [1, 1], [0, 2]], [5, 2, 1]),
    ],
)
def test_the_codes_of_a_batch_are_counted(rows: list[list[int]], counts: list[int]) -> None:
    model = table()
    assert isinstance(model.base, Table)
    with torch.no_grad():
        model.base.table.copy_(model.codebook.codes[0][torch.tensor(rows)].flatten(1))

    metrics = objective()(model, X).metrics

    perplexity = math.exp(-sum(n / 8 * math.log(n / 8) for n in counts))
    assert metrics["code_perplexity"].item() == pytest.approx(perplexity)
    assert metrics["codes_used"].item() == pytest.approx(len(counts) / 3)
    assert metrics["commitment"] == 0


def test_training_brings_the_loss_down() -> None:
    torch.manual_seed(0)
    latents = VqLatents(kind="vq", variables=2, categories=4, dimension=4)
    config = SymbolMlpConfig(name="symbol_mlp", latents=latents, embedding=8, hidden=16)
    model, made = config.create(8), objective()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = made(model, torch.arange(8)).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < losses[0] / 2


def test_defaults_are_the_published_ones() -> None:
    config = VqVae(name="vq_vae")

    assert (config.beta, config.decay, config.epsilon) == (0.25, 0.99, 1e-5)
    assert config.codebook == "ema"


@pytest.mark.parametrize("knob", [{"decay": 0.9}, {"epsilon": 1e-3}])
def test_averages_are_refused_where_the_optimiser_moves_codes(knob: dict[str, float]) -> None:
    [field] = knob
    with pytest.raises(ValidationError, match="for codes that are moving averages") as caught:
        VqVae(name="vq_vae", codebook="gradient", **knob)

    assert [error["loc"] for error in caught.value.errors()] == [(field,)]
    resolved = VqVae(name="vq_vae", codebook="gradient").model_dump()
    assert VqVae.model_validate(resolved).codebook == "gradient"


def test_a_model_without_codes_is_refused() -> None:
    latents = GaussianLatents(kind="gaussian", dimensions=2)
    model = SymbolMlpConfig(name="symbol_mlp", latents=latents, embedding=2, hidden=2).create(4)

    with pytest.raises(TypeError, match="trains models that quantise"):
        objective()(model, X)
