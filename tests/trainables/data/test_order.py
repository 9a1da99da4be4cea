"""The order in which training sees its data: a function of the step and the seed alone."""

import pytest
import torch

from trainables.data.order import DataOrder, ExactLengthOrder, exact_length_batches

LENGTHS = torch.tensor([3, 1, 3, 2, 3, 1, 3, 3, 5])


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


@pytest.mark.parametrize(
    ("n", "batch_size", "ends"),
    [
        (10, 5, [2, 4, 6, 8]),
        (10, 4, [3, 5, 8, 10]),  # the step that sees an epoch's last observation ends it
        (3, 8, [1, 2, 3, 4, 5, 6, 7, 8]),  # two or three epochs a step
    ],
)
def test_an_epoch_ends_with_its_last_observation(n: int, batch_size: int, ends: list[int]) -> None:
    order = DataOrder(n, batch_size, seed=0)

    assert [step for step in range(ends[-1] + 1) if order.ends_epoch(step)] == ends
    for step in range(ends[-1] + 1):
        assert order.passes(step) == step * batch_size / n
        assert order.epochs_over(step) == step * batch_size // n
    for epochs in range(1, 5):
        assert order.epochs_over(order.steps(epochs)) >= epochs
        assert order.epochs_over(order.steps(epochs) - 1) < epochs
    assert order.steps_per_epoch == order.steps(1)


def test_batches_of_one_length_have_all_sentences_once() -> None:
    batches = exact_length_batches(LENGTHS, 2)

    assert [batch.tolist() for batch in batches] == [[1, 5], [3], [0, 2], [4, 6], [7], [8]]


def test_an_epoch_of_batches_of_one_length_is_an_order_of_them_all() -> None:
    order = ExactLengthOrder(LENGTHS, 2, seed=3)
    batches = {tuple(batch.tolist()) for batch in order.batches}
    assert order.steps_per_epoch == len(batches) == 6

    steps = [tuple(order.batch(step).tolist()) for step in range(24)]

    epochs = [steps[start : start + 6] for start in range(0, 24, 6)]
    assert all(set(epoch) == batches for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    for step in (23, 0, 12):
        assert tuple(ExactLengthOrder(LENGTHS, 2, seed=3).batch(step).tolist()) == steps[step]
    assert [tuple(ExactLengthOrder(LENGTHS, 2, 4).batch(s).tolist()) for s in range(24)] != steps
    assert [step for step in range(25) if order.ends_epoch(step)] == [6, 12, 18, 24]
    assert (order.steps(4), order.passes(9), order.epochs_over(17)) == (24, 1.5, 2)


def test_a_random_batch_follows_the_global_generator_and_repeats_nothing() -> None:
    order = DataOrder(10, 4, seed=0)
    torch.manual_seed(0)
    drawn = [order.random() for _ in range(50)]

    assert all(len(set(batch.tolist())) == 4 for batch in drawn)
    assert set(torch.cat(drawn).tolist()) == set(range(10))
    torch.manual_seed(0)
    assert torch.equal(order.random(), drawn[0])
    assert sorted(DataOrder(3, 8, seed=0).random().tolist()) == [0, 1, 2]


def test_a_random_batch_of_one_length_is_one_of_the_batches() -> None:
    order = ExactLengthOrder(LENGTHS, 2, seed=0)
    torch.manual_seed(0)

    drawn = {tuple(order.random().tolist()) for _ in range(200)}

    assert drawn == {tuple(batch.tolist()) for batch in order.batches}
