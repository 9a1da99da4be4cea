"""What a swept parameter may be: a range of numbers or some choices, and when it is swept."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PositiveInt,
    model_validator,
)

Value = bool | int | float | str
Column = Literal["float", "int", "bool", "str"]


class Trial(Protocol):
    """The part of an `optuna.Trial` that samples."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Sample a number of `[low, high]`."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Sample a whole number of `[low, high]`."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """Sample one of `choices`."""


def same(a: object, b: object) -> bool:
    """Compare two values of a parameter; unlike in Python, true is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _scalar(value: object) -> Value:
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError("a finite number, text, true or false was expected")


def _as_lists(when: object) -> object:
    """Read `path: value` as `path: [value]`."""
    if not isinstance(when, dict):
        return when
    return {
        path: tuple(values) if isinstance(values, list | tuple) else (values,)
        for path, values in when.items()
    }


Scalar = Annotated[Value, PlainValidator(_scalar)]

When = Annotated[
    dict[str, Annotated[tuple[Scalar, ...], Field(min_length=1)]], BeforeValidator(_as_lists)
]
"""Conditions by dotted path: each path must have one of its values for the parameter to be swept.

A path is that of another parameter or of a fixed value of the trial.
"""

# Floats hold whole numbers up to here exactly, and a sampler computes with floats.
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]


class Distribution(BaseModel, ABC):
    """The values of a parameter, independent of how they are sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @property
    @abstractmethod
    def column(self) -> Column:
        """The type that a column of such values has."""

    @property
    @abstractmethod
    def ends(self) -> tuple[Value, ...]:
        """The values that the others lie between; every choice, where they have no order."""

    @abstractmethod
    def contains(self, value: object) -> bool:
        """Say whether the parameter can take `value`."""

    @abstractmethod
    def suggest(self, trial: Trial, path: str) -> Value:
        """Sample a value under the name `path`."""


class Float(Distribution):
    """Numbers of `[low, high]`, uniform or uniform in their logarithm."""

    kind: Literal["float"]
    low: float
    high: float
    log: bool = False
    when: When = {}

    @model_validator(mode="after")
    def _is_a_range(self) -> "Float":
        _refuse_inverted(self.low, self.high)
        if self.log and self.low <= 0:
            raise ValueError(f"a log range must start above 0; got low={self.low}")
        return self

    @property
    def column(self) -> Column:
        """`float`."""
        return "float"

    @property
    def ends(self) -> tuple[Value, ...]:
        """`low` and `high`."""
        return self.low, self.high

    def contains(self, value: object) -> bool:
        """Say whether `value` is a number of `[low, high]`."""
        return _is_number(value, int | float) and self.low <= value <= self.high  # type: ignore[operator]

    def suggest(self, trial: Trial, path: str) -> float:
        """Sample a value under the name `path`."""
        return trial.suggest_float(path, self.low, self.high, log=self.log)

    def __str__(self) -> str:
        """Say in a few words what is sampled."""
        return f"float from {self.low} to {self.high}{', log' if self.log else ''}{_note(self)}"


class Int(Distribution):
    """Whole numbers `low`, `low + step`, …, `high`, uniform or uniform in their logarithm."""

    kind: Literal["int"]
    low: Whole
    high: Whole
    log: bool = False
    step: PositiveInt = 1
    when: When = {}

    @model_validator(mode="after")
    def _is_a_range(self) -> "Int":
        _refuse_inverted(self.low, self.high)
        if self.log and self.low < 1:
            raise ValueError(f"a log range must start above 0; got low={self.low}")
        if self.log and self.step != 1:
            raise ValueError(f"a log range takes no step; got step={self.step}")
        if (self.high - self.low) % self.step:
            raise ValueError(
                f"step must lead from low to high; got low={self.low}, high={self.high}, "
                f"step={self.step}"
            )
        return self

    @property
    def column(self) -> Column:
        """`int`."""
        return "int"

    @property
    def ends(self) -> tuple[Value, ...]:
        """`low` and `high`."""
        return self.low, self.high

    def contains(self, value: object) -> bool:
        """Say whether `value` is a whole number on the grid."""
        return (
            _is_number(value, int)
            and self.low <= value <= self.high  # type: ignore[operator]
            and (value - self.low) % self.step == 0  # type: ignore[operator]
        )

    def suggest(self, trial: Trial, path: str) -> int:
        """Sample a value under the name `path`."""
        return trial.suggest_int(path, self.low, self.high, step=self.step, log=self.log)

    def __str__(self) -> str:
        """Say in a few words what is sampled."""
        step = f", step {self.step}" if self.step > 1 else ""
        log = ", log" if self.log else ""
        return f"int from {self.low} to {self.high}{step}{log}{_note(self)}"


class Categorical(Distribution):
    """Some values without an order: all of them text, all numbers, or true and false."""

    kind: Literal["categorical"]
    choices: Annotated[tuple[Scalar, ...], Field(strict=False)]
    when: When = {}

    @model_validator(mode="after")
    def _are_distinct_and_alike(self) -> "Categorical":
        if len(self.choices) < 2:
            raise ValueError("two choices are the least; to fix a value, set it in the trial")
        # Optuna tells choices apart by ==, for which 1, 1.0 and true are one.
        for i, choice in enumerate(self.choices):
            if choice in self.choices[:i]:
                raise ValueError(f"choices must differ; {choice!r} is there twice")
        if len({bool if isinstance(c, bool) else isinstance(c, str) for c in self.choices}) > 1:
            raise ValueError("choices must be all text, all numbers, or true and false")
        return self

    @property
    def column(self) -> Column:
        """The narrowest type that holds all choices."""
        for kind, column in ((bool, "bool"), (int, "int"), (int | float, "float")):
            if all(isinstance(choice, kind) for choice in self.choices):
                return column  # type: ignore[return-value]
        return "str"

    @property
    def ends(self) -> tuple[Value, ...]:
        """All choices."""
        return self.choices

    def contains(self, value: object) -> bool:
        """Say whether `value` is a choice."""
        return any(same(value, choice) for choice in self.choices)

    def suggest(self, trial: Trial, path: str) -> Value:
        """Sample a value under the name `path`."""
        value: Value = trial.suggest_categorical(path, self.choices)
        return value

    def __str__(self) -> str:
        """Say in a few words what is sampled."""
        return f"one of {_listed(self.choices)}{_note(self)}"


Parameter = Annotated[Float | Int | Categorical, Field(discriminator="kind")]


def _refuse_inverted(low: float, high: float) -> None:
    if low >= high:
        hint = "; to fix a value, set it in the trial" if low == high else ""
        raise ValueError(f"low must be below high; got low={low}, high={high}{hint}")


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _note(parameter: Float | Int | Categorical) -> str:
    conditions = [f"{path} is {_listed(values)}" for path, values in parameter.when.items()]
    return f" when {' and '.join(conditions)}" if conditions else ""


def _listed(values: Sequence[Value]) -> str:
    return ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
