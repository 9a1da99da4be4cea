"""Enumeration against brute force over every state, one at a time."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from tests.oracles.without_encoder import WithoutEncoder
from trainables.data.corpus import PAD
from trainables.evaluation import enumeration
from trainables.evaluation.enumeration import can_enumerate, score_exactly
from trainables.models.images.mlp import ImageMlpConfig
from trainables.models.latents import CategoricalLatents, GaussianLatents
from trainables.models.model import Encoding, Model
from trainables.models.sentence import SentenceLstmConfig
from trainables.models.symbol import SymbolMlpConfig

LATENTS = CategoricalLatents(kind="categorical", variables=3, categories=2)
SENTENCES = torch.tensor([[1, 2, 0, PAD], [0, PAD, PAD, PAD], [2, 2, 1, 0]])


def symbol_model() -> Model:
    config = SymbolMlpConfig(name="symbol_mlp", latents=LATENTS, embedding=4, hidden=5)
    return config.create(7).double().eval()


def sentence_model() -> Model:
    config = SentenceLstmConfig(
        name="sentence_lstm", latents=LATENTS, embedding=3, encoder_hidden=4, decoder_hidden=5
    )
    return config.create(3).double().eval()


@torch.no_grad()
def brute_force(model: Model, x: Tensor) -> tuple[list[float], list[float]]:
    """Give ln p(x) and KL(p(z|x) || p(z)) from every p(x|z), state by state."""
    evidences, divergences = [], []
    for observation in x:
        joint = []
        for state in itertools.product(range(2), repeat=3):
            z = torch.nn.functional.one_hot(torch.tensor(state), 2).double()
            likelihood = model.log_likelihood(observation[None], z[None, None]).exp().item()
            joint.append(likelihood / 8)
        evidence = math.fsum(joint)
        posterior = [part / evidence for part in joint]
        evidences.append(math.log(evidence))
        divergences.append(math.fsum(part * math.log(part * 8) for part in posterior))
    return evidences, divergences


def image_model() -> Model:
    config = ImageMlpConfig(name="image_mlp", latents=LATENTS, hidden=(4, 3), output_bias="zero")
    return config.create(2, (2, 3)).double().eval()


IMAGES = torch.arange(24).view(4, 2, 3).remainder(5).eq(0).to(torch.uint8)
CASES = [
    (symbol_model, torch.tensor([0, 6, 3, 3])),
    (sentence_model, SENTENCES),
    (image_model, IMAGES),
]


@pytest.mark.parametrize(("make", "x"), CASES)
@pytest.mark.parametrize("tokens_at_once", [2**17, 30, 1])
def test_it_equals_brute_force_however_it_is_cut(
    make: type, x: Tensor, tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enumeration, "TOKENS_AT_ONCE", tokens_at_once)
    monkeypatch.setattr(enumeration, "OBSERVATIONS_AT_ONCE", min(tokens_at_once, 3))
    torch.manual_seed(0)
    model = make()
    log_p, mi = brute_force(model, x)

    exact = score_exactly(model, x)

    assert min(mi) > 1e-4
    torch.testing.assert_close(exact.log_p, torch.tensor(log_p, dtype=torch.float64))
    torch.testing.assert_close(exact.mi, torch.tensor(mi, dtype=torch.float64))


def test_more_sentences_than_a_batch_holds_keep_their_order() -> None:
    torch.manual_seed(0)
    model = sentence_model()
    x = SENTENCES.repeat(25, 1)

    exact = score_exactly(model, x)

    once = score_exactly(model, SENTENCES)
    torch.testing.assert_close(exact.log_p, once.log_p.repeat(25))
    torch.testing.assert_close(exact.mi, once.mi.repeat(25))


class Far(WithoutEncoder):
    """ln p(x|z) far below the smallest number, and further apart than the largest ratio."""

    def __init__(self) -> None:
        super().__init__(CategoricalLatents(kind="categorical", variables=1, categories=4))
        self.table = torch.nn.Parameter(
            torch.tensor([-9_000.0, -5_000.0, -5_001.0, -6_000.0], dtype=torch.float64)
        )

    def encode(self, x: Tensor) -> Encoding:
        return Encoding(x, self.table.new_zeros(len(x), 4))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return (z[..., 0, :] * self.table).sum(dim=-1).expand(-1, len(x))


@pytest.mark.parametrize("tokens_at_once", [1, 2**17])
def test_likelihoods_far_below_the_smallest_number_add_up(
    tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enumeration, "TOKENS_AT_ONCE", tokens_at_once)
    p = 1 / (1 + math.exp(-1))  # of the second state; the first and the last have none

    exact = score_exactly(Far(), torch.arange(2))

    log_p = -5_000 + math.log((1 + math.exp(-1)) / 4)
    mi = p * math.log(4 * p) + (1 - p) * math.log(4 * (1 - p))
    torch.testing.assert_close(exact.log_p, torch.full((2,), log_p, dtype=torch.float64))
    torch.testing.assert_close(
        exact.mi, torch.full((2,), mi, dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_results_are_double_precision_and_carry_no_gradient() -> None:
    for values in score_exactly(symbol_model().float(), torch.arange(7)):
        assert values.dtype == torch.float64
        assert values.shape == (7,)
        assert not values.requires_grad


def test_what_can_be_enumerated_is_counted() -> None:
    model = symbol_model()

    assert can_enumerate(model, up_to=8)
    assert not can_enumerate(model, up_to=7)
    model.latents = CategoricalLatents(kind="categorical", variables=400, categories=10)
    assert not can_enumerate(model, up_to=65_536)
    model.latents = GaussianLatents(kind="gaussian")
    assert not can_enumerate(model, up_to=10**9)


def test_continuous_latents_are_refused() -> None:
    latents = GaussianLatents(kind="gaussian", dimensions=2)
    config = SymbolMlpConfig(name="symbol_mlp", latents=latents, embedding=4, hidden=5)

    with pytest.raises(ValueError, match="gaussian latents have no finite number of states"):
        score_exactly(config.create(7), torch.arange(7))
