import math

import pytest

from analysis.axes import AXES, COLUMNS, axis_lines, axis_of, long_name, on_axis, short_name
from analysis.frontier import frontier_points
from sweeper.columns import SCHEMA

PAIRS = [(2.0, 0.5), (3.0, 0.1)]
OF_Q = {
    "mi_q": [1.5, 2.5],
    "mi_q_se": 0.01,
    "mi_q_sampling_se": 0.2,
    "mi_q_ceiling": math.log(1_000),
    "mi_q_batch": [1.0, 3.4],
    "mi_q_batch_se": 0.02,
    "mi_q_batch_ceiling": math.log(32),
    "observations": 1_000,
}


def test_what_it_reads_are_stored_columns() -> None:
    assert set(COLUMNS) <= set(SCHEMA.names)
    assert set(AXES) <= set(SCHEMA.names)


def test_on_the_axis_of_the_model_rows_are_as_they_were(rows) -> None:
    stored = rows(PAIRS, **OF_Q)

    assert on_axis(stored, "mi") is stored
    assert (axis_of(stored), short_name(stored)) == ("mi", "MI")


@pytest.mark.parametrize(
    ("axis", "values", "error", "shared", "ceiling"),
    [
        ("mi_q", [1.5, 2.5], 0.01, 0.2, math.log(1_000)),
        ("mi_q_batch", [1.0, 3.4], 0.02, math.nan, math.log(32)),
    ],
)
def test_points_have_the_information_of_q_with_its_errors_and_its_ceiling(
    rows, axis: str, values: list[float], error: float, shared: float, ceiling: float
) -> None:
    stored = rows(PAIRS, **OF_Q, nll_mi_covariance=0.3, mi_se=9.0, mi_sampling_se=9.0)
    before = stored.copy()

    points = frontier_points(on_axis(stored, axis)).points

    assert points["mi_value"].tolist() == values
    assert points["mi_error"].tolist() == [error] * 2
    assert points["mi_shared_error"].tolist() == pytest.approx([shared] * 2, nan_ok=True)
    assert points["ceiling"].tolist() == [ceiling] * 2
    assert points["error_covariance"].tolist() == [0.0] * 2
    assert points["nll_value"].tolist() == [2.0, 3.0]
    assert axis_of(points) == axis
    assert stored.equals(before)


def test_an_exact_nll_is_none_beside_an_estimate(rows) -> None:
    stored = rows(PAIRS, **OF_Q, nll_exact=[1.9, 2.9], mi_exact=[0.6, 0.2])
    assert frontier_points(stored).points["exact"].all()

    points = frontier_points(on_axis(stored, "mi_q")).points

    assert not points["exact"].any()
    assert points["nll_value"].tolist() == [2.0, 3.0]


def test_the_frontier_is_another_one_on_another_axis(rows) -> None:
    """By the model's information the second trial is dominated, by the encoder's it is not."""
    stored = rows(PAIRS, **OF_Q)

    assert frontier_points(stored).points["on_frontier"].tolist() == [True, False]
    assert frontier_points(on_axis(stored, "mi_q")).points["on_frontier"].all()


def test_per_token_it_is_shared_out_like_the_nll(rows) -> None:
    stored = rows(PAIRS, **{**OF_Q, "mi_q_sampling_se": 0.4}, tokens=4.0)

    points = frontier_points(on_axis(stored, "mi_q"), "token").points

    assert points["mi_value"].tolist() == [1.5 / 4, 2.5 / 4]
    assert points["mi_shared_error"].tolist() == [0.1] * 2
    assert points["ceiling"].tolist() == pytest.approx([math.log(1_000) / 4] * 2)


def test_names_say_which_information_it_is_and_of_what_pool(rows) -> None:
    stored = rows(PAIRS, **{**OF_Q, "observations": [1_000, 50]})

    assert short_name(on_axis(stored, "mi_q")) == "MI of q"
    assert long_name(on_axis(stored, "mi_q")) == "MI of q, I_q(x; z), pool of 50 or 1,000"
    assert "within batches as published" in long_name(on_axis(stored, "mi_q_batch"))
    assert long_name(stored) == "mutual information"


def test_rows_are_put_on_an_axis_once_and_only_where_they_have_it(rows) -> None:
    with pytest.raises(ValueError, match="rows lack the columns mi_q, mi_q_se, mi_q_ceiling"):
        on_axis(rows(PAIRS), "mi_q")
    with pytest.raises(ValueError, match="on the axis 'mi_q' already"):
        on_axis(on_axis(rows(PAIRS, **OF_Q), "mi_q"), "mi_q_batch")


CODES = {"code_space": [2 * math.log(5), math.log(3)], "code_entropy": [1.0, 0.5]}


def test_the_code_space_has_no_error_and_no_ceiling(rows) -> None:
    stored = rows(PAIRS, **OF_Q, **CODES, mi_se=9.0, mi_sampling_se=9.0, nll_se=0.1)

    points = frontier_points(on_axis(stored, "code_space")).points

    assert points["mi_value"].tolist() == CODES["code_space"]
    assert points["mi_error"].tolist() == [0.0] * 2
    assert points["mi_shared_error"].tolist() == [0.0] * 2
    assert points["ceiling"].isna().all()
    assert points["nll_error"].tolist() == [0.1] * 2


def test_beside_the_code_space_the_nll_is_that_beside_the_information_of_the_model(rows) -> None:
    exact = {"nll_exact": [1.9, math.nan], "mi_exact": [0.6, math.nan]}
    stored = rows(PAIRS, **OF_Q, **CODES, **exact)

    beside_mi, beside_codes = (
        frontier_points(on_axis(stored, axis)).points for axis in ("mi", "code_space")
    )

    for column in ("nll_value", "nll_error", "exact"):
        assert beside_codes[column].tolist() == beside_mi[column].tolist()
    assert beside_codes["nll_value"].tolist() == [1.9, 3.0]


def test_per_token_the_code_space_is_shared_out_like_the_nll(rows) -> None:
    stored = rows(PAIRS, **CODES, tokens=4.0)

    points = frontier_points(on_axis(stored, "code_space"), "token").points

    assert points["mi_value"].tolist() == [value / 4 for value in CODES["code_space"]]


def test_a_model_without_codes_is_left_out_of_their_axis_by_name(rows) -> None:
    lacking = {**CODES, "code_space": [math.log(9), math.nan]}
    stored = on_axis(rows(PAIRS, **lacking, arm=["vq", "a"]), "code_space")

    found = frontier_points(stored)

    assert found.points["label"].tolist() == ["vq"]
    assert found.warnings == ("left out for want of code_space, which only vq latents have: a",)
    assert "left out" not in warned(rows)


def test_the_code_space_is_named_as_what_it_is(rows) -> None:
    stored = rows(PAIRS, **OF_Q, **CODES)
    on_codes = on_axis(stored, "code_space")

    assert short_name(on_codes) == "code space"
    assert axis_lines(on_codes) == ["in the place of MI: log of the code space, L ln J"]
    assert axis_lines(stored) == []
    # That of q is the entropy of the codes, where all latents are such.
    entropy = "entropy of the codes, I_q(x; z), pool of 1,000"
    assert axis_lines(on_axis(stored, "mi_q")) == [f"MI: {entropy}"]
    some = stored.assign(code_space=[1.0, math.nan])
    assert long_name(on_axis(some, "mi_q")).startswith("MI of q, ")


def test_meters_of_q_are_no_matter_of_the_code_space(rows) -> None:
    assert warned(rows, "code_space", **CODES) == ""


def warned(rows, axis: str = "mi_q", **columns) -> str:
    return "\n".join(frontier_points(on_axis(rows(PAIRS, **{**OF_Q, **columns}), axis)).warnings)


def test_the_published_meter_is_said_to_be_saturated(rows) -> None:
    expected = "MI of q within batches, is saturated for 1 of 2 points: from 95% of its ceiling"

    assert expected in warned(rows)
    assert expected in warned(rows, "mi_q_batch")
    assert "saturated" not in warned(rows, mi_q_batch=[1.0, 0.949 * math.log(32)])
    assert "saturated for 1 of 2" in warned(rows, mi_q_batch=[1.0, 0.951 * math.log(32)])
    assert "saturated" not in "\n".join(frontier_points(rows(PAIRS, **OF_Q)).warnings)


def test_a_pool_that_is_nearly_full_is_named(rows) -> None:
    found = warned(rows, mi_q=[1.0, 0.99 * math.log(1_000)])

    assert "within 2% of the ceiling of the pool, ln N, or above it; there may be more" in found
    assert "the latents can hold no more" not in found


def test_pools_of_different_sizes_do_not_compare(rows) -> None:
    found = warned(rows, mi_q_ceiling=[math.log(1_000), math.log(50)])

    assert "MIs of q by pools of different sizes do not compare: 50, 1000" in found


def test_few_effective_samples_are_about_the_nll_alone(rows) -> None:
    assert "their NLL is too high, evaluate" in warned(rows, ess=2.0)
    assert "their NLL can be too high by far more" in warned(rows, ess_min=1.0)
