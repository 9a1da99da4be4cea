"""Importances on functions whose truth is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.importance import (
    EXPLAINED,
    MIN_CONFIGURATIONS,
    importances,
    is_numeric,
    swept_knobs,
)

Function = Callable[[np.ndarray], np.ndarray]


def points(n: int, nll: Function, mi: Function | None = None, seed: int = 0) -> pd.DataFrame:
    """Trials with three independent knobs, uniform on [0, 1]."""
    x = np.random.default_rng(seed).random((n, 3))
    frame = pd.DataFrame(x, columns=["k.a", "k.b", "k.c"])
    return frame.assign(
        label="arm",
        config_hash=[f"c{i:04d}" for i in range(n)],
        nll_value=nll(x),
        mi_value=(mi or nll)(x),
    )


def by_knob(found: pd.DataFrame, figure: str = "NLL") -> pd.DataFrame:
    return found[found["figure"] == figure].set_index("knob")


@pytest.mark.parametrize("n", [24, 64])
def test_one_knob_matters_and_the_others_are_noise(n: int) -> None:
    found = by_knob(importances(points(n, lambda x: np.exp(3 * x[:, 0]))))

    assert found.index[0] == "k.a"
    assert found["verdict"].to_dict() == {
        "k.a": "matters",
        "k.b": "not shown to matter",
        "k.c": "not shown to matter",
    }
    assert (found["r2"] > 0.8).all()


def test_each_figure_has_its_own_knob() -> None:
    found = importances(points(40, lambda x: 4 * x[:, 0], lambda x: 4 * x[:, 1]))

    assert by_knob(found, "NLL").index[0] == "k.a"
    assert by_knob(found, "MI").index[0] == "k.b"


@pytest.mark.slow
def test_shares_of_an_additive_function_are_those_of_its_variance() -> None:
    """2a + b has 4/5 of its variance from a; within 4 standard errors at 300 trials."""
    for seed in range(3):
        found = by_knob(importances(points(300, lambda x: 2 * x[:, 0] + x[:, 1], seed=seed)))
        for knob, share in (("k.a", 0.8), ("k.b", 0.2), ("k.c", 0.0)):
            one = found.loc[knob]
            assert one["importance"] == pytest.approx(share, abs=4 * one["standard_error"] + 1e-3)
        assert (found["standard_error"] < 0.06).all()


def test_a_knob_that_acts_with_another_has_the_whole_of_it() -> None:
    """(a - 1/2)(b - 1/2) depends on both knobs for all of its variance."""
    product = points(300, lambda x: (x[:, 0] - 0.5) * (x[:, 1] - 0.5))
    found = by_knob(importances(product))

    assert found.loc["k.a", "importance"] > 0.7
    assert found.loc["k.b", "importance"] > 0.7
    assert found["importance"].sum() > 1.3


def test_noise_is_not_explained() -> None:
    noise = np.random.default_rng(5).standard_normal(60)
    found = importances(points(60, lambda x: noise))

    assert (found["r2"] < EXPLAINED).all()
    assert set(found["verdict"]) == {"not explained"}


def test_a_figure_that_never_changes_is_not_explained() -> None:
    found = importances(points(20, lambda x: np.zeros(20)))

    assert set(found["verdict"]) == {"not explained"}
    assert found["importance"].isna().all()


def test_few_trials_are_not_enough() -> None:
    found = importances(points(MIN_CONFIGURATIONS - 1, lambda x: x[:, 0]))

    assert set(found["verdict"]) == {"not enough trials"}
    assert found["r2"].isna().all()


def test_seeds_of_a_configuration_are_one_trial() -> None:
    once = points(20, lambda x: np.round(x[:, 0] * 1024) / 1024)  # so that means are exact
    twice = pd.concat([once.assign(nll_value=once["nll_value"] + shift) for shift in (-1.0, 1.0)])

    pd.testing.assert_frame_equal(by_knob(importances(once)), by_knob(importances(twice)))


def test_a_knob_that_only_some_trials_have_counts_where_it_is() -> None:
    frame = points(60, lambda x: np.where(x[:, 1] > 0.5, x[:, 0], 0.0))
    conditional = frame.assign(**{"k.a": frame["k.a"].where(frame["k.b"] > 0.5)})
    found = by_knob(importances(conditional))

    assert found.loc["k.a", "verdict"] == "matters"
    assert found.loc["k.c", "verdict"] == "not shown to matter"


def test_choices_and_flags_are_knobs_too() -> None:
    frame = points(40, lambda x: x[:, 0] > 0.5).astype({"nll_value": float})
    choice = np.where(frame["k.a"] > 0.5, "much", "little")
    found = by_knob(importances(frame.assign(**{"k.a": choice, "k.b": frame["k.b"] > 0.5})))

    assert found.index[0] == "k.a"
    assert found.loc["k.a", "verdict"] == "matters"


def test_arms_are_apart_and_knobs_with_one_value_are_none() -> None:
    one = points(20, lambda x: x[:, 0]).assign(label="one", **{"k.c": 1.0})
    two = points(20, lambda x: x[:, 1], seed=1).assign(label="two")
    both = pd.concat([one, two])
    found = importances(both)

    pairs = found[["label", "knob"]].drop_duplicates().groupby("label")["knob"].apply(set)
    assert pairs.to_dict() == {"one": {"k.a", "k.b"}, "two": {"k.a", "k.b", "k.c"}}
    assert swept_knobs(both) == ["k.a", "k.b", "k.c"]


def test_the_same_points_in_any_order_give_the_same() -> None:
    frame = points(20, lambda x: x[:, 0])

    pd.testing.assert_frame_equal(importances(frame), importances(frame.iloc[::-1]))


def test_a_flag_is_no_number() -> None:
    assert is_numeric(pd.Series([1.0, 2.0]))
    assert not is_numeric(pd.Series([True, False]))
    assert not is_numeric(pd.Series(["a", "b"]))
