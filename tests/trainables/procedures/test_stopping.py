"""The stopping rules of aggressive training on scripted figures."""

import copy
from typing import Any

import pytest
import torch

from trainables.procedures.stopping import (
    BelowBestRule,
    BlockMeans,
    FallsRule,
    InformationRule,
)


def left_at(size: int, losses: list[float], weights: list[int] | None = None) -> int | None:
    """Give the update, from 1, after which the loop is left."""
    blocks = BlockMeans(size)
    weights = weights or [1] * len(losses)
    for update, (loss, weight) in enumerate(zip(losses, weights, strict=True), start=1):
        if blocks.leaves(loss, weight):
            return update
    return None


@pytest.mark.parametrize(
    ("losses", "update"),
    [
        ([9.0, 9.0, 9.0], None),  # nothing to compare the first block with
        ([5.0, 6.0, 5.0, 5.0, 5.0, 7.0], 6),
        ([5.0, 5.0, 6.0], None),  # the second block is not over
        ([5.0, 5.0, 5.0, 5.0], None),  # not higher
        ([5.0, 5.0, 9.0, 0.0, 3.0, 3.0, 3.0, 3.5, 0.0, 0.0], 8),  # by the means alone
        ([1.0, 1.0, 0.0, 0.0, 0.5, 0.6], 6),  # against the block before, not the first
    ],
)
def test_a_block_with_a_higher_mean_ends_the_inner_loop(
    losses: list[float], update: int | None
) -> None:
    assert left_at(2, losses) == update


def test_a_mean_is_that_of_the_tokens_not_of_the_batches() -> None:
    # 10 and 8 a token: falling; as sums, or as means of means, 6 to 8 would be rising.
    assert left_at(2, [2.0, 98.0, 400.0, 400.0], [1, 9, 50, 50]) is None
    assert left_at(2, [2.0, 98.0, 4.0, 10.0], [1, 9, 1, 0]) == 4


def test_losses_may_be_tensors() -> None:
    blocks = BlockMeans(1)

    assert not blocks.leaves(torch.tensor(4.0), torch.tensor(2))
    assert not blocks.leaves(torch.tensor(3.0), 2)
    assert blocks.leaves(torch.tensor(3.2), torch.tensor(2))


def ended_at(rule: InformationRule, figures: list[float]) -> int | None:
    """Give the epoch, from 1, after which the phase is over."""
    for epoch, mi in enumerate(figures, start=1):
        if rule.ends(mi):
            return epoch
    return None


@pytest.mark.parametrize(
    ("figures", "epoch"),
    [
        ([-0.1, 0.5, 0.5, 0.7, 0.6, 0.9], 5),
        ([-0.1, 0.0, 0.1], None),  # the first has none before it
        ([3.0, 2.9], 2),
        ([3.0, 3.0, 3.0], None),
    ],
)
def test_text_is_over_with_the_first_fall(figures: list[float], epoch: int | None) -> None:
    assert ended_at(FallsRule(), figures) == epoch


@pytest.mark.parametrize(
    ("figures", "epoch"),
    [
        # below:   1    2         3         4    5
        ([1.0, 0.9, 0.95, 1.2, 1.1, 1.2, 1.0, 1.15, 2.0], 8),
        ([1.0, 0.9, 0.9, 0.9, 0.9], None),
        ([-0.1, -0.2, -0.3, -0.3, -0.2, -0.11, 3.0], 6),
    ],
)
def test_images_are_over_with_the_fifth_epoch_below_the_best_in_a_row_or_not(
    figures: list[float], epoch: int | None
) -> None:
    assert ended_at(BelowBestRule(5), figures) == epoch


@pytest.mark.parametrize("new", [FallsRule, lambda: BelowBestRule(3)])
@pytest.mark.parametrize("at", range(9))
def test_rules_continue_from_their_state(new: Any, at: int) -> None:
    figures = [1.0, 2.0, 2.0, 3.0, 2.0, 2.5, 1.0, 4.0, 0.0]
    whole, first, second = new(), new(), new()
    expected = [whole.ends(mi) for mi in figures]

    found = [first.ends(mi) for mi in figures[:at]]
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    found += [second.ends(mi) for mi in figures[at:]]

    assert found == expected
    assert True in expected
