"""The proposal where q(z|x) is certain of one z, against all values of z."""

import math

import pytest
import torch
from torch import Tensor

from trainables.evaluation.certain import FLATTENED, SPREAD, conditional_proposal
from trainables.evaluation.importance import encode, score
from trainables.models import Model
from trainables.models.latents import VqLatents
from trainables.models.sentence import SentenceLstmConfig
from trainables.models.symbol import SymbolMlpConfig
from trainables.models.vq import VqModel

LATENTS = VqLatents(kind="vq", variables=2, categories=3, dimension=2)
N = 8


def symbols() -> tuple[Model, Tensor]:
    torch.manual_seed(2)
    config = SymbolMlpConfig(name="symbol_mlp", latents=LATENTS, embedding=4, hidden=5)
    return spread(config.create(N)), torch.arange(N)


def sentences() -> tuple[Model, Tensor]:
    torch.manual_seed(2)
    sizes = {"embedding": 3, "encoder_hidden": 4, "decoder_hidden": 4}
    model = SentenceLstmConfig(name="sentence_lstm", latents=LATENTS, **sizes).create(5)
    x = torch.randint(5, (N, 4))
    x[: N // 2, 2:] = -1
    return spread(model), x


def spread(model: Model) -> Model:
    """Let codes differ, and the decoder care."""
    assert isinstance(model, VqModel)
    with torch.no_grad():
        model.codebook.codes.copy_(3 * torch.randn_like(model.codebook.codes))
        for name, parameter in model.base.named_parameters():
            if name.startswith(("decoder", "softmax")):
                parameter.mul_(8)
    return model.double().eval()


def joint(model: Model, x: Tensor) -> Tensor:
    """Give ln p(x|z) of all z, `[N, 3, 3]`."""
    one_hot = torch.eye(3).double()
    pairs = [torch.stack([one_hot[a], one_hot[b]]) for a in range(3) for b in range(3)]
    with torch.no_grad():
        return model.log_likelihood(x, torch.stack(pairs)[:, None]).T.reshape(len(x), 3, 3)


@pytest.mark.parametrize("made", [symbols, sentences])
def test_it_is_made_of_conditionals_round_where_they_lead_from_the_code(made) -> None:
    model, x = made()
    log_p = joint(model, x)
    parameters = encode(model, x, 100)
    first, second = parameters.view(N, 2, 3).argmax(dim=-1).T

    found = conditional_proposal(model, x, parameters).view(N, 2, 3)

    moved = 0
    for i in range(N):
        a = log_p[i, :, second[i]].argmax()  # the first variable goes where the second leaves it
        b = log_p[i, a].argmax()
        moved += int((a, b) != (first[i], second[i]))
        for logits, likelihood in ((found[i, 0], log_p[i, :, b]), (found[i, 1], log_p[i, a])):
            flat = (FLATTENED * likelihood).softmax(dim=0)
            torch.testing.assert_close(logits.exp(), (1 - SPREAD) * flat + SPREAD / 3)
    assert moved > 1


def test_every_z_may_be_proposed() -> None:
    model, x = symbols()
    proposal = conditional_proposal(model, x, encode(model, x, 100)).view(N, 2, 3).exp()

    torch.testing.assert_close(proposal.sum(dim=-1), torch.ones(N, 2).double())
    assert (proposal > 0.99 * SPREAD / 3).all()


@pytest.mark.parametrize("made", [symbols, sentences])
def test_estimates_agree_with_the_sum_over_all_z(made) -> None:
    model, x = made()
    log_p = joint(model, x).flatten(1)
    truth = log_p.logsumexp(dim=1) - math.log(9)
    information = (log_p.softmax(dim=1) * log_p).sum(dim=1) - truth

    torch.manual_seed(0)
    found = score(model, x, 3_000, conditional_proposal(model, x, encode(model, x, 100)))

    assert information.max() > 0.5  # the posterior is none of the prior
    assert ((found.log_p - truth).abs() < 4.5 * found.log_p_variance.sqrt() + 1e-9).all()
    assert ((found.mi - information).abs() < 4.5 * found.mi_variance.sqrt() + 1e-9).all()
    torch.testing.assert_close(found.log_p, truth, atol=0.1, rtol=0)


def test_few_at_a_time_propose_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = sentences()
    parameters = encode(model, x, 100)
    whole = conditional_proposal(model, x, parameters)

    monkeypatch.setattr("trainables.evaluation.certain.SAMPLES_AT_ONCE", 2)

    torch.testing.assert_close(conditional_proposal(model, x, parameters), whole)
