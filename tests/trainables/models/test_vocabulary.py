"""The vocabulary softmax against log_softmax and gather, in value and every gradient."""

import pytest
import torch
from torch import Tensor

from trainables.data.corpus import PAD
from trainables.models import vocabulary
from trainables.models.vocabulary import VocabularySoftmax

N_FEATURES, N_TOKENS = 3, 7


@pytest.fixture(params=["retaining", "recomputing"], autouse=True)
def _memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with the exponentials kept and made again, in several blocks of rows."""
    monkeypatch.setattr(vocabulary, "ROWS", 4)
    if request.param == "recomputing":
        monkeypatch.setattr(vocabulary, "RETAINED_BYTES", 0)
    torch.manual_seed(0)


def make(dtype: torch.dtype = torch.float64) -> VocabularySoftmax:
    return VocabularySoftmax(N_FEATURES, N_TOKENS).to(dtype)


def random_features(*shape: int) -> Tensor:
    return torch.randn(*shape, N_FEATURES, dtype=torch.float64, requires_grad=True)


def sentences() -> Tensor:
    """Draw tokens, `[2, 3, 4]`, some of which are padding."""
    tokens = torch.randint(N_TOKENS, (2, 3, 4))
    tokens[0, 1, 2:] = tokens[1, 0, 3:] = PAD
    return tokens


def reference(softmax: VocabularySoftmax, features: Tensor, tokens: Tensor) -> Tensor:
    logits = features @ softmax.logits.weight.T + softmax.logits.bias
    log_p = logits.log_softmax(dim=-1).gather(-1, tokens.clamp(min=0)[..., None])[..., 0]
    return log_p * (tokens != PAD)


def test_values_and_gradients_equal_those_of_log_softmax() -> None:
    softmax, features, tokens = make(), random_features(2, 3, 4), sentences()
    leaves = [features, softmax.logits.weight, softmax.logits.bias]

    log_p, expected = softmax(features, tokens), reference(softmax, features, tokens)
    upstream = torch.randn_like(expected)

    assert (log_p[tokens == PAD] == 0).all()
    torch.testing.assert_close(log_p, expected)
    torch.testing.assert_close(
        torch.autograd.grad(log_p, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    )


def test_gradients_equal_finite_differences() -> None:
    softmax, features, tokens = make(), random_features(6), torch.tensor([0, 6, 3, PAD, 3, 1])
    weight, bias = softmax.logits.weight, softmax.logits.bias

    def log_p(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(
            softmax, {"logits.weight": weight, "logits.bias": bias}, (features, tokens)
        )

    assert torch.autograd.gradcheck(log_p, (features, weight, bias))


def test_a_graph_can_be_differentiated_again_with_other_weights() -> None:
    """The row gradients are kept from the first time: they must be those of the new upstream."""
    softmax, features, tokens = make(), random_features(9), torch.randint(N_TOKENS, (9,))
    leaves = [features, softmax.logits.weight, softmax.logits.bias]
    log_p, expected = softmax(features, tokens), reference(softmax, features, tokens)

    for upstream in torch.randn(3, 9, dtype=torch.float64):
        torch.testing.assert_close(
            torch.autograd.grad(log_p, leaves, upstream, retain_graph=True),
            torch.autograd.grad(expected, leaves, upstream, retain_graph=True),
        )


def test_features_alone_can_be_differentiated_first() -> None:
    softmax, features, tokens = make(), random_features(9), torch.randint(N_TOKENS, (9,))
    log_p, expected = softmax(features, tokens), reference(softmax, features, tokens)

    first = torch.autograd.grad(log_p.sum(), features, retain_graph=True)
    torch.testing.assert_close(
        first, torch.autograd.grad(expected.sum(), features, retain_graph=True)
    )
    upstream = torch.randn_like(expected)
    leaves = [features, softmax.logits.weight, softmax.logits.bias]
    torch.testing.assert_close(
        torch.autograd.grad(log_p, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    )
    torch.testing.assert_close(
        first, torch.autograd.grad(softmax(features, tokens).sum(), features)
    )


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_only_what_is_wanted_gets_a_gradient(frozen: tuple[int, ...]) -> None:
    softmax, features, tokens = make(), random_features(9), torch.randint(N_TOKENS, (9,))
    leaves = [features, softmax.logits.weight, softmax.logits.bias]
    for index in frozen:
        leaves[index].requires_grad_(False)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]

    torch.testing.assert_close(
        torch.autograd.grad(softmax(features, tokens).sum(), wanted),
        torch.autograd.grad(reference(softmax, features, tokens).sum(), wanted),
    )


def test_graphs_alive_together_keep_their_own_values() -> None:
    softmax = make()
    leaves = [softmax.logits.weight, softmax.logits.bias]
    batches = [(random_features(n), torch.randint(N_TOKENS, (n,))) for n in (9, 9, 5, 20)]

    made = [softmax(*batch) for batch in batches]
    with torch.no_grad():
        softmax(random_features(30), torch.randint(N_TOKENS, (30,)))

    for log_p, batch in zip(made, batches, strict=True):
        expected = reference(softmax, *batch)
        torch.testing.assert_close(log_p, expected)
        torch.testing.assert_close(
            torch.autograd.grad(log_p.sum(), [batch[0], *leaves]),
            torch.autograd.grad(expected.sum(), [batch[0], *leaves]),
        )


def test_values_stay_when_another_batch_is_scored() -> None:
    softmax = make()
    features, tokens = random_features(9), torch.randint(N_TOKENS, (9,))

    with torch.no_grad():
        first = softmax(features, tokens)
        kept = first.clone()
        softmax(random_features(9), tokens)

    assert torch.equal(first, kept)


def test_changed_weights_are_not_differentiated_unnoticed() -> None:
    softmax, features, tokens = make(), random_features(9), torch.randint(N_TOKENS, (9,))
    log_p = softmax(features, tokens)

    with torch.no_grad():
        softmax.logits.weight.mul_(2)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        log_p.sum().backward()


def test_padding_alone_is_no_error() -> None:
    softmax, features = make(), random_features(3)

    log_p = softmax(features, torch.full((3,), PAD))

    assert torch.equal(log_p, torch.zeros(3, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(log_p.sum(), features)
    assert torch.equal(gradient, torch.zeros_like(features))


@pytest.mark.parametrize("scale", [1e3, 1e-3])
def test_large_logits_neither_overflow_nor_vanish(scale: float) -> None:
    softmax, features, tokens = make(torch.float32), random_features(9), torch.arange(9) % N_TOKENS
    features = (features * scale).float().detach().requires_grad_()

    log_p, expected = softmax(features, tokens), reference(softmax, features, tokens)

    torch.testing.assert_close(log_p, expected)
    torch.testing.assert_close(
        torch.autograd.grad(log_p.sum(), softmax.logits.weight),
        torch.autograd.grad(expected.sum(), softmax.logits.weight),
        rtol=1e-4,
        atol=1e-5 * scale,
    )


def test_the_probabilities_of_all_tokens_are_those_of_each() -> None:
    softmax, features = make(), random_features(2, 5)
    every = torch.arange(N_TOKENS).expand(2, 5, -1)

    each = softmax(features[:, :, None].expand(-1, -1, N_TOKENS, -1), every)

    torch.testing.assert_close(softmax.log_probabilities(features), each)
    torch.testing.assert_close(each.exp().sum(dim=-1), torch.ones(2, 5, dtype=torch.float64))


def test_without_biases_it_is_the_one_whose_biases_are_zero() -> None:
    bare, full = VocabularySoftmax(N_FEATURES, N_TOKENS, bias=False).double(), make()
    full.load_state_dict({**bare.state_dict(), "logits.bias": torch.zeros(N_TOKENS).double()})
    features, tokens = random_features(2, 3, 4), sentences()
    weights = bare.logits.weight, full.logits.weight
    upstream = torch.randn(2, 3, 4, dtype=torch.float64)

    made, expected = bare(features, tokens), reference(full, features, tokens)

    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(
        torch.autograd.grad(made, [features, weights[0]], upstream),
        torch.autograd.grad(expected, [features, weights[1]], upstream),
    )
    torch.testing.assert_close(bare.log_probabilities(features), full.log_probabilities(features))
    assert [name for name, _ in bare.named_parameters()] == ["logits.weight"]


@pytest.mark.parametrize("bias", [True, False])
def test_second_derivatives_equal_finite_differences_where_they_are_asked_for(bias: bool) -> None:
    softmax = VocabularySoftmax(N_FEATURES, N_TOKENS, bias=bias).double()
    features, tokens = random_features(6), torch.tensor([0, 6, 3, PAD, 3, 1])
    names = [f"logits.{name}" for name, _ in softmax.logits.named_parameters()]

    def log_p(features: Tensor, *parameters: Tensor) -> Tensor:
        named = dict(zip(names, parameters, strict=True))
        with vocabulary.second_derivatives():
            return torch.func.functional_call(softmax, named, (features, tokens))

    leaves = (features, *softmax.parameters())
    assert torch.autograd.gradcheck(log_p, leaves)
    assert torch.autograd.gradgradcheck(log_p, leaves)


def test_second_derivatives_are_refused_where_they_are_not_asked_for() -> None:
    softmax, features, tokens = make(), random_features(9), torch.randint(N_TOKENS, (9,))
    with vocabulary.second_derivatives():
        asked = softmax(features, tokens)
    log_p = softmax(features, tokens)

    torch.testing.assert_close(log_p, asked)
    for leaf in (features, softmax.logits.weight):
        torch.autograd.grad(asked.sum(), leaf, create_graph=True)
        with pytest.raises(RuntimeError, match="within `second_derivatives`"):
            torch.autograd.grad(log_p.sum(), leaf, create_graph=True)


def test_a_gpu_gets_more_rows_at_once_of_few_tokens() -> None:
    most = vocabulary.rows_at_once("cuda", 40_000)

    assert vocabulary.rows_at_once("cpu", 40_000) == vocabulary.ROWS
    assert most * 40_000 <= vocabulary.GPU_BYTES < (most + 1) * 40_000
    assert vocabulary.rows_at_once("cuda", 2**40) == vocabulary.ROWS
