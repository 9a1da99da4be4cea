"""From the figures that points were chosen for to fresh ones."""

import math

import pandas as pd
import pytest

from analysis.confirmation import Confirmation, confirmation
from analysis.frontier import Unit, frontier_points
from analysis.plots.confirmation import confirmation_figure, save_confirmation
from analysis.tables import confirmation_table, to_text

CHOSEN = [(5.0, 1.0), (6.0, 2.0), (7.0, 3.0)]


def chosen_rows(rows, pairs=CHOSEN, **columns) -> pd.DataFrame:
    hashes = [f"c{i}" for i in range(len(pairs))]
    return rows(pairs, config_hash=hashes, nll_se=0.3, mi_se=0.4, **columns)


def fresh_rows(rows, measured, **columns) -> pd.DataFrame:
    """From (number of the chosen point, seed, nll, mi)."""
    of, seeds, nll, mi = zip(*measured, strict=True) if measured else ((), (), (), ())
    frame = rows(list(zip(nll, mi, strict=True)), samples=1000, nll_se=0.01, mi_se=0.02, **columns)
    return frame.assign(
        confirms=[f"t{i}" for i in of], seed=list(seeds), config_hash="of a longer evaluation"
    )


def confirmed(rows, measured, unit: Unit = "observation", fresh=None, **columns) -> Confirmation:
    chosen = frontier_points(chosen_rows(rows, **columns), unit)
    return confirmation(chosen, fresh_rows(rows, measured, **{**columns, **(fresh or {})}))


def test_fresh_figures_stand_beside_the_chosen_ones(rows) -> None:
    points = confirmed(
        rows,
        [
            *[(0, 0, 5.5, 0.9), (1, 0, 6.5, 1.9), (2, 0, 7.5, 2.9)],
            *[(0, 1, 5.2, 0.8), (0, 2, 5.6, 1.0), (1, 1, 6.6, 1.8)],
        ],
    ).points

    assert points["nll_chosen"].tolist() == [5.0, 6.0, 7.0]
    assert points["mi_chosen_error"].tolist() == [0.4] * 3
    assert points["nll_fresh"].tolist() == [5.5, 6.5, 7.5]
    assert points["mi_fresh_error"].tolist() == [0.02] * 3
    assert points["n_seeds"].tolist() == [2, 1, 0]
    assert points["nll_seeds"][:2].tolist() == pytest.approx([5.4, 6.6])
    assert points["nll_seeds_error"][0] == pytest.approx(0.2)  # (5.6 - 5.2) / 2
    assert points["nll_seeds_error"][1:].isna().all()
    assert points["on_frontier"].tolist() == [True] * 3


def test_a_point_that_its_fresh_figures_leave_dominated_is_off_the_frontier(rows) -> None:
    measured = [(0, 1, 5.0, 1.0), (1, 1, 6.5, 1.5), (2, 1, 6.4, 3.0)]

    found = confirmed(rows, measured)

    assert found.points["on_frontier"].tolist() == [True, False, True]
    assert "arm: 2 of 3 points are on the fresh frontier" in found.findings


def test_the_mean_change_and_its_error_are_told(rows) -> None:
    measured = [(0, 0, 5.1, 0.8), (1, 0, 6.2, 1.6), (2, 0, 7.3, 2.4)]

    # Changes of NLL 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, over the root of three points.
    assert confirmed(rows, measured).findings[0] == (
        "arm: the same models, K = 1000 in place of 100: "
        "NLL +0.2 ± 0.058 and MI -0.4 ± 0.12 on average over 3 points"
    )


def test_exact_figures_need_no_fresh_evaluation(rows) -> None:
    exact = {"nll_exact": [4.0, 5.0, 6.0], "mi_exact": [1.0, 2.0, 3.0]}
    chosen = frontier_points(chosen_rows(rows, **exact))
    fresh = fresh_rows(rows, [(0, 1, 9.0, 9.0)], nll_exact=4.5, mi_exact=0.5)

    found = confirmation(chosen, fresh)

    assert found.points["nll_fresh"].tolist() == [4.0, 5.0, 6.0]
    assert found.points["nll_fresh_error"].tolist() == [0.0] * 3
    assert found.points["nll_seeds"][0] == 4.5
    assert found.findings[0] == (
        "arm: figures are exact, so evaluating the same models changes nothing"
    )
    assert "NLL fresh" not in confirmation_table(found.points)


def test_seeds_that_were_lost_are_counted_and_count_for_nothing(rows) -> None:
    found = confirmed(
        rows,
        [(0, 1, math.nan, math.nan), (0, 2, 5.2, 1.0)],
        fresh={"status": ["diverged", "done"]},
    )

    assert found.points["n_lost"].tolist() == [1, 0, 0]
    assert found.points["n_seeds"].tolist() == [1, 0, 0]
    assert found.points["nll_seeds"][0] == 5.2
    assert "arm: 1 new trainings diverged or failed, and count for nothing" in found.findings


def test_per_token_figures_are_divided_alike(rows) -> None:
    found = confirmed(rows, [(0, 0, 6.0, 3.0)], unit="token", tokens=2.0)

    assert found.points["nll_chosen"].tolist() == [2.5, 3.0, 3.5]
    assert found.points["nll_fresh"][0] == 3.0
    assert found.points["mi_fresh_error"][0] == 0.01


def test_replicates_of_one_configuration_share_its_fresh_seeds(rows) -> None:
    chosen = frontier_points(chosen_rows(rows).assign(config_hash="same", seed=[0, 1, 2]))
    found = confirmation(chosen, fresh_rows(rows, [(0, 3, 5.5, 1.5), (0, 4, 6.5, 2.5)]))

    assert found.points["nll_seeds"].tolist() == [6.0] * 3
    assert found.points["n_seeds"].tolist() == [2] * 3


def test_nothing_fresh_leaves_the_chosen_figures_alone(rows) -> None:
    found = confirmed(rows, [])

    assert found.points["nll_fresh"].isna().all()
    assert found.points["n_seeds"].tolist() == [0] * 3
    assert not found.points["on_frontier"].any()
    text = to_text(confirmation_table(found.points))
    assert "NLL chosen" in text
    assert "nan" not in text


def test_a_confirmation_is_drawn_and_saved(rows, tmp_path) -> None:
    found = confirmed(rows, [(0, 0, 5.5, 0.9), (0, 1, 5.2, 0.8), (1, 1, 6.6, 1.8)])
    figure = confirmation_figure(found)
    figure.draw_without_rendering()
    [axes] = figure.axes
    lines = [line for line in axes.lines if line.get_linewidth() == 0.8]
    assert [list(line.get_ydata()) for line in lines] == [[5.0, 5.2], [6.0, 6.6]]
    assert figure.get_suptitle() == "an_experiment"

    paths = save_confirmation(found, tmp_path)
    again = [path.read_bytes() for path in paths]
    assert [path.name for path in paths] == [
        f"confirmation.{kind}" for kind in ("csv", "png", "svg")
    ]
    assert [path.read_bytes() for path in save_confirmation(found, tmp_path)] == again
    assert pd.read_csv(paths[0])["nll_chosen"].tolist() == [5.0, 6.0, 7.0]
