"""The sentence model: a distribution over sentences, that padding and company cannot change."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.oracles.unrolled_lstm import unrolled
from trainables.data.corpus import PAD
from trainables.models.latents import CategoricalLatents, GaussianLatents
from trainables.models.sentence import SentenceLstm, SentenceLstmConfig

VOCABULARY, K = 3, 2
LATENTS = [
    GaussianLatents(kind="gaussian", dimensions=2),
    CategoricalLatents(kind="categorical", variables=2, categories=3),
]
SENTENCES = torch.tensor(
    [[1, 2, 0, PAD, PAD], [2, 2, 1, 1, 0], [0, PAD, PAD, PAD, PAD], [1, 0, 2, 0, PAD]]
)
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def make(latents: Any = LATENTS[0], **dropout: Any) -> SentenceLstm:
    torch.manual_seed(0)
    config = SentenceLstmConfig.model_validate(
        {
            "name": "sentence_lstm",
            "latents": latents,
            "embedding": 4,
            "encoder_hidden": 5,
            "decoder_hidden": 6,
            "dropout": dropout,
        }
    )
    return config.create(VOCABULARY).double()


def some_z(model: SentenceLstm, x: Tensor = SENTENCES) -> Tensor:
    return model.posterior(x).sample((K,)).detach()


@pytest.mark.parametrize("latents", LATENTS)
def test_the_likelihood_equals_one_written_out(latents: Any) -> None:
    """Start symbol, then each token and z at every step; a softmax over what the LSTM says."""
    model = make(latents)
    z = some_z(model)
    parts = dict(model.named_parameters())
    decoder = {
        name.removeprefix("decoder."): part
        for name, part in parts.items()
        if name.startswith("decoder.")
    }

    expected = torch.zeros(K, len(SENTENCES), dtype=torch.float64)
    for k, (b, sentence) in itertools.product(range(K), enumerate(SENTENCES.tolist())):
        tokens = [token for token in sentence if token != PAD]
        read = parts["decoder_embedding.weight"][[VOCABULARY, *tokens[:-1]]]
        states = unrolled(read, decoder, constant=z[k, b].flatten())
        logits = states @ parts["softmax.logits.weight"].T + parts["softmax.logits.bias"]
        for place, token in enumerate(tokens):
            expected[k, b] += (logits[place, token].exp() / logits[place].exp().sum()).log()

    torch.testing.assert_close(model.log_likelihood(SENTENCES, z), expected)


@pytest.mark.parametrize("latents", LATENTS)
def test_the_posterior_equals_one_written_out(latents: Any) -> None:
    model = make(latents)
    parts = dict(model.named_parameters())
    ends = []
    for sentence in SENTENCES.tolist():
        tokens = [token for token in sentence if token != PAD]
        state = 0
        for direction, order in (("forwards", tokens), ("backwards", tokens[::-1])):
            prefix = f"encoder.lstm.{direction}."
            weights = {
                name.removeprefix(prefix): part
                for name, part in parts.items()
                if name.startswith(prefix)
            }
            state = state + unrolled(parts["encoder.embedding.weight"][order], weights)[-1] / 2
        ends.append(state)
    given = torch.stack(ends) @ parts["to_posterior.weight"].T + parts["to_posterior.bias"]
    z = some_z(model)

    torch.testing.assert_close(
        model.posterior(SENTENCES).log_prob(z), latents.posterior(given).log_prob(z)
    )


@pytest.mark.parametrize("latents", LATENTS)
def test_the_likelihoods_of_all_sentences_of_a_length_add_up_to_one(latents: Any) -> None:
    """So no token is predicted from itself or from what comes after it."""
    model = make(latents)
    every = torch.tensor(list(itertools.product(range(VOCABULARY), repeat=4)))
    z = some_z(model)[:, :1]

    total = model.log_likelihood(every, z).exp().sum(dim=-1)

    torch.testing.assert_close(total, torch.ones(K, dtype=torch.float64))


def test_a_tokens_likelihood_depends_on_no_later_token() -> None:
    """The Jacobian of tokens' likelihoods in what the decoder reads is lower triangular."""
    model = make()
    x = SENTENCES[1:2]
    read: list[Tensor] = []
    tokens_log_p: list[Tensor] = []
    model.decoder_embedding.register_forward_hook(lambda *call: read.append(call[-1]))
    model.softmax.register_forward_hook(lambda *call: tokens_log_p.append(call[-1]))

    model.log_likelihood(x, some_z(model)[:, 1:2])

    for place in range(x.shape[1]):
        (slope,) = torch.autograd.grad(
            tokens_log_p[0][:, 0, place].sum(), read[0], retain_graph=True
        )
        reach = slope[0].abs().sum(dim=-1)
        # What is read at a step is the token before.
        assert (reach[: place + 1] > 0).all()
        assert (reach[place + 1 :] == 0).all()


@pytest.mark.parametrize("latents", LATENTS)
def test_z_reaches_every_token(latents: Any) -> None:
    model = make(latents)
    tokens_log_p: list[Tensor] = []
    model.softmax.register_forward_hook(lambda *call: tokens_log_p.append(call[-1]))
    z = some_z(model)[:1, 1:2].requires_grad_()

    model.log_likelihood(SENTENCES[1:2], z)

    for log_p in tokens_log_p[0].flatten():
        (slope,) = torch.autograd.grad(log_p, z, retain_graph=True)
        assert (slope != 0).all()


# Padding and company --------------------------------------------------------------------------


def scores(model: SentenceLstm, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Give ln p(x|z) and ln q(z|x)."""
    return model.log_likelihood(x, z), model.posterior(x).log_prob(z)


@pytest.mark.parametrize("latents", LATENTS)
@pytest.mark.parametrize("columns", [1, 7])
def test_padding_changes_nothing(latents: Any, columns: int) -> None:
    model = make(latents)
    z = some_z(model)
    padded = nn.functional.pad(SENTENCES, (0, columns), value=PAD)

    torch.testing.assert_close(scores(model, padded, z), scores(model, SENTENCES, z), **EXACT)


@pytest.mark.parametrize("latents", LATENTS)
def test_the_order_of_a_batch_changes_nothing(latents: Any) -> None:
    model = make(latents)
    z = some_z(model)
    whole = scores(model, SENTENCES, z)

    for order in map(list, itertools.permutations(range(len(SENTENCES)))):
        expected = tuple(part[:, order] for part in whole)
        torch.testing.assert_close(scores(model, SENTENCES[order], z[:, order]), expected, **EXACT)


@pytest.mark.parametrize("latents", LATENTS)
def test_a_sentence_alone_is_a_sentence_in_company(latents: Any) -> None:
    model = make(latents)
    z = some_z(model)
    whole = scores(model, SENTENCES, z)

    for row, sentence in enumerate(SENTENCES):
        alone = sentence[sentence != PAD][None]
        expected = tuple(part[:, row : row + 1] for part in whole)
        torch.testing.assert_close(scores(model, alone, z[:, row : row + 1]), expected, **EXACT)


def test_padding_and_company_change_no_gradient() -> None:
    model = make()
    z = some_z(model)
    parameters = list(model.parameters())
    padded = nn.functional.pad(SENTENCES, (0, 3), value=PAD)

    together = torch.autograd.grad(
        sum(part.sum() for part in scores(model, padded, z)), parameters
    )
    alone = [
        torch.autograd.grad(
            sum(
                part.sum()
                for part in scores(model, sentence[sentence != PAD][None], z[:, row : row + 1])
            ),
            parameters,
        )
        for row, sentence in enumerate(SENTENCES)
    ]

    summed = [sum(parts) for parts in zip(*alone, strict=True)]
    torch.testing.assert_close(list(together), summed, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("latents", LATENTS)
def test_one_z_for_all_sentences_is_that_z_repeated(latents: Any) -> None:
    model = make(latents)
    z = some_z(model)[:, :1]
    repeated = z.repeat_interleave(len(SENTENCES), dim=1)

    torch.testing.assert_close(
        model.log_likelihood(SENTENCES, z), model.log_likelihood(SENTENCES, repeated), **EXACT
    )


# Dropout --------------------------------------------------------------------------------------

PLACES = ["input", "state", "output"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("masks", ["shared", "independent"])
def test_the_samples_of_a_sentence_share_masks_or_not(place: str, masks: str) -> None:
    model = make(masks=masks, **{place: 0.5}).train()
    x = SENTENCES[[1, 1, 1]]
    same_z = some_z(model, x)[:1, :1].expand(4, 3, -1)

    log_p = model.log_likelihood(x, same_z)

    assert (log_p[0] == log_p[1:]).all() == (masks == "shared")
    assert len(log_p[0].unique()) == 3  # sentences never share a mask
    assert not torch.equal(model.log_likelihood(x, same_z), log_p)  # nor do two passes
    model.eval()
    assert len(model.log_likelihood(x, same_z).unique()) == 1


@pytest.mark.parametrize("place", PLACES)
def test_every_step_has_a_mask_of_its_own(place: str) -> None:
    model = make(**{place: 0.5}).train()
    dropout = {
        "input": model.input_dropout,
        "state": model.decoder.state_dropout,
        "output": model.output_dropout,
    }[place]
    dropped: list[Tensor] = []
    dropout.register_forward_hook(lambda module, given, result: dropped.append(result == 0))
    x = torch.zeros(1, 30, dtype=torch.int64)

    model.log_likelihood(x, some_z(model, x))

    # The first state is zero in any case, so its mask cannot be seen.
    steps = dropped[1:] if place == "state" else list(dropped[0].unbind(dim=2))
    assert len(steps) >= 29
    assert len({tuple(step.flatten().tolist()) for step in steps}) > 5  # of 2^4 at least


@pytest.mark.parametrize("place", PLACES)
def test_each_rate_drops_in_its_place_alone(place: str) -> None:
    model = make(network="both", **{place: 0.5}).train()

    rates = {
        "input": [model.input_dropout.rate, model.encoder.input_dropout.rate],
        "state": [
            model.decoder.state_dropout.rate,
            model.encoder.lstm.forwards.state_dropout.rate,
            model.encoder.lstm.backwards.state_dropout.rate,
        ],
        "output": [model.output_dropout.rate, model.encoder.output_dropout.rate],
    }

    for name, found in rates.items():
        assert set(found) == {0.5 if name == place else 0.0}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("network", ["decoder", "both"])
def test_the_encoder_drops_units_only_where_it_is_asked_to(place: str, network: str) -> None:
    model = make(network=network, **{place: 0.5}).train()
    z = some_z(model)

    twice = [model.posterior(SENTENCES).log_prob(z) for _ in range(2)]
    model.eval()
    still = model.posterior(SENTENCES).log_prob(z)

    assert torch.equal(*twice) == (network == "decoder")
    assert torch.equal(twice[0], still) == (network == "decoder")


def test_every_parameter_gets_a_gradient() -> None:
    for latents in LATENTS:
        model = make(latents)
        log_p, log_q = scores(model, SENTENCES, some_z(model))

        (log_p.sum() + log_q.sum()).backward()

        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_the_sizes_are_the_published_ones_by_default() -> None:
    config = SentenceLstmConfig.model_validate(
        {"name": "sentence_lstm", "latents": {"kind": "gaussian"}}
    )
    shapes = {
        name: tuple(parameter.shape) for name, parameter in config.create(50).named_parameters()
    }

    assert shapes["encoder.embedding.weight"] == (50, 128)
    assert shapes["encoder.lstm.forwards.recurrent.weight"] == (512, 128)
    assert shapes["to_posterior.weight"] == (80, 128)
    assert shapes["decoder_embedding.weight"] == (51, 128)
    assert shapes["decoder.recurrent.weight"] == (512, 128)
    assert shapes["decoder.constant.weight"] == (512, 40)
