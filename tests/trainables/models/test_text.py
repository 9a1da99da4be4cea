"""He et al.'s text model against torch's LSTM, and as a distribution over sentences."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.oracles.unrolled_lstm import torch_lstm
from trainables.data.corpus import PAD
from trainables.models import MODELS
from trainables.models.text import TextEncoder, TextLstm, TextLstmConfig

VOCABULARY, K, WIDTH, EMBEDDING, HIDDEN = 3, 2, 2, 4, 5
SENTENCES = torch.tensor(
    [[1, 2, 0, PAD, PAD], [2, 2, 1, 1, 0], [0, PAD, PAD, PAD, PAD], [1, 2, 2, 0, PAD]]
)
EXACT = {"rtol": 1e-12, "atol": 1e-13}
VARIANTS = [
    {"initial_state": start, "skip": skip}
    for start in ("cell", "hidden")
    for skip in (False, True)
]


def configure(**fields: Any) -> TextLstmConfig:
    return TextLstmConfig.model_validate(
        {
            "name": "text_lstm",
            "latents": {"kind": "gaussian", "dimensions": WIDTH},
            "embedding": EMBEDDING,
            "hidden": HIDDEN,
            **fields,
        }
    )


def make(**fields: Any) -> TextLstm:
    """Build a model whose parameters are large enough to matter, in evaluation mode."""
    torch.manual_seed(0)
    model = configure(**{"init": 0.8, **fields}).create(VOCABULARY)
    assert isinstance(model, TextLstm)
    return model.double().eval()


def some_z(x: Tensor = SENTENCES, n: int = K) -> Tensor:
    return torch.randn(n, len(x), WIDTH, dtype=torch.float64)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters())


def tokens_of(sentence: Tensor) -> list[int]:
    return [token for token in sentence.tolist() if token != PAD]


def test_the_posterior_is_linear_in_torchs_last_state_after_start_and_end() -> None:
    model = make()
    encoder = model.encoder
    reference = torch_lstm(weights_of(encoder.lstm))
    ends = []
    for sentence in SENTENCES:
        read = encoder.embedding.weight[[VOCABULARY, *tokens_of(sentence)]]
        ends.append(reference(read[None])[1][0][0, 0])
    expected = torch.stack(ends) @ model.to_posterior.weight.T
    mean, log_variance = expected.chunk(2, dim=-1)
    q = model.posterior(SENTENCES)

    torch.testing.assert_close(model.encode(SENTENCES).parameters, expected)
    torch.testing.assert_close(q.mean, mean)
    torch.testing.assert_close(q.variance, log_variance.exp())


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_values_and_gradients_of_the_likelihood_equal_those_from_torchs_lstm(
    variant: dict[str, Any],
) -> None:
    model = make(**variant)
    reference = torch_lstm(weights_of(model.decoder))
    z = some_z().requires_grad_()
    of_z = model.to_initial.weight
    expected = []
    for k, (b, sentence) in itertools.product(range(K), enumerate(SENTENCES)):
        tokens, latent = tokens_of(sentence), z[k, b]
        read = model.decoder_embedding.weight[[VOCABULARY, *tokens[:-1]]]
        read = torch.cat([read, latent.expand(len(tokens), -1)], dim=-1)
        start = of_z @ latent
        if variant["initial_state"] == "cell":
            state, cell = start.tanh(), start
        else:
            state, cell = start + model.to_initial.bias, torch.zeros_like(start)
        states = reference(read[None], (state[None, None], cell[None, None]))[0][0]
        if variant["skip"]:
            states = torch.cat([states, latent.expand(len(tokens), -1)], dim=-1)
        log_p = (states @ model.softmax.logits.weight.T).log_softmax(dim=-1)
        expected.append(log_p[range(len(tokens)), tokens].sum())
    written_out = torch.stack(expected).view(K, len(SENTENCES))
    leaves = [z, of_z, model.softmax.logits.weight, model.decoder_embedding.weight]
    upstream = torch.randn_like(written_out)

    log_p = model.log_likelihood(SENTENCES, z)

    torch.testing.assert_close(log_p, written_out)
    # The reference has copies of the LSTM's weights, so only what is outside it is compared.
    torch.testing.assert_close(
        torch.autograd.grad(log_p, leaves, upstream),
        torch.autograd.grad(written_out, leaves, upstream),
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_likelihoods_of_all_sentences_of_a_length_add_up_to_one(
    variant: dict[str, Any],
) -> None:
    """So no token is predicted from itself or from what comes after it."""
    model = make(**variant)
    every = torch.tensor(list(itertools.product(range(VOCABULARY), repeat=4)))

    total = model.log_likelihood(every, some_z(every[:1])).exp().sum(dim=-1)

    torch.testing.assert_close(total, torch.ones(K, dtype=torch.float64))


@pytest.mark.parametrize("start", ["cell", "hidden"])
def test_a_skip_decoder_with_zeroed_skips_is_the_plain_one(start: str) -> None:
    plain, skip = make(initial_state=start), make(initial_state=start, skip=True)
    state = plain.state_dict()
    weight = state["softmax.logits.weight"]
    widened = torch.cat([weight, weight.new_zeros(VOCABULARY, WIDTH)], dim=1)
    skip.load_state_dict({**state, "softmax.logits.weight": widened})
    z = some_z()

    without = skip.log_likelihood(SENTENCES, z)

    assert torch.equal(without, plain.log_likelihood(SENTENCES, z))
    with torch.no_grad():
        skip.softmax.logits.weight[0, HIDDEN] = 0.1
    assert (skip.log_likelihood(SENTENCES, z) != without).all()


def scores(model: TextLstm, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Give ln p(x|z) and ln q(z|x)."""
    return model.log_likelihood(x, z), model.posterior(x).log_prob(z)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_padding_order_and_company_change_nothing(variant: dict[str, Any]) -> None:
    model, z = make(**variant), some_z()
    whole = scores(model, SENTENCES, z)
    padded = nn.functional.pad(SENTENCES, (0, 3), value=PAD)

    torch.testing.assert_close(scores(model, padded, z), whole, **EXACT)
    for order in map(list, itertools.permutations(range(len(SENTENCES)))):
        expected = tuple(part[:, order] for part in whole)
        torch.testing.assert_close(scores(model, SENTENCES[order], z[:, order]), expected, **EXACT)
    for row, sentence in enumerate(SENTENCES):
        alone = torch.tensor([tokens_of(sentence)])
        expected = tuple(part[:, row : row + 1] for part in whole)
        torch.testing.assert_close(scores(model, alone, z[:, row : row + 1]), expected, **EXACT)


def test_one_z_for_all_sentences_is_that_z_repeated() -> None:
    model, z = make(skip=True), some_z()[:, :1]
    repeated = z.repeat_interleave(len(SENTENCES), dim=1)

    torch.testing.assert_close(
        model.log_likelihood(SENTENCES, z), model.log_likelihood(SENTENCES, repeated), **EXACT
    )


def test_dropout_is_independent_for_each_sentence_and_sample() -> None:
    model = make(hidden=32, dropout=0.5).train()
    x = SENTENCES[[1, 1, 1]]
    same_z = some_z(x, 1)[:, :1].expand(4, 3, -1)

    log_p = model.log_likelihood(x, same_z)

    assert len(log_p.unique()) == 12
    model.eval()
    still = model.log_likelihood(x, same_z)
    torch.testing.assert_close(still, still[:1, :1].expand(4, 3))


def test_embeddings_and_outputs_are_dropped_with_one_mask_a_step() -> None:
    model = make(embedding=40, hidden=50, dropout=0.25).train()
    dropped: list[Tensor] = []
    model.dropout.register_forward_hook(lambda _, given, result: dropped.append(result == 0))
    x = torch.zeros(2, 30, dtype=torch.int64)

    model.log_likelihood(x, some_z(x))

    assert [tuple(each.shape) for each in dropped] == [(K, 2, 30, 40), (K, 2, 30, 50)]
    for each in dropped:
        assert each.double().mean().item() == pytest.approx(0.25, abs=0.03)
        assert len({tuple(step) for step in each.flatten(0, 2).tolist()}) == K * 2 * 30


def test_the_encoder_drops_nothing() -> None:
    model = make(dropout=0.9).train()

    first, second = (model.encode(SENTENCES).parameters for _ in range(2))

    assert torch.equal(first, second)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_parameter_gets_a_gradient(variant: dict[str, Any]) -> None:
    model = make(**variant)
    log_p, log_q = scores(model, SENTENCES, some_z())

    (log_p.sum() + log_q.sum()).backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("init", [0.01, 0.3])
def test_parameters_start_in_their_ranges(init: float) -> None:
    model = configure(init=init, initial_state="hidden", hidden=40).create(200)
    other = model.new_encoder()

    named = [*model.named_parameters(), *other.named_parameters()]
    for name, parameter in named:
        limit = 0.1 if "embedding" in name else init
        assert 0.7 * limit < parameter.abs().max() <= limit, name
        assert parameter.min() < 0 < parameter.max(), name


def test_a_new_encoder_is_of_the_same_kind_with_parameters_of_its_own() -> None:
    model = make()
    other = model.new_encoder()

    assert isinstance(other, TextEncoder)
    assert other.width == HIDDEN
    own = {id(parameter) for parameter in model.parameters()}
    assert own.isdisjoint(id(parameter) for parameter in other.parameters())
    assert {key: value.shape for key, value in other.state_dict().items()} == {
        key: value.shape for key, value in model.encoder.state_dict().items()
    }
    assert not torch.equal(other.embedding.weight, model.encoder.embedding.weight)


def test_the_early_features_are_the_embeddings() -> None:
    model = make()

    early = model.encode(SENTENCES[1:2]).early

    read = [VOCABULARY, *tokens_of(SENTENCES[1])]
    assert torch.equal(early, model.encoder.embedding.weight[read][None])


def test_the_sizes_are_the_published_ones_by_default() -> None:
    """About 16.6 M + 37.2 M parameters with Yahoo's words; torch's LSTMs have 8,192 more."""
    latents = {"kind": "gaussian", "dimensions": 32}
    config = MODELS["text_lstm"].model_validate({"name": "text_lstm", "latents": latents})
    with torch.device("meta"):
        model = config.create(20_001)
    inference = sum(parameter.numel() for parameter in model.inference_parameters())
    total = sum(parameter.numel() for parameter in model.parameters())

    assert inference == 20_002 * 512 + 4096 * (512 + 1024 + 1) + 1024 * 64 == 16_602_112
    assert (
        total - inference
        == (20_002 * 512 + 4096 * (544 + 1024 + 1) + 32 * 1024 + 1024 * 20_001)
        == 37_181_440
    )
    assert (model.dropout.rate, config.initial_state, config.skip) == (0.5, "cell", False)
