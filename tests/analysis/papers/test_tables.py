import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from analysis.claims import Arm
from analysis.frontier import frontier_points
from analysis.papers.tables import (
    EPOCH_TIME,
    EPOCHS,
    HOURS,
    LARGE_POOL,
    TIME,
    UPDATES,
    Figure,
    Found,
    Head,
    Method,
    Table,
    at_information,
    best,
    best_figures,
    costs,
    means,
    over_seeds,
)
from analysis.seeds import COLLAPSED, MODEL_MI

Rows = Callable[..., pd.DataFrame]
A, B, C = (Arm("room/experiment", name) for name in "abc")


@pytest.fixture
def seeds(rows: Rows) -> Callable[..., pd.DataFrame]:
    """Makes the points of an arm with three seeds, NLL 89, 90 and 91, MI of the model 1."""

    def make(**columns: Any) -> pd.DataFrame:
        common: dict[str, Any] = {
            "config_hash": "c",
            "seed": [0, 1, 2],
            "tokens": 20.0,
            "kl": [5.0, 6.0, 7.0],
            "mi_q_batch": 3.0,
            "mi_q_batch_ceiling": math.log(32),
            "mi_q": [4.0, 5.0, math.nan],
            "mi_q_ceiling": math.log(1000),
            "active_units": pd.array([8, 8, 11], "Int64"),
            "train_seconds": [3600.0, 7200.0, 10800.0],
            "eval_seconds": 60.0,
            "created_at": pd.date_range("2022-01-01", periods=3, freq="D", tz="UTC"),
            "epochs": 10.0,
            "updates": 1000,
            "device": "cpu",
            "host": "here",
        }
        stored = rows([(89.0, 1.0), (90.0, 1.0), (91.0, 1.0)], **{**common, **columns})
        return frontier_points(stored, "token").points

    return make


def test_best_figures_are_those_of_the_best_configuration_not_of_the_luckiest_seed(
    rows: Rows,
) -> None:
    stored = rows([(4.0, 1.0), (6.0, 3.0), (4.5, 0.5)], tokens=1.0)
    points = frontier_points(stored.assign(config_hash=["a", "a", "b"])).points

    assert best_figures(points) == {
        "perplexity": pytest.approx(math.exp(4.5)),
        "NLL per token": 4.5,
        "KL per token": 0.5,
    }
    found = best({A: points})[A]
    assert isinstance(found, Found)
    assert found.n_configurations == 2
    assert math.isnan(found.figures["perplexity"].deviation)


def test_figures_over_seeds_are_means_per_observation_with_their_deviations(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    found = over_seeds({A: seeds()})[A]

    assert isinstance(found, Found)
    assert found.n_seeds == 3
    assert found.figures == {
        "NLL": Figure(90.0, 1.0),  # though the points are per token
        "KL": Figure(6.0, 1.0),
        "MI": Figure(3.0, 0.0),
        LARGE_POOL: Figure(4.5, pytest.approx(math.sqrt(0.5))),
        "AU": Figure(9.0, pytest.approx(math.sqrt(3))),
    }
    assert found.ceilings == pytest.approx({"MI": math.log(32), LARGE_POOL: math.log(1000)})


def test_an_arm_that_is_swept_has_no_place_among_single_configurations(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    swept = {A: seeds(config_hash=["c", "c", "d"])}

    assert over_seeds(swept) == {A: "2 configurations; the table is of a single one"}
    assert costs(A)(swept) == over_seeds(swept)


def test_a_single_seed_and_unknown_figures_have_no_deviation(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    none = pd.array([None] * 3, "Int64")
    found = over_seeds({A: seeds(active_units=none), B: seeds().iloc[:1]})

    assert isinstance(found[A], Found)
    assert isinstance(found[B], Found)
    assert math.isnan(found[A].figures["AU"].value)
    assert found[B].figures["NLL"].value == 89.0
    assert math.isnan(found[B].figures["NLL"].deviation)


def test_costs_are_relative_to_a_method_in_total_and_per_epoch(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    later = pd.date_range("2022-02-01", periods=3, freq="D", tz="UTC")
    spent = {"train_seconds": 21600.0, "epochs": 5.0, "updates": 50_000, "created_at": later}
    found = costs(A)({A: seeds(), B: seeds(**spent)})

    assert isinstance(found[A], Found)
    assert isinstance(found[B], Found)
    assert found[A].figures[TIME] == Figure(1.0, 0.5)
    assert found[B].figures == {
        TIME: Figure(3.0, 0.0),
        EPOCH_TIME: Figure(pytest.approx(6.0), 0.0),
        HOURS: Figure(6.0, 0.0),
        EPOCHS: Figure(5.0, 0.0),
        UPDATES: Figure(50.0, 0.0),
    }
    assert found[B].caution is None


def test_times_of_trials_that_trained_together_carry_a_caution(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    for found in costs(A)({A: seeds(), B: seeds()}).values():
        assert isinstance(found, Found)
        assert found.caution is not None
        assert found.caution.startswith("6 of 6 trials trained while another ran")


def test_times_of_several_machines_and_without_the_reference_are_no_ratios(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    apart = costs(A)({A: seeds(), B: seeds(host="there")})
    alone = costs(A)({B: seeds()})

    for found in (apart[B], alone[B]):
        assert isinstance(found, Found)
        assert math.isnan(found.figures[TIME].value)
        assert math.isnan(found.figures[EPOCH_TIME].value)
        assert found.figures[HOURS].value == 2.0
    assert isinstance(apart[B], Found)
    assert apart[B].figures[UPDATES].value == 1.0


def test_a_table_measures_its_own_arms_that_have_points(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    methods = (Method("a", {}, A), Method("b", {}, B))
    table = Table("1", "title", "test", (Head("NLL", 1),), methods, over_seeds)

    assert table.arms == (A, B)
    assert set(table.found({A: seeds(), B: seeds().iloc[:0], C: seeds()})) == {A}
    assert table.found({C: seeds()}) == {}


def test_other_figures_over_seeds_go_by_the_names_that_a_table_has(
    seeds: Callable[..., pd.DataFrame],
) -> None:
    points = {A: seeds(collapsed_share=[0.5, 0.25, 0.0]), B: seeds(collapsed_share=math.nan)}
    found = means({"collapsed": COLLAPSED, "MI": MODEL_MI})(points)

    assert isinstance(found[A], Found)
    assert found[A].figures == {"collapsed": Figure(0.25, 0.25), "MI": Figure(1.0, 0.0)}
    assert found[A].ceilings == {}
    assert isinstance(found[B], Found)
    assert math.isnan(found[B].figures["collapsed"].value)


def test_the_lowest_nll_at_an_information_is_that_of_a_configuration_which_has_it(
    rows: Rows,
) -> None:
    """Of configuration a one seed has the lowest NLL and the most MI; its mean has neither."""
    stored = rows([(80.0, 12.0), (90.0, 6.0), (86.0, 10.0), (84.0, 3.0)])
    points = frontier_points(stored.assign(config_hash=list("aabc"), seed=[0, 1, 0, 0])).points
    found = at_information({"any": 0.0, "8": 8.0, "10": 10.0, "11": 11.0})({A: points})[A]

    assert isinstance(found, Found)
    values = {name: figure.value for name, figure in found.figures.items()}
    assert math.isnan(values.pop("11"))
    assert values == {"any": 84.0, "8": 85.0, "10": 86.0}
    assert found.n_configurations == 3


def test_a_table_is_published_where_a_method_is() -> None:
    def table(*methods: Method) -> Table:
        return Table("1", "title", "test", (Head("NLL", 2),), methods, over_seeds)

    assert table(Method("a", {}, A), Method("b", {"NLL": Figure(1.0)}, B)).is_published
    assert not table(Method("a", {}, A), Method("b", {}, B)).is_published
