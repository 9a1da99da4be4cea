"""The order in which training sees its data: a function of the step and the seed alone."""

import pytest
import torch

from trainables.training import DataOrder


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (10, 5), (3, 8), (7, 1)])
def test_the_data_order_is_one_permutation_after_another(n: int, batch_size: int) -> None:
    order = DataOrder(n, batch_size, seed=3)
    steps = 4 * n  # whole epochs, whatever the batch size

    batches = [order.batch(step) for step in range(steps)]

    assert all(batch.shape == (batch_size,) for batch in batches)
    epochs = torch.cat(batches).view(-1, n)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(n))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) > 1
    # It depends on the step alone: neither on the steps asked for before, nor on their order.
    for step in (steps - 1, 0, steps // 2):
        assert torch.equal(DataOrder(n, batch_size, seed=3).batch(step), batches[step])
        assert torch.equal(order.batch(step), batches[step])


def test_seeds_have_orders_of_their_own() -> None:
    """Not even those of different epochs are shared."""
    orders = {
        tuple(DataOrder(20, 20, seed).batch(epoch).tolist())
        for seed in range(5)
        for epoch in range(5)
    }

    assert len(orders) == 25
