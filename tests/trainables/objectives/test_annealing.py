"""Annealing schedules at their corners, and what their configurations refuse."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trainables.objectives.annealing import Annealing, cyclical, linear, sigmoid

PARSE: TypeAdapter[Any] = TypeAdapter(Annealing)


@pytest.mark.parametrize(
    ("step", "weight"), [(0, 0.1), (1, 0.28), (2, 0.46), (4, 0.82), (5, 1.0), (6, 1.0)]
)
def test_a_line_rises_from_its_start_by_the_same_at_every_step(step: int, weight: float) -> None:
    assert linear(step, 5, 0.1) == pytest.approx(weight, abs=1e-15)


@pytest.mark.parametrize(
    ("step", "exponent"), [(0, 5.0), (2, 4.0), (9, 0.5), (10, 0.0), (12, -1.0), (19, -4.5)]
)
def test_a_sigmoid_crosses_a_half_in_the_middle(step: int, exponent: float) -> None:
    assert sigmoid(step, 20) == pytest.approx(1 / (1 + math.exp(exponent)), abs=1e-15)


def test_a_sigmoid_is_one_at_its_end_and_not_before() -> None:
    assert sigmoid(19, 20) < 0.99
    assert sigmoid(20, 20) == sigmoid(21, 20) == sigmoid(10**9, 20) == 1.0


def test_four_cycles_start_from_zero_and_spend_half_their_time_at_one() -> None:
    one = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]

    assert [cyclical(step, 32, 4, 0.5) for step in range(35)] == [*one * 4, 1.0, 1.0, 1.0]


def test_cycles_need_not_divide_the_steps() -> None:
    """Periods of 10/3 steps: 0, 0.3, 0.6, 0.9 of the first, 0.2, 0.5, 0.8 of the second, ..."""
    weights = [cyclical(step, 10, 3, 0.5) for step in range(11)]

    expected = [0, 0.6, 1, 1, 0.4, 1, 1, 0.2, 0.8, 1, 1]
    assert weights == pytest.approx(expected, abs=1e-15)


def test_the_rise_is_a_share_of_a_period() -> None:
    assert [cyclical(step, 8, 2, 1.0) for step in range(9)] == [0, 0.25, 0.5, 0.75] * 2 + [1]
    assert [cyclical(step, 8, 2, 0.25) for step in range(9)] == [0, 1, 1, 1] * 2 + [1]


@given(steps=st.integers(1, 200), start=st.floats(0, 1), cycles=st.integers(1, 9))
def test_weights_lie_between_zero_and_one_and_rise(steps: int, start: float, cycles: int) -> None:
    whole = range(steps + 2)
    lines = [linear(step, steps, start) for step in whole]
    sigmoids = [sigmoid(step, steps) for step in whole]
    saws = [cyclical(step, steps, cycles, 0.5) for step in whole]

    assert lines == sorted(lines)
    assert sigmoids == sorted(sigmoids)
    for step in range(steps):
        same_period = step * cycles // steps == (step + 1) * cycles // steps
        assert saws[step] <= saws[step + 1] or not same_period
    for weights in (lines, sigmoids, saws):
        assert all(0 <= weight <= 1 for weight in weights)
        assert weights[-2:] == [1.0, 1.0]


def test_epochs_are_counted_in_their_steps() -> None:
    schedule = PARSE.validate_python({"kind": "linear", "start": 0.0, "epochs": 2})

    assert [schedule.weight(step, 5) for step in (0, 1, 9, 10)] == [0.0, 0.1, 0.9, 1.0]
    assert [schedule.weight(step, 1) for step in (0, 1, 2)] == [0.0, 0.5, 1.0]


def test_a_part_of_an_epoch_is_at_least_one_step() -> None:
    schedule = PARSE.validate_python({"kind": "linear", "start": 0.0, "epochs": 0.1})

    assert [schedule.weight(step, 20) for step in (0, 1, 2)] == [0.0, 0.5, 1.0]
    assert [schedule.weight(step, 2) for step in (0, 1)] == [0.0, 1.0]


def test_steps_do_not_depend_on_the_epoch() -> None:
    schedule = PARSE.validate_python({"kind": "cyclical", "steps": 32})

    assert schedule.weight(2, 1) == schedule.weight(2, 1000) == 0.5


def test_without_a_duration_the_published_one_is_filled_in() -> None:
    line, curve = (PARSE.validate_python({"kind": kind}) for kind in ("linear", "sigmoid"))

    assert line.model_dump() == {"steps": None, "epochs": 10.0, "kind": "linear", "start": 0.1}
    assert curve.model_dump() == {"steps": 10_000, "epochs": None, "kind": "sigmoid"}
    for schedule in (line, curve, PARSE.validate_python({"kind": "linear", "steps": 3})):
        assert PARSE.validate_python(schedule.model_dump()) == schedule
        assert PARSE.validate_python(schedule) == schedule


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "linear", "steps": 10, "epochs": 1}, "either in steps or in epochs"),
        ({"kind": "cyclical"}, "either in steps or in epochs"),
        ({"kind": "linear", "steps": 0}, "greater than 0"),
        ({"kind": "linear", "epochs": 0.0}, "greater than 0"),
        ({"kind": "linear", "start": 1.1}, "less than or equal to 1"),
        ({"kind": "linear", "start": -0.1}, "greater than or equal to 0"),
        ({"kind": "linear", "cycles": 4}, "Extra inputs are not permitted"),
        ({"kind": "cyclical", "steps": 9, "cycles": 0}, "greater than 0"),
        ({"kind": "cyclical", "steps": 9, "rise": 0.0}, "greater than 0"),
        ({"kind": "cyclical", "steps": 9, "rise": 1.5}, "less than or equal to 1"),
        ({"kind": "cosine", "steps": 9}, "'linear', 'sigmoid', 'cyclical'"),
        ({"steps": 9}, "Unable to extract tag using discriminator 'kind'"),
    ],
)
def test_schedules_that_cannot_be_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PARSE.validate_python(config)
    assert message in str(refusal.value)
