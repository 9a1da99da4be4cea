"""Spaces: conditions, order, corners, and the published ranges."""

import subprocess
import sys
from typing import Any

import optuna
import pytest
from pydantic import TypeAdapter

from search_spaces.distributions import Categorical, Float, Int, Parameter
from search_spaces.spaces import MAX_CORNERS, SPACES, Space

ADAPTER: TypeAdapter[Float | Int | Categorical] = TypeAdapter(Parameter)
optuna.logging.set_verbosity(optuna.logging.WARNING)


def space(**parameters: dict[str, Any]) -> Space:
    return Space({path: ADAPTER.validate_python(p) for path, p in parameters.items()})


def unit(**when: Any) -> dict[str, Any]:
    return {"kind": "float", "low": 0.0, "high": 1.0, "when": when}


def one_of(*choices: Any, **when: Any) -> dict[str, Any]:
    return {"kind": "categorical", "choices": choices, "when": when}


def test_a_parameter_comes_after_those_its_conditions_name() -> None:
    chained = space(c=unit(b="x"), b=one_of("x", "y", a="x"), a=one_of("x", "y"), d=unit())

    order = list(chained)

    assert order.index("a") < order.index("b") < order.index("c")
    assert set(order) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("parameters", "circle"),
    [
        ({"a": unit(a=0.5)}, "a → a"),
        ({"a": unit(b=0.5), "b": unit(a=0.5)}, r"(a → b → a|b → a → b)"),
    ],
)
def test_conditions_in_a_circle_are_refused(parameters: Any, circle: str) -> None:
    with pytest.raises(ValueError, match=f"conditions go round in a circle: {circle}$"):
        space(**parameters)


def test_only_active_parameters_are_sampled() -> None:
    conditional = space(a=one_of("x", "y"), b=unit(a="x"), c=unit(a=["x", "y"]))

    on = conditional.suggest(optuna.trial.FixedTrial({"a": "x", "b": 0.25, "c": 0.5}))
    off = conditional.suggest(optuna.trial.FixedTrial({"a": "y", "c": 0.5}))

    assert on == {"a": "x", "b": 0.25, "c": 0.5}
    assert off == {"a": "y", "c": 0.5}
    assert conditional.is_conditional
    assert not space(a=one_of("x", "y")).is_conditional


def test_active_values_are_told_from_the_others() -> None:
    conditional = space(a=one_of("x", "y"), b=unit(a="x"))

    assert conditional.active({"a": "y", "b": 0.5}) == {"a": "y"}
    assert conditional.active({"a": "x"}) == {"a": "x", "b": None}


def test_a_condition_on_an_inactive_parameter_is_about_what_the_trial_has_instead() -> None:
    conditional = space(a=one_of("x", "y"), b=one_of("x", "y", a="x"), c=unit(b="y"))

    defaulting_to_y = conditional.restrict({"b": "y"})
    without_default = conditional.restrict({})

    assert "c" in defaulting_to_y.active({"a": "y"})
    assert "c" not in without_default.active({"a": "y"})


def test_restricting_keeps_what_can_be_active() -> None:
    conditional = space(
        a=unit(fixed="on"),
        b=unit(fixed=["off", "on"]),
        c=unit(fixed=1),
        d=one_of("x", "y"),
        e=unit(d="x"),
        f=unit(d="z"),
        g=unit(a=0.5),
        h=unit(absent="on"),
    )

    assert set(conditional.restrict({"fixed": "on"})) == {"a", "b", "d", "e", "g"}
    assert set(conditional.restrict({"fixed": True})) == {"d", "e"}
    assert set(conditional.restrict({"fixed": 1})) == {"c", "d", "e"}


def test_corners_are_all_combinations_of_ends_and_of_values_that_conditions_name() -> None:
    parameters = space(
        a={"kind": "int", "low": 1, "high": 9}, b=one_of("x", "y"), c=unit(a=4, b="x")
    )

    corners = list(parameters.corners())

    assert {tuple(corner.items()) for corner in corners} == {
        *((("a", a), ("b", b)) for a in (1, 9) for b in "xy"),
        (("a", 4), ("b", "y")),
        *((("a", 4), ("b", "x"), ("c", c)) for c in (0.0, 1.0)),
    }


def test_a_space_without_parameters_has_one_corner() -> None:
    assert list(Space({}).corners()) == [{}]


def test_of_too_many_corners_the_same_are_drawn_each_time() -> None:
    large = space(**{f"p{i}": unit() for i in range(20)})

    corners = list(large.corners())

    assert len(corners) == MAX_CORNERS
    assert corners == list(large.corners())
    assert all({corner[path] for corner in corners} == {0.0, 1.0} for path in large)


def test_plain_values_read_back() -> None:
    parameters = SPACES["melis_table_2"]

    again = Space({p: ADAPTER.validate_python(d) for p, d in parameters.plain().items()})

    assert again == parameters


@pytest.mark.parametrize(
    ("path", "low", "high", "log"),
    [
        ("training.learning_rate", 1e-4, 1e-2, True),
        ("objective.lambda", -0.05, 0.9999, False),
        ("objective.alpha", 0.86, 16.0, True),
        ("model.dropout.input", 0.0, 0.9, False),
        ("model.dropout.state", 0.0, 0.8, False),
        ("model.dropout.output", 0.0, 0.95, False),
        ("training.l2", 5e-6, 1e-3, True),
    ],
)
def test_melis_table_2_has_the_published_ranges(
    path: str, low: float, high: float, log: bool
) -> None:
    parameter = SPACES["melis_table_2"][path]

    assert isinstance(parameter, Float)
    assert (parameter.low, parameter.high, parameter.log) == (low, high, log)


LEARNING_RATE, LAMBDA, ALPHA = "training.learning_rate", "objective.lambda", "objective.alpha"
DROPOUT = {"model.dropout.input", "model.dropout.state", "model.dropout.output"}


@pytest.mark.parametrize(
    ("objective", "model", "split", "swept"),
    [
        ("bound", "symbol_mlp", "train", {LEARNING_RATE}),
        ("kl", "symbol_mlp", "train", {LEARNING_RATE, LAMBDA}),
        ("renyi", "symbol_mlp", "train", {LEARNING_RATE, LAMBDA, ALPHA}),
        ("power", "sentence_lstm", "train", {LEARNING_RATE, ALPHA}),
        ("kl", "symbol_mlp", "validation", {LEARNING_RATE, LAMBDA, "training.l2"}),
        (
            "kl",
            "sentence_lstm",
            "validation",
            {LEARNING_RATE, LAMBDA, "training.l2", *DROPOUT},
        ),
    ],
)
def test_melis_table_2_sweeps_what_the_table_says_for_each_kind_of_run(
    objective: str, model: str, split: str, swept: set[str]
) -> None:
    fixed = {"objective.name": objective, "model.name": model, "evaluation.split": split}

    assert set(SPACES["melis_table_2"].restrict(fixed)) == swept


@pytest.mark.parametrize(
    ("path", "low", "high", "log"),
    [
        ("training.learning_rate", 1e-4, 1e-2, True),
        ("model.latents.variables", 1, 8, False),
        ("model.latents.categories", 2, 20, False),
        ("objective.beta", 0.01, 20.0, True),
        ("objective.decay", 0.9, 0.99999, True),
    ],
)
def test_melis_table_2_vq_has_the_published_ranges(
    path: str, low: float, high: float, log: bool
) -> None:
    parameter = SPACES["melis_table_2_vq"][path]

    assert isinstance(parameter, Float | Int)
    assert (parameter.low, parameter.high, parameter.log) == (low, high, log)


@pytest.mark.parametrize(
    ("model", "split", "held_out"),
    [
        ("symbol_mlp", "train", set()),
        ("symbol_mlp", "validation", {"training.l2"}),
        ("sentence_lstm", "validation", {"training.l2", *DROPOUT}),
    ],
)
def test_melis_table_2_vq_sweeps_codes_always_and_regularises_validation_runs(
    model: str, split: str, held_out: set[str]
) -> None:
    fixed = {"objective.name": "vq_vae", "model.name": model, "evaluation.split": split}
    always = {LEARNING_RATE, "objective.beta", "objective.decay"}
    always |= {"model.latents.variables", "model.latents.categories"}

    assert set(SPACES["melis_table_2_vq"].restrict(fixed)) == always | held_out
    for path in held_out:
        assert SPACES["melis_table_2_vq"][path] == SPACES["melis_table_2"][path]


def test_spaces_import_nothing_that_trains() -> None:
    code = (
        "import search_spaces.spaces, sys;"
        "print({'torch', 'ray', 'optuna', 'trainables', 'sweeper'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
