"""Configuration classes seen from a file: fields, defaults, what is wrong with a value."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PositiveInt, TypeAdapter, ValidationError, model_validator

from sweeper.fields import choices, faults, find_fields, leaf_paths, matching, value_at
from trainables.config import Config


class Pair(Config):
    first: PositiveInt
    second: PositiveInt


class Cat(Config):
    name: Literal["cat"]
    lives: PositiveInt = 9
    coat: Literal["long", "short"] = "short"
    samples: PositiveInt | Pair = 1


class Dog(Config):
    name: Literal["dog"]
    lambda_: Annotated[float, Field(alias="lambda", le=1)]
    weights: Annotated[tuple[float, float], Field(strict=False)] = (0.0, 1.0)

    @model_validator(mode="after")
    def _is_consistent(self) -> "Dog":
        if self.lambda_ == 0:
            raise ValueError("a dog needs a lambda")
        return self


class Basket(Config):
    wide: bool = True


class Home(Config):
    animal: Annotated[Cat | Dog, Field(discriminator="name")]
    basket: Basket = Basket()
    rooms: PositiveInt
    note: str | None = None


CAT, DOG = {"name": "cat"}, {"name": "dog", "lambda": 0.5}


def wrong(value: Any, annotation: Any = Home) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(annotation).validate_python(value)
    found = faults(error.value, annotation, value)
    return [(".".join(map(str, fault.path)), fault.message) for fault in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"animal": CAT}, [("rooms", "is required")]),
        (
            {"animal": CAT, "roms": 1},
            [
                ("rooms", "is required"),
                ("roms", "unknown key 'roms'; did you mean 'rooms'?"),
            ],
        ),
        (
            {"animal": {**CAT, "lambda": 1}, "rooms": 1},
            [("animal.lambda", "unknown key 'lambda'; known: coat, lives, name, samples")],
        ),
        (
            {"animal": {"name": "dog", "lamda": 1}, "rooms": 1},
            [
                ("animal.lambda", "is required"),
                ("animal.lamda", "unknown key 'lamda'; did you mean 'lambda'?"),
            ],
        ),
        (
            {"animal": {"name": "dgo"}, "rooms": 1},
            [("animal.name", "unknown name 'dgo'; did you mean 'dog'?")],
        ),
        ({"animal": {}, "rooms": 1}, [("animal.name", "is required; known: cat, dog")]),
        ({"animal": 3, "rooms": 1}, [("animal", "a mapping was expected, got 3")]),
        (
            {"animal": {**CAT, "coat": "shrot"}, "rooms": 1},
            [("animal.coat", "unknown value 'shrot'; did you mean 'short'?")],
        ),
        (
            {"animal": {**CAT, "coat": True}, "rooms": 1},
            [("animal.coat", "unknown value true; known: long, short")],
        ),
        (
            {"animal": CAT, "rooms": "3"},
            [("rooms", "a whole number was expected, got the text '3'")],
        ),
        ({"animal": CAT, "rooms": 2.5}, [("rooms", "a whole number was expected, got 2.5")]),
        ({"animal": CAT, "rooms": True}, [("rooms", "a whole number was expected, got true")]),
        ({"animal": CAT, "rooms": None}, [("rooms", "a whole number was expected, got nothing")]),
        ({"animal": CAT, "rooms": 0}, [("rooms", "must be greater than 0, got 0")]),
        (
            {"animal": CAT, "rooms": 1, "basket": [1]},
            [("basket", "a mapping was expected, got a list")],
        ),
        (
            {"animal": CAT, "rooms": 1, "basket": {"wide": "yes"}},
            [("basket.wide", "true or false was expected, got the text 'yes'")],
        ),
        (
            {"animal": CAT, "rooms": 1, "note": {"a": 1}},
            [("note", "text was expected, got a mapping")],
        ),
        (
            {"animal": {**DOG, "lambda": 2}, "rooms": 1},
            [("animal.lambda", "must be less than or equal to 1, got 2")],
        ),
        (
            {"animal": {**DOG, "lambda": float("nan")}, "rooms": 1},
            [("animal.lambda", "must be a finite number, got nan")],
        ),
        ({"animal": {**DOG, "lambda": 0}, "rooms": 1}, [("animal", "a dog needs a lambda")]),
        (
            {"animal": {**DOG, "weights": [1, "x"]}, "rooms": 1},
            [("animal.weights.1", "a number was expected, got the text 'x'")],
        ),
        (
            {"animal": {**DOG, "weights": [1, 2, 3]}, "rooms": 1},
            [("animal.weights", "at most 2 values were expected, got 3")],
        ),
        (
            {"animal": {**DOG, "weights": 1}, "rooms": 1},
            [("animal.weights", "a list was expected, got 1")],
        ),
    ],
)
def test_a_fault_names_its_field_what_was_expected_and_what_was_there(
    value: Any, expected: list[tuple[str, str]]
) -> None:
    assert wrong(value) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ("x", [("samples", "a whole number or a mapping was expected, got the text 'x'")]),
        (0, [("samples", "must be greater than 0, got 0")]),
        ({"first": 1}, [("samples.second", "is required")]),
        (
            {"first": 0, "second": "x"},
            [
                ("samples.first", "must be greater than 0, got 0"),
                ("samples.second", "a whole number was expected, got the text 'x'"),
            ],
        ),
        (
            {"first": 1, "second": 1, "secnd": 2},
            [("samples.secnd", "unknown key 'secnd'; did you mean 'second'?")],
        ),
    ],
)
def test_a_field_of_several_kinds_has_one_fault_for_each_mistake(
    samples: Any, expected: list[tuple[str, str]]
) -> None:
    assert wrong({**CAT, "samples": samples}, Cat) == expected


def test_long_texts_are_cut() -> None:
    ((_, message),) = wrong({"animal": CAT, "rooms": "x" * 500})

    assert message == f"a whole number was expected, got the text '{'x' * 60}…'"


def test_fields_are_found_in_every_class_that_may_stand_on_the_way() -> None:
    assert len(find_fields(Home, ["animal", "name"])) == 2
    assert len(find_fields(Home, ["animal", "lambda"])) == 1
    assert len(find_fields(Home, ["animal", "samples", "first"])) == 1
    assert find_fields(Home, ["animal", "lambda_"]) == []
    assert find_fields(Home, ["animal", "lambda", "x"]) == []


def test_leaves_are_the_paths_that_can_be_set() -> None:
    assert leaf_paths(Home) == {
        "animal.name",
        "animal.lives",
        "animal.coat",
        "animal.samples",
        "animal.samples.first",
        "animal.samples.second",
        "animal.lambda",
        "animal.weights",
        "basket.wide",
        "rooms",
        "note",
    }


def test_choices_are_known_where_they_can_be_counted() -> None:
    assert choices(find_fields(Home, ["animal", "name"])) == ["cat", "dog"]
    assert choices(find_fields(Home, ["animal", "lives"])) is None
    assert choices([]) is None


def test_a_tag_tells_which_class_a_value_is_for() -> None:
    animal = Home.model_fields["animal"].annotation

    assert matching(animal, CAT) == [Cat]
    assert matching(animal, {"lives": 3}) == [Cat, Dog]
    assert matching(animal, {"name": "cow"}) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("rooms", 3),
        ("animal.name", "cat"),
        ("animal.lives", 9),
        ("animal.lambda", None),
        ("basket.wide", True),
        ("basket.absent", None),
        ("note", None),
        ("rooms.x", None),
        ("absent.x", None),
    ],
)
def test_a_value_is_what_is_set_or_else_its_default(path: str, expected: object) -> None:
    assert value_at(Home, {"animal": CAT, "rooms": 3}, path.split(".")) == expected
