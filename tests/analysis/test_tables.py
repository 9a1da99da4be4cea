import math

import pandas as pd

from analysis.axes import on_axis
from analysis.frontier import Unit, frontier_points
from analysis.tables import frontier_table, levels_table, to_text


def test_the_table_holds_the_frontier_by_arm_and_mi(rows) -> None:
    stored = rows(
        [(6.0, 2.0), (5.0, 1.0), (7.0, 0.5), (5.5, 3.0)], arm=["b", "b", "b", "a"], nll_se=0.01
    )
    table = frontier_table(frontier_points(stored).points)
    assert table["trial"].tolist() == ["t3", "t1", "t0"]
    assert table["arm"].tolist() == ["a", "b", "b"]


def test_decimals_show_the_smallest_error_of_a_column(rows) -> None:
    stored = rows([(6.0, 2.0), (5.0, 1.0)], nll_se=[0.5, 0.00123], mi_se=0.0)
    table = frontier_table(frontier_points(stored).points)
    assert table["NLL"].tolist() == ["5.0000 ± 0.0012", "6.0000 ± 0.5000"]
    assert table["MI"].tolist() == ["1.000", "2.000"]


def test_knobs_are_named_by_the_end_of_their_path_where_that_is_unique(rows) -> None:
    knobs = {
        "training.learning_rate": [0.00123456, 0.5],
        "model.encoder.size": [64, 128],
        "model.decoder.size": [64.0, None],
        "objective.name": ["kl", None],
        "objective.alpha": [None, None],
    }
    table = frontier_table(frontier_points(rows([(5.0, 1.0), (6.0, 2.0)], **knobs)).points)
    assert list(table.columns) == [
        *("arm", "NLL", "MI", "learning_rate", "model.encoder.size", "model.decoder.size"),
        *("name", "trial"),
    ]
    assert table["learning_rate"].tolist() == ["0.001235", "0.5"]
    assert table["model.encoder.size"].tolist() == ["64", "128"]
    assert table["model.decoder.size"].tolist() == ["64", ""]
    assert table["name"].tolist() == ["kl", ""]


def test_the_code_space_and_the_entropy_of_the_codes_stand_beside_the_information(rows) -> None:
    codes = {"code_space": [None, 3.0], "code_entropy": [None, 2.0], "tokens": 4.0}
    of_q = {"mi_q": [0.5, 2.0], "mi_q_se": 0.0, "mi_q_ceiling": 4.0, "observations": 55}
    stored = rows([(5.0, 1.0), (6.0, 2.0)], arm=["a", "vq"], **codes, **of_q)

    def columns(axis: str, unit: Unit = "observation") -> dict[str, list[str]]:
        points = frontier_points(on_axis(stored, axis), unit).points
        table = frontier_table(points, unit)
        return {name: list(table[name]) for name in table.columns if name.startswith("code")}

    assert columns("mi") == {"code space": ["", "3.000"], "code entropy": ["", "2.000"]}
    assert columns("mi", "token") == {"code space": ["", "0.750"], "code entropy": ["", "0.500"]}
    assert columns("mi_q") == {"code space": ["", "3.000"]}
    assert columns("code_space") == {"code space": ["3.000"], "code entropy": ["2.000"]}


def test_text_is_aligned_and_takes_names_literally(rows) -> None:
    stored = rows([(10.0, 1.0), (9.0, 0.5)], arm=["[bold]", "b"], nll_se=0.1)
    text = to_text(frontier_table(frontier_points(stored).points))
    assert text.splitlines() == [
        "arm                NLL     MI  trial",
        "[bold]  10.000 ± 0.100  1.000     t0",
        "b        9.000 ± 0.100  0.500     t1",
    ]


def test_an_empty_frontier_is_an_empty_table(rows) -> None:
    table = frontier_table(frontier_points(rows([])).points)
    assert to_text(table).split() == ["arm", "NLL", "MI", "trial"]


def test_the_probability_is_shown_where_any_point_is_in_doubt(rows) -> None:
    sure = frontier_points(rows([(5.0, 1.0), (6.0, 2.0)], nll_se=0.01)).points
    assert "P(frontier)" not in frontier_table(sure)
    doubtful = frontier_points(rows([(5.0, 1.0), (6.0, 2.0), (7.0, 3.0)], nll_se=[0.1, 8, None]))
    table = frontier_table(doubtful.points.assign(frontier_probability=[1.0, 0.625, None]))
    assert table["P(frontier)"].tolist() == ["1.00", "0.62", "?"]


def test_levels_have_a_column_for_each_mi_with_marks() -> None:
    nan = math.nan
    levels = pd.DataFrame(
        [
            ("b", 0.0, 5.25, 5.5, "best"),
            ("b", 2.5, 7.0, nan, "too few"),
            ("a", 0.0, 5.5, 5.75, "undecided"),
            ("a", 2.5, nan, nan, ""),
            ("c", 0.0, 9.0, 9.5, "worse"),
            ("c", 2.5, 6.0, nan, "best"),
        ],
        columns=["label", "mi", "nll", "upper", "standing"],
    )
    table = levels_table(levels)
    assert table.iloc[:, 0].tolist() == ["b", "a", "c"]
    assert table["0  "].tolist() == ["5.25 ± 0.25 *", "5.50 ± 0.25 ~", "9.00 ± 0.50  "]
    assert table["2.5  "].tolist() == ["7.00 ?", "", "6.00 *"]
