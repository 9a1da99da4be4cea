"""Distributions: what they hold, what they refuse, how they are sampled."""

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from search_spaces.distributions import Categorical, Float, Int, Parameter, same

ADAPTER: TypeAdapter[Float | Int | Categorical] = TypeAdapter(Parameter)
optuna.logging.set_verbosity(optuna.logging.WARNING)


def parse(**fields: Any) -> Float | Int | Categorical:
    return ADAPTER.validate_python(fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"kind": "float", "low": 2.0, "high": 1.0},
            "low must be below high; got low=2.0, high=1.0",
        ),
        (
            {"kind": "int", "low": 3, "high": 3},
            "low must be below high; got low=3, high=3; to fix a value, set it in the trial",
        ),
        (
            {"kind": "float", "low": 0, "high": 1, "log": True},
            "a log range must start above 0; got low=0.0",
        ),
        (
            {"kind": "float", "low": -1, "high": 1, "log": True},
            "a log range must start above 0; got low=-1.0",
        ),
        (
            {"kind": "int", "low": 0, "high": 8, "log": True},
            "a log range must start above 0; got low=0",
        ),
        (
            {"kind": "int", "low": 1, "high": 9, "log": True, "step": 2},
            "a log range takes no step; got step=2",
        ),
        (
            {"kind": "int", "low": 1, "high": 8, "step": 2},
            "step must lead from low to high; got low=1, high=8, step=2",
        ),
        (
            {"kind": "categorical", "choices": ["a", "b", "a"]},
            "choices must differ; 'a' is there twice",
        ),
        ({"kind": "categorical", "choices": [1, 1.0]}, "choices must differ; 1.0 is there twice"),
        (
            {"kind": "categorical", "choices": ["a", 1]},
            "choices must be all text, all numbers, or true and false",
        ),
        (
            {"kind": "categorical", "choices": [0, False, 2]},
            "choices must differ; False is there twice",
        ),
        (
            {"kind": "categorical", "choices": [2, False]},
            "choices must be all text, all numbers, or true and false",
        ),
        (
            {"kind": "categorical", "choices": ["a", None]},
            "a finite number, text, true or false was expected",
        ),
    ],
)
def test_what_is_no_distribution_is_refused_with_what_was_given(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as error:
        parse(**fields)

    assert [details["msg"] for details in error.value.errors()] == [f"Value error, {message}"]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "float", "low": "0", "high": 1},
        {"kind": "float", "low": True, "high": 2},
        {"kind": "float", "low": 0, "high": float("inf")},
        {"kind": "float", "low": 0, "high": float("nan")},
        {"kind": "float", "low": 0, "high": 1, "log": 1},
        {"kind": "float", "low": 0, "high": 1, "step": 1},
        {"kind": "int", "low": 0.0, "high": 1},
        {"kind": "int", "low": 0, "high": 2**53 + 1},
        {"kind": "int", "low": 0, "high": 1, "step": 0},
        {"kind": "categorical", "choices": ["a"]},
        {"kind": "categorical", "choices": "ab"},
        {"kind": "normal", "low": 0, "high": 1},
        {"low": 0, "high": 1},
        {"kind": "float", "low": 0, "high": 1, "when": {"a": []}},
        {"kind": "float", "low": 0, "high": 1, "when": {"a": {"b": 1}}},
        {"kind": "float", "low": 0, "high": 1, "when": ["a"]},
    ],
)
def test_types_are_strict_and_fields_are_known(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse(**fields)


def test_a_condition_has_one_value_or_several() -> None:
    one = parse(kind="float", low=0, high=1, when={"objective.name": "kl"})
    several = parse(kind="float", low=0, high=1, when={"objective.name": ["kl", "renyi"]})

    assert one.when == {"objective.name": ("kl",)}
    assert several.when == {"objective.name": ("kl", "renyi")}


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (
            parse(kind="float", low=0, high=1),
            [0, 0.0, 0.5, 1],
            [-1e-9, 1.1, True, "0.5", None, float("nan")],
        ),
        (parse(kind="int", low=1, high=7, step=3), [1, 4, 7], [0, 2, 10, 4.0, True, "4"]),
        (parse(kind="categorical", choices=[0, 1]), [0, 1, 1.0], [2, True, "1"]),
        (parse(kind="categorical", choices=[True, False]), [True, False], [0, 1, "true"]),
        (parse(kind="categorical", choices=["a", "b"]), ["a", "b"], ["c", 0]),
    ],
)
def test_it_contains_its_values_and_no_others(
    parameter: Float | Int | Categorical, inside: list[object], outside: list[object]
) -> None:
    assert [value for value in inside if not parameter.contains(value)] == []
    assert [value for value in outside if parameter.contains(value)] == []


def test_true_is_not_one() -> None:
    assert same(1, 1.0)
    assert same(True, True)
    assert not same(1, True)
    assert not same(False, 0.0)


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"kind": "float", "low": 0, "high": 1}, "float"),
        ({"kind": "int", "low": 0, "high": 1}, "int"),
        ({"kind": "categorical", "choices": [1, 2]}, "int"),
        ({"kind": "categorical", "choices": [1, 2.5]}, "float"),
        ({"kind": "categorical", "choices": [True, False]}, "bool"),
        ({"kind": "categorical", "choices": ["a", "b"]}, "str"),
    ],
)
def test_a_column_has_the_narrowest_type_that_holds_its_values(
    fields: dict[str, Any], column: str
) -> None:
    assert parse(**fields).column == column


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"kind": "float", "low": 1e-4, "high": 1e-2, "log": True},
            "float from 0.0001 to 0.01, log",
        ),
        ({"kind": "int", "low": 1, "high": 7, "step": 3}, "int from 1 to 7, step 3"),
        (
            {"kind": "categorical", "choices": [True, False], "when": {"a.b": ["x", "y"]}},
            "one of true, false when a.b is x, y",
        ),
    ],
)
def test_it_tells_in_a_few_words_what_is_sampled(fields: dict[str, Any], text: str) -> None:
    assert str(parse(**fields)) == text


bounds = st.floats(-1e6, 1e6)
floats = st.tuples(bounds, bounds).filter(lambda b: b[0] < b[1])
log_floats = st.tuples(st.floats(1e-9, 1e6), st.floats(1e-9, 1e6)).filter(lambda b: b[0] < b[1])
distributions = st.one_of(
    st.builds(lambda b: parse(kind="float", low=b[0], high=b[1]), floats),
    st.builds(lambda b: parse(kind="float", low=b[0], high=b[1], log=True), log_floats),
    st.builds(
        lambda low, n, step: parse(kind="int", low=low, high=low + n * step, step=step),
        st.integers(-100, 100),
        st.integers(1, 50),
        st.integers(1, 7),
    ),
    st.builds(
        lambda low, n: parse(kind="int", low=low, high=low + n, log=True),
        st.integers(1, 100),
        st.integers(1, 50),
    ),
    st.builds(
        lambda choices: parse(kind="categorical", choices=choices),
        st.lists(st.text(max_size=5), min_size=2, max_size=5, unique=True),
    ),
)


@given(distributions, st.integers(0, 2**31))
def test_what_optuna_samples_lies_within(parameter: Float | Int | Categorical, seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))

    value = parameter.suggest(study.ask(), "some.path")

    assert parameter.contains(value)


@given(distributions)
def test_it_contains_its_ends(parameter: Float | Int | Categorical) -> None:
    assert all(parameter.contains(end) for end in parameter.ends)


@given(distributions)
def test_its_plain_form_reads_back(parameter: Float | Int | Categorical) -> None:
    assert ADAPTER.validate_python(parameter.model_dump(mode="json")) == parameter
