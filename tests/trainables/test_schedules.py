"""The plateau rule on scripted losses, one after another."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trainables.schedules import Plateau, PlateauRule


def rule(**settings: Any) -> PlateauRule:
    return PlateauRule(Plateau.model_validate({"kind": "plateau", **settings}))


def decays(rule: PlateauRule, losses: list[float]) -> list[int]:
    """Give the epochs, from 0, after which the learning rate falls."""
    return [epoch for epoch, loss in enumerate(losses) if rule.judge(loss, epoch).decays]


def test_two_worse_losses_in_a_row_make_a_decay() -> None:
    losses = [5.0, 6.0, 4.0, 4.5, 4.2, 9.0, 3.0]
    #              worse        worse worse  once more, against 4.2

    assert decays(rule(first_epoch=0), losses) == [4]


def test_a_loss_that_equals_the_reference_is_not_worse() -> None:
    assert decays(rule(first_epoch=0), [5.0, 6.0, 5.0, 6.0, 5.0, 6.0, 7.0]) == [6]


def test_no_decay_comes_early_but_worse_losses_count_from_the_start() -> None:
    """The pitfall: a decay can fall on the first epoch that may have one."""
    losses = [1.0, *[2.0] * 20]

    assert decays(rule(max_decays=1), losses)[0] == 15
    assert decays(rule(max_decays=1), [3.0] * 14 + [1.0, 2.0, 2.0])[0] == 16
    assert decays(rule(max_decays=1), [3.0] * 13 + [1.0, 2.0, 2.0])[0] == 15


def test_a_decay_makes_the_current_and_worse_loss_the_reference() -> None:
    it = rule(first_epoch=0)
    assert decays(it, [1.0, 3.0, 4.0]) == [2]
    assert (it.best, it.reference) == (1.0, 4.0)

    assert decays(it, [3.5, 3.5, 3.4]) == []  # each no worse than the one before
    assert (it.best, it.reference) == (1.0, 3.4)
    assert decays(it, [3.5, 3.5]) == [1]


def test_against_the_best_only_a_new_best_counts() -> None:
    losses = [1.0, 3.0, 4.0, 3.5, 3.4, 0.9, 0.9, 0.95]

    assert decays(rule(first_epoch=0, against="best"), losses) == [2, 4, 7]
    assert decays(rule(first_epoch=0, against="reference"), losses) == [2]


def test_images_decay_after_twenty_epochs_without_a_new_best() -> None:
    it = rule(patience=20, first_epoch=0, against="best")

    assert decays(it, [2.0, 1.0, *[1.5] * 19, 0.5, *[0.6] * 41]) == [41, 61]


def test_the_best_is_the_lowest_of_all_losses() -> None:
    it = rule(first_epoch=0)
    best = [it.judge(loss, e).is_best for e, loss in enumerate([3.0, 2.0, 2.0, 4.0, 3.0, 1.0])]

    assert best == [True, True, False, False, False, True]


@pytest.mark.parametrize("max_decays", [1, 3, 5])
def test_training_stops_with_the_last_decay(max_decays: int) -> None:
    it = rule(first_epoch=0, patience=1, max_decays=max_decays)

    for epoch in range(max_decays + 1):  # ever worse: every epoch but the first decays
        assert not it.stops
        it.judge(float(epoch), epoch)

    assert it.stops


@given(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0]), max_size=30),
    st.sampled_from(["reference", "best"]),
    st.integers(0, 30),
)
def test_the_rule_continues_from_its_state(losses: list[float], against: str, at: int) -> None:
    whole, first, second = (rule(first_epoch=3, against=against) for _ in range(3))
    expected = [whole.judge(loss, epoch) for epoch, loss in enumerate(losses)]

    found = [first.judge(loss, epoch) for epoch, loss in enumerate(losses[:at])]
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    found += [second.judge(loss, epoch) for epoch, loss in enumerate(losses) if epoch >= at]

    assert found == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"factor": 0.0},
        {"factor": 1.0},
        {"patience": 0},
        {"first_epoch": -1},
        {"max_decays": 0},
        {"against": "worst"},
        {"every": 0},
        {"limit": 0},
        {"kind": "cosine"},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**settings)
