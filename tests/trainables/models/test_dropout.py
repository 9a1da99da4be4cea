"""Dropout: what it scales, what it shares, when it rests."""

import pytest
import torch

from trainables.models.dropout import Dropout

RATES = [0.25, 0.8]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("shared", [True, False])
def test_units_are_zero_or_scaled_up_to_keep_the_mean(rate: float, shared: bool) -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 300, 100, dtype=torch.float64) + 1

    dropped = Dropout(rate)(values, share_first_axis=shared)
    kept = dropped != 0

    torch.testing.assert_close(dropped[kept], values[kept] / (1 - rate))
    # One mask has 30,000 independent units.
    error = (rate * (1 - rate) / 30_000) ** 0.5
    assert kept[0].double().mean().item() == pytest.approx(1 - rate, abs=4 * error)


def test_a_shared_mask_is_the_same_for_every_entry_of_the_first_axis() -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.5)
    ones = torch.ones(3, 20, 10)

    shared = dropout(ones, share_first_axis=True)
    independent = dropout(ones, share_first_axis=False)

    assert torch.equal(shared, shared[:1].expand(3, -1, -1))
    for mask in (shared, independent):  # along the other axes masks are never shared
        assert not torch.equal(mask[:, 0], mask[:, 1])
        assert not torch.equal(mask[..., 0], mask[..., 1])
    assert not torch.equal(independent[0], independent[1])


@pytest.mark.parametrize("shared", [True, False])
def test_every_call_draws_a_new_mask(shared: bool) -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.5)
    ones = torch.ones(2, 20, 10)

    first, second = (dropout(ones, share_first_axis=shared) for _ in range(2))

    assert not torch.equal(first, second)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_evaluation_drops_nothing(rate: float) -> None:
    values = torch.randn(3, 4)

    assert torch.equal(Dropout(rate).eval()(values, share_first_axis=True), values)


def test_gradients_pass_the_mask() -> None:
    values = torch.ones(2, 50, dtype=torch.float64, requires_grad=True)

    dropped = Dropout(0.5)(values, share_first_axis=False)
    (gradient,) = torch.autograd.grad(dropped.sum(), values)

    torch.testing.assert_close(gradient, dropped.detach())
