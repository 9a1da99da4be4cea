"""Tables beside groups of runs, whose points the tests make."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.claims import Arm
from analysis.papers.tables import Figure, Found, Head, Method, Points, Table
from sweeper.runs import RunDirectory
from sweeper.stored.answers import Group
from sweeper.stored.paper_tables import measure, table_lines, table_rows
from sweeper.stored.protocols import Protocol, Recognised

A, B, C = (Arm("room/table", name) for name in "abc")
METHODS = (
    Method("first", {"NLL": Figure(328.9, 0.1), "KL": Figure(0.22, 0.1)}, A),
    Method("second", {"NLL": Figure(7.0, 0.0)}, B),
    Method("third", {}, C),
)


def by_hand(points: Points) -> dict[Arm, Found | str]:
    """Give what the tests put into the points."""
    found: dict[Arm, Found | str] = {}
    for arm, of_arm in points.items():
        value = of_arm["value"].iloc[0]
        figures = {"NLL": Figure(value, 0.25), "KL": Figure(math.nan), "more": Figure(1.0)}
        found[arm] = "too many" if value < 0 else Found(figures, 1, 3, {"KL": math.log(32)})
    return found


@pytest.fixture
def table() -> Callable[..., Table]:
    """Makes a table of three methods with two heads."""

    def make(**fields: Any) -> Table:
        heads = (Head("NLL", 2, 1), Head("KL", 2, 1))
        given = {"notes": ("A note that is told.",), **fields}
        return Table("Table 9", "a title", "test", heads, METHODS, by_hand, **given)

    return make


def group(values: dict[Arm, float], *, split: str = "test", scale: str | None = None) -> Group:
    protocol = Protocol(split, scale, ())
    points = {arm: pd.DataFrame({"value": [value]}) for arm, value in values.items()}
    run = RunDirectory(Path("runs") / (scale or "full"))
    recognised = Recognised(run, "room/table", protocol, pd.DataFrame(), 3)
    return Group(protocol, (recognised,), points, {"room/table": "observation"})


def test_a_method_is_a_row_with_ours_below_the_published(table: Callable[..., Table]) -> None:
    groups = [group({A: 90.125, B: -1.0}), group({A: 80.0}, scale="small")]
    lines = table_lines(table(), measure(table(), groups))

    assert lines[0] == "Table 9: a title"
    assert [line.split() for line in lines[2:8]] == [
        ["NLL", "KL", "seeds"],
        ["first", "328.9", "(0.1)", "0.22", "(0.1)"],  # as published, with all its decimals
        ["ours", "(1)", "90.12", "(0.25)", "–", "3"],
        ["ours", "(2)", "80.00", "(0.25)", "–", "3"],
        ["second", "7.0", "(0.0)", "–"],
        ["third", "–", "–"],
    ]
    assert lines[8:] == [
        "A note that is told.",
        "ours (1): test split, as shipped",
        "ours (1): at most, in nats: KL: 3.47",
        "ours (1): no figures of second: too many",
        "ours (2): test split, scale small (another protocol: not comparable)",
        "ours (2): at most, in nats: KL: 3.47",
    ]


def test_a_method_is_a_column_where_the_paper_has_it_so(table: Callable[..., Table]) -> None:
    across = table(methods_down=False, notes=())
    lines = table_lines(across, measure(across, [group({A: 90.0})]))

    assert [line.split() for line in lines[2:]] == [
        ["first", "second", "third"],
        ["published"],
        ["NLL", "328.9", "(0.1)", "7.0", "(0.0)", "–"],
        ["KL", "0.22", "(0.1)", "–", "–"],
        ["ours", "(1)"],
        ["NLL", "90.00", "(0.25)", "–", "–"],
        ["KL", "–", "–", "–"],
        ["configurations", "1", "–", "–"],
        ["ours", "(1):", "test", "split,", "as", "shipped"],
        ["ours", "(1):", "at", "most,", "in", "nats:", "KL:", "3.47"],
    ]


def test_a_caution_of_several_methods_is_told_once(table: Callable[..., Table]) -> None:
    own = measure(table(), [group({A: 90.0, B: 91.0})])[0]
    found = {
        arm: of_arm._replace(caution="of them all") if isinstance(of_arm, Found) else of_arm
        for arm, of_arm in own.found.items()
    }
    lines = table_lines(table(), [own._replace(found=found)])

    assert lines.count("ours (1): beware: of them all") == 1


@pytest.mark.parametrize(
    ("split", "cause"), [("train", "training fit"), ("validation", "not the test split")]
)
def test_another_split_does_not_compare(
    table: Callable[..., Table], split: str, cause: str
) -> None:
    ours = measure(table(), [group({A: 90.0}, split=split)])

    assert not ours[0].comparable
    assert f"ours (1): {split} split, as shipped ({cause}: not comparable)" in table_lines(
        table(), ours
    )


def test_groups_without_an_arm_of_the_table_have_no_place_in_it(
    table: Callable[..., Table],
) -> None:
    other = group({Arm("room/other", "a"): 1.0})

    assert measure(table(), [other]) == []
    assert table_lines(table(), [])[-1] == "ours: no run with the test split"
    assert [own.name for own in measure(table(), [other, group({A: 90.0})])] == ["ours (1)"]


def test_rows_have_every_figure_published_and_ours(table: Callable[..., Table]) -> None:
    rows = table_rows(table(), measure(table(), [group({A: 90.0}, scale="small")]))

    assert list(rows) == [
        *("source", "comparable", "method", "figure", "value"),
        *("deviation", "seeds", "runs"),
    ]
    published = rows[rows["source"] == "published"]
    assert published["value"].tolist() == [328.9, 0.22, 7.0]
    assert published["deviation"].tolist() == [0.1, 0.1, 0.0]
    assert published["comparable"].all()
    ours = rows[rows["source"] != "published"]
    assert ours["figure"].tolist() == ["NLL", "KL", "more"]
    assert ours[["seeds", "runs"]].drop_duplicates().to_numpy().tolist() == [[3, "runs/small"]]
    assert not ours["comparable"].any()


def test_rows_of_methods_in_columns_count_configurations(table: Callable[..., Table]) -> None:
    across = table(methods_down=False)
    rows = table_rows(across, measure(across, [group({A: 90.0})]))

    assert list(rows) == [
        *("source", "comparable", "column", "figure", "value", "configurations", "runs"),
    ]
    assert rows["configurations"].isna().tolist() == [True] * 3 + [False] * 3


UNPUBLISHED = tuple(Method(method.name, {}, method.arm) for method in METHODS)


def test_where_nothing_is_published_one_of_ours_is_the_row_of_its_method(
    table: Callable[..., Table],
) -> None:
    """Without the KL, which nobody measured; a protocol of ours needs no comparing."""
    own = Table("ours", "a title", "test", table().heads, UNPUBLISHED, by_hand)
    lines = table_lines(own, measure(own, [group({A: 90.125, B: -1.0}, scale="small")]))

    assert [line.split() for line in lines[2:6]] == [
        ["NLL", "seeds"],
        ["first", "90.12", "(0.25)", "3"],
        ["second", "–"],
        ["third", "–"],
    ]
    assert "ours (1): test split, scale small" in lines
    across = Table("ours", "t", "test", own.heads, UNPUBLISHED, by_hand, methods_down=False)
    lines = table_lines(across, measure(across, [group({A: 90.125})]))
    assert [line.split() for line in lines[2:5]] == [
        ["first", "second", "third"],
        ["ours", "(1)"],
        ["NLL", "90.12", "(0.25)", "–", "–"],
    ]


def test_where_nothing_is_published_several_of_ours_lie_below_their_method(
    table: Callable[..., Table],
) -> None:
    own = Table("ours", "a title", "test", table().heads, UNPUBLISHED, by_hand)
    groups = [group({A: 90.125}), group({A: 80.0}, scale="small")]
    lines = table_lines(own, measure(own, groups))

    assert [line.split() for line in lines[2:7]] == [
        ["NLL", "seeds"],
        ["first"],
        ["ours", "(1)", "90.12", "(0.25)", "3"],
        ["ours", "(2)", "80.00", "(0.25)", "3"],
        ["second"],
    ]


def test_where_nothing_is_published_and_nothing_ran_there_is_a_line(
    table: Callable[..., Table],
) -> None:
    own = Table("ours", "a title", "test", table().heads, UNPUBLISHED, by_hand, notes=("Long.",))

    assert table_lines(own, []) == ["ours: a title", "ours: no run with the test split"]
