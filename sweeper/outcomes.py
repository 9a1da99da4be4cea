"""What a stored row, or an evaluation of a trial, says of it: one point of its arm's plot."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    Row = Mapping[str, Any] | pd.Series[Any]


class Values(NamedTuple):
    """What a study is told of a configuration; `mi` is what the experiment maximises."""

    nll: float
    mi: float


class Measured(NamedTuple):
    """`Values` with their Monte Carlo standard errors: 0 where exact, or where unknown."""

    nll: float
    mi: float
    nll_error: float = 0.0
    mi_error: float = 0.0


def measured(row: "Row", axis: str = "mi") -> Measured | None:
    """Read off a row its NLL and MI, exact where they exist.

    On any `axis` but that of the model's MI both are estimates, as in its figures; a row that does
    not have them has no values.
    """
    values, errors = [], []
    for estimated in ("nll", axis):
        exact = row.get(f"{estimated}_exact") if axis == "mi" else None
        value = row.get(estimated) if _is_missing(exact) else exact
        if value is None or _is_missing(value):
            return None
        error = row.get(f"{estimated}_se") if _is_missing(exact) else None
        values.append(float(value))
        errors.append(0.0 if error is None or _is_missing(error) else float(error))
    return Measured(*values, *errors)


def outcome(row: "Row", axis: str = "mi") -> Values | None:
    """Read off a final row what a study is told, as `measured` does; none unless it is done."""
    found = measured(row, axis) if row["status"] == "done" else None
    return None if found is None else Values(found.nll, found.mi)


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
