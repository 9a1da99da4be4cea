"""What a row says of a trial: exact values where there are any, on the axis that is asked for."""

from typing import Any

import pytest

from sweeper.outcomes import Measured, Values, measured, outcome


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"status": "done", "nll": 2.0, "mi": 1.0}, Values(2.0, 1.0)),
        ({"status": "done", "nll": 2.0, "mi": 1.0, "nll_exact": None}, Values(2.0, 1.0)),
        (
            {"status": "done", "nll": 2.0, "mi": 1.0, "nll_exact": 1.5, "mi_exact": 0.0},
            Values(1.5, 0.0),
        ),
        (
            {"status": "done", "nll": 2.0, "mi": 1.0, "nll_exact": float("nan")},
            Values(2.0, 1.0),
        ),
        ({"status": "diverged", "nll": None, "mi": None}, None),
        ({"status": "failed"}, None),
    ],
)
def test_a_study_is_told_exact_values_where_there_are_any(
    row: dict[str, Any], expected: Values | None
) -> None:
    assert outcome(row) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"nll": 2.0, "mi_q": 3.0}, Values(2.0, 3.0)),
        ({"nll": 2.0, "nll_exact": 1.9, "mi_exact": 0.9, "mi_q": 3.0}, Values(2.0, 3.0)),
        ({"nll": 2.0}, None),
        ({"nll": 2.0, "mi_q": float("nan")}, None),
        ({"nll": 2.0, "mi_q": 3.0, "status": "diverged"}, None),
    ],
)
def test_of_the_encoders_information_both_values_are_estimates(
    row: dict[str, Any], expected: Values | None
) -> None:
    assert outcome({"status": "done", "mi": 1.0, **row}, "mi_q") == expected


@pytest.mark.parametrize(
    ("row", "axis", "expected"),
    [
        ({"nll": 2.0, "mi": 1.0}, "mi", Measured(2.0, 1.0)),
        ({"nll": 2.0, "mi": 1.0, "nll_se": 0.1, "mi_se": 0.2}, "mi", Measured(2.0, 1.0, 0.1, 0.2)),
        (
            {
                "nll": 2.0,
                "nll_se": 0.1,
                "nll_exact": 1.9,
                "mi": 1.0,
                "mi_se": 0.2,
                "mi_exact": 0.9,
            },
            "mi",
            Measured(1.9, 0.9),
        ),
        (
            {"nll": 2.0, "nll_se": 0.1, "nll_exact": 1.9, "mi_q": 3.0, "mi_q_se": 0.3},
            "mi_q",
            Measured(2.0, 3.0, 0.1, 0.3),
        ),
        ({"nll": 2.0, "mi": 1.0, "nll_se": float("nan"), "mi_se": None}, "mi", Measured(2.0, 1.0)),
        ({"nll": 2.0, "mi": float("nan")}, "mi", None),
        ({"nll": 2.0, "mi_exact": 1.0}, "mi_q", None),
    ],
)
def test_what_is_measured_has_an_error_unless_it_is_exact(
    row: dict[str, Any], axis: str, expected: Measured | None
) -> None:
    assert measured({"status": "running", **row}, axis) == expected
