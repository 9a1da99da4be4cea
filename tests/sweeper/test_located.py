"""Located values and the problems found there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.located import Node, Place, Problem, Problems, describe, nearest, unknown

HERE = Place("x.yaml", 3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below),
    max_leaves=20,
)


@given(values)
def test_plain_values_survive_being_located(plain: Any) -> None:
    assert Node.of(plain, HERE).plain() == plain


def test_a_path_leads_through_keys_and_indices() -> None:
    node = Node.of({"a": [{"b": 1}], "c": 2}, HERE)

    assert node.at() is node
    assert node.at("a", 0, "b") == Node(1, HERE)
    assert [node.at(*path) for path in (["b"], ["a", 1], ["a", "b"], ["c", "b"])] == [None] * 4


def test_leaves_are_all_values_but_mappings_that_hold_some() -> None:
    node = Node.of({"a": {"b": 1, "c": {}}, "d": [2, {}], "e": None}, HERE)

    assert [path for path, _ in node.leaves()] == [("a", "b"), ("a", "c"), ("d",), ("e",)]


def test_a_problem_is_one_line_of_place_field_and_message() -> None:
    assert str(Problem(HERE, "a.b", "is wrong")) == "x.yaml:3: a.b: is wrong"
    assert str(Problem(Place("--set a=1"), "", "is wrong")) == "--set a=1: is wrong"
    assert str(Problem(HERE, "a\n\x1b[31m", "é")) == "x.yaml:3: a\\n\\x1b[31m: é"


def test_problems_are_told_by_file_and_line_and_the_command_line_last() -> None:
    problems = Problems("x.yaml")
    for place in (Place("--set a=1"), Place("b", 10), Place("b", 9), Place("a", 11)):
        problems.add(place, "field", "is wrong")
        problems.add(place, "field", "is wrong")

    assert str(problems.error()).splitlines() == [
        "x.yaml is not a valid experiment:",
        "  a:11: field: is wrong",
        "  b:9: field: is wrong",
        "  b:10: field: is wrong",
        "  --set a=1: field: is wrong",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (1e-5, "1e-05"),
        (10**90, f"1{'0' * 59}…"),
        ("x", "the text 'x'"),
        ("x" * 61, f"the text '{'x' * 60}…'"),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
    ],
)
def test_values_are_described_as_yaml_has_them(value: Any, text: str) -> None:
    assert describe(value) == text


def test_an_unknown_name_comes_with_the_nearest_or_with_all() -> None:
    assert nearest("stesp", ["steps", "l2"]) == "; did you mean 'steps'?"
    assert nearest("x", ["steps", "l2"]) == ""
    assert unknown("key", "stesp", ["steps"]) == "unknown key 'stesp'; did you mean 'steps'?"
    assert unknown("value", 3, ["steps", "l2"]) == "unknown value 3; known: l2, steps"
