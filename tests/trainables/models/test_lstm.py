"""The LSTM against one written out step by step, and against torch's."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from tests.oracles.unrolled_lstm import torch_lstm, unrolled
from trainables.models.lstm import BidirectionalLstm, Lstm

K, BATCH, TIME, INPUTS, HIDDEN, CONSTANT = 2, 4, 6, 3, 5, 2
LENGTHS = torch.tensor([3, 6, 1, 4])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make(*, n_constant: int = 0, state_dropout: float = 0.0) -> Lstm:
    return Lstm(INPUTS, HIDDEN, n_constant=n_constant, state_dropout=state_dropout).double()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def real(states: Tensor) -> Tensor:
    """Keep the states of tokens before the end of their sentence, `[K, tokens, hidden]`."""
    return states[:, torch.arange(states.shape[2]) < LENGTHS[:, None]]


def parameters(lstm: nn.Module) -> dict[str, Tensor]:
    return dict(lstm.named_parameters())


@pytest.mark.parametrize(("samples", "n_constant"), [(1, 0), (K, 0), (1, CONSTANT), (K, CONSTANT)])
def test_it_equals_one_written_out_in_values_and_gradients(samples: int, n_constant: int) -> None:
    lstm = make(n_constant=n_constant)
    inputs = random(samples, BATCH, TIME, INPUTS)
    constant = random(K, BATCH, n_constant) if n_constant else None
    leaves = [inputs, *([] if constant is None else [constant]), *lstm.parameters()]
    n_samples = K if n_constant else samples

    states = real(lstm(inputs, LENGTHS, constant))
    expected = torch.stack(
        [
            torch.cat(
                [
                    unrolled(
                        inputs[min(k, samples - 1), b, :length],
                        parameters(lstm),
                        constant=None if constant is None else constant[k, b],
                    )
                    for b, length in enumerate(LENGTHS.tolist())
                ]
            )
            for k in range(n_samples)
        ]
    )
    upstream = torch.randn_like(expected)

    torch.testing.assert_close(states, expected)
    torch.testing.assert_close(
        torch.autograd.grad(states, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    )


@pytest.mark.parametrize("n_constant", [0, CONSTANT])
def test_it_equals_torch_in_values_and_gradients(n_constant: int) -> None:
    lstm = make(n_constant=n_constant)
    reference = torch_lstm(parameters(lstm))
    inputs, constant = random(1, BATCH, TIME, INPUTS), random(1, BATCH, n_constant)
    everywhere = constant[0, :, None].expand(-1, TIME, -1)

    states = real(lstm(inputs, LENGTHS, constant if n_constant else None))
    expected = real(reference(torch.cat([inputs[0], everywhere], dim=-1))[0][None])
    upstream = torch.randn_like(expected)
    states.backward(upstream)
    gradients = (inputs.grad, constant.grad, lstm.recurrent.weight.grad)
    inputs.grad = constant.grad = None
    expected.backward(upstream)

    torch.testing.assert_close(states, expected)
    torch.testing.assert_close(gradients[0], inputs.grad)
    if n_constant:
        torch.testing.assert_close(gradients[1], constant.grad)
    take, keep, candidate, show = reference.weight_hh_l0.grad.chunk(4)
    torch.testing.assert_close(gradients[2], torch.cat([take, keep, show, candidate]))


def test_what_stands_after_the_end_of_a_sentence_changes_nothing() -> None:
    lstm = make(n_constant=CONSTANT)
    inputs, constant = random(K, BATCH, TIME, INPUTS), random(K, BATCH, CONSTANT)
    after = torch.arange(TIME) >= LENGTHS[:, None]
    noise = torch.where(after[..., None], 1e3, 0.0).double()

    states = lstm(inputs, LENGTHS, constant)
    (gradient,) = torch.autograd.grad(real(states).sum(), inputs)

    torch.testing.assert_close(
        real(lstm(inputs + noise, LENGTHS, constant)), real(states), rtol=0, atol=0
    )
    assert gradient[:, after].abs().max() == 0
    assert gradient[:, ~after].abs().min() > 0


def test_time_may_go_on_after_the_longest_sentence() -> None:
    lstm = make()
    inputs = random(1, BATCH, TIME + 3, INPUTS)

    longer = lstm(inputs, LENGTHS)

    assert longer.shape == (1, BATCH, TIME + 3, HIDDEN)
    torch.testing.assert_close(real(longer[:, :, :TIME]), real(lstm(inputs[:, :, :TIME], LENGTHS)))


def test_the_order_and_the_company_of_sentences_change_nothing() -> None:
    lstm = make(n_constant=CONSTANT)
    inputs, constant = random(K, BATCH, TIME, INPUTS), random(K, BATCH, CONSTANT)
    together = lstm(inputs, LENGTHS, constant)

    for order in itertools.permutations(range(BATCH)):
        part = list(order[: 1 + order[0] % BATCH])
        chosen = lstm(inputs[:, part], LENGTHS[part], constant[:, part])
        for row, sentence in enumerate(part):
            length = LENGTHS[sentence]
            torch.testing.assert_close(
                chosen[:, row, :length],
                together[:, sentence, :length],
                rtol=1e-12,
                atol=1e-14,
            )


def test_it_is_causal() -> None:
    lstm = make()
    inputs = random(1, 1, TIME, INPUTS)
    states = lstm(inputs, torch.tensor([TIME]))

    for step in range(TIME):
        (gradient,) = torch.autograd.grad(states[0, 0, step].sum(), inputs, retain_graph=True)
        reach = gradient[0, 0].abs().sum(dim=-1)
        assert (reach[: step + 1] > 0).all()
        assert (reach[step + 1 :] == 0).all()


class Masks(nn.Module):
    """Dropout whose masks, `[time, K, batch, hidden]` by place in the sorted batch, are given."""

    def __init__(self, masks: Tensor) -> None:
        super().__init__()
        self.masks, self.shared = masks, set()
        self.rows: list[int] = []  # how many sentences each step reads

    def forward(self, values: Tensor, *, share_first_axis: bool) -> Tensor:
        mask = self.masks[len(self.rows), :, : values.shape[1]]
        self.rows.append(values.shape[1])
        self.shared.add(share_first_axis)
        return values * mask


@pytest.mark.parametrize("shared", [True, False])
def test_state_dropout_masks_what_the_gates_read_and_neither_cell_nor_output(shared: bool) -> None:
    lstm = make(n_constant=CONSTANT)
    inputs, constant = random(1, BATCH, TIME, INPUTS), random(K, BATCH, CONSTANT)
    masks = torch.rand(TIME, K, BATCH, HIDDEN, dtype=torch.float64).round() * 2
    lstm.state_dropout = Masks(masks)

    states = lstm(inputs, LENGTHS, constant, share_masks=shared)

    longest_first = LENGTHS.argsort(descending=True, stable=True).tolist()
    for k, (place, b) in itertools.product(range(K), enumerate(longest_first)):
        length = int(LENGTHS[b])
        expected = unrolled(
            inputs[0, b, :length],
            parameters(lstm),
            constant=constant[k, b],
            masks=masks[:, k, place],
        )
        torch.testing.assert_close(states[k, b, :length], expected)
    assert lstm.state_dropout.rows == [4, 3, 3, 2, 1, 1]  # none that is over
    assert lstm.state_dropout.shared == {shared}


@pytest.mark.parametrize("shared", [True, False])
def test_samples_share_state_masks_or_not(shared: bool) -> None:
    lstm = make(n_constant=CONSTANT, state_dropout=0.5)
    inputs = random(1, BATCH, TIME, INPUTS)
    constant = random(1, BATCH, CONSTANT).expand(3, -1, -1)
    twins = inputs[:, :1].expand(-1, BATCH, -1, -1)
    lengths = torch.full((BATCH,), TIME)

    states = lstm(inputs, lengths, constant, share_masks=shared)
    of_twins = lstm(twins, lengths, constant[:, :1].expand(-1, BATCH, -1), share_masks=shared)

    torch.testing.assert_close(states[:, :, 0], states[:1, :, 0].expand(3, -1, -1))
    assert torch.equal(states[0], states[1]) == shared
    assert not torch.equal(of_twins[0, 0], of_twins[0, 1])  # sentences never share
    lstm.eval()
    assert torch.equal(*lstm(inputs, lengths, constant, share_masks=shared)[:2])


def test_reading_from_both_ends_gives_the_mean_of_two_last_states() -> None:
    both = BidirectionalLstm(INPUTS, HIDDEN).double()
    inputs = random(BATCH, TIME, INPUTS)
    ahead, back = (torch_lstm(parameters(lstm)) for lstm in (both.forwards, both.backwards))
    leaves = [inputs, *both.parameters()]

    result = both(inputs, LENGTHS)
    expected = []
    for sentence, length in zip(inputs, LENGTHS.tolist(), strict=True):
        last_ahead = ahead(sentence[None, :length])[0][0, -1]
        last_back = back(sentence[None, :length].flip(1))[0][0, -1]
        expected.append((last_ahead + last_back) / 2)
    written_out = torch.stack(
        [
            (
                unrolled(sentence[:length], parameters(both.forwards))[-1]
                + unrolled(sentence[:length].flip(0), parameters(both.backwards))[-1]
            )
            / 2
            for sentence, length in zip(inputs, LENGTHS.tolist(), strict=True)
        ]
    )
    upstream = torch.randn_like(result)

    torch.testing.assert_close(result, torch.stack(expected))
    torch.testing.assert_close(
        torch.autograd.grad(result, leaves, upstream),
        torch.autograd.grad(written_out, leaves, upstream),
    )


def test_reading_from_both_ends_ignores_what_stands_after_the_end() -> None:
    both = BidirectionalLstm(INPUTS, HIDDEN).double()
    inputs = random(BATCH, TIME, INPUTS)
    after = torch.arange(TIME) >= LENGTHS[:, None]

    result = both(inputs, LENGTHS)
    (gradient,) = torch.autograd.grad(result.sum(), inputs)

    assert gradient[after].abs().max() == 0
    assert gradient[~after].abs().min() > 0
    torch.testing.assert_close(both(inputs + after[..., None] * 100, LENGTHS), result)


def test_weights_start_within_the_published_range() -> None:
    lstm = Lstm(64, 100, n_constant=10)

    for parameter in lstm.parameters():
        assert parameter.abs().max() <= 0.1
        assert parameter.abs().max() > 0.095


@pytest.mark.parametrize("n_constant", [0, CONSTANT])
def test_from_a_given_state_it_equals_torch_in_values_and_gradients(n_constant: int) -> None:
    lstm = make(n_constant=n_constant)
    reference = torch_lstm(parameters(lstm))
    inputs, constant = random(1, BATCH, TIME, INPUTS), random(K, BATCH, n_constant)
    initial = random(K, BATCH, HIDDEN), random(K, BATCH, HIDDEN)
    leaves = [inputs, *initial, *([constant] if n_constant else [])]

    states = real(lstm(inputs, LENGTHS, constant if n_constant else None, initial=initial))
    expected = real(
        torch.stack(
            [
                reference(
                    torch.cat([inputs[0], constant[k, :, None].expand(-1, TIME, -1)], dim=-1),
                    (initial[0][k][None], initial[1][k][None]),
                )[0]
                for k in range(K)
            ]
        )
    )
    upstream = torch.randn_like(expected)

    torch.testing.assert_close(states, expected)
    torch.testing.assert_close(
        torch.autograd.grad(states, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    )


def test_a_state_of_zeros_is_where_it_starts_otherwise() -> None:
    lstm = make(n_constant=CONSTANT)
    inputs, constant = random(K, BATCH, TIME, INPUTS), random(K, BATCH, CONSTANT)
    zeros = torch.zeros(K, BATCH, HIDDEN, dtype=torch.float64)

    told = lstm(inputs, LENGTHS, constant, initial=(zeros, zeros))

    assert torch.equal(told, lstm(inputs, LENGTHS, constant))
