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
    """From (number of the chosen point, seed, nll, mi) and perhaps K, by default 1,000."""
    of, seeds, nll, mi, K = (
        zip(*[(*m, 1000)[:5] for m in measured], strict=True) if measured else [()] * 5
    )
    errors = {"nll_se": 0.01, "mi_se": 0.02}
    frame = rows(list(zip(nll, mi, strict=True)), **{**errors, **columns})
    return frame.assign(
        confirms=[f"t{i}" for i in of], seed=list(seeds), samples=list(K), config_hash="longer"
    )


def confirmed(rows, measured, unit: Unit = "observation", fresh=None, **columns) -> Confirmation:
    chosen = frontier_points(chosen_rows(rows, **columns), unit)
    return confirmation(chosen, fresh_rows(rows, measured, **{**columns, **(fresh or {})}))


def test_fresh_figures_stand_beside_the_chosen_ones(rows) -> None:
    points = confirmed(
        rows,
        [
            *[(0, 0, 5.3, 0.95, 100), (1, 0, 6.3, 1.95, 100), (2, 0, 7.3, 2.95, 100)],
            *[(0, 0, 5.5, 0.9), (1, 0, 6.5, 1.9), (2, 0, 7.5, 2.9)],
            *[(0, 1, 5.2, 0.8), (0, 2, 5.6, 1.0), (1, 1, 6.6, 1.8)],
        ],
    ).points

    assert points["nll_chosen"].tolist() == [5.0, 6.0, 7.0]
    assert points["mi_chosen_error"].tolist() == [0.4] * 3
    assert points["nll_redrawn"].tolist() == [5.3, 6.3, 7.3]
    assert points["nll_fresh"].tolist() == [5.5, 6.5, 7.5]
    assert points["mi_fresh_error"].tolist() == [0.02] * 3
    assert points["n_seeds"].tolist() == [2, 1, 0]
    assert points["nll_seeds"][:2].tolist() == pytest.approx([5.4, 6.6])
    assert points["nll_seeds_error"][0] == pytest.approx(0.2)  # (5.6 - 5.2) / 2
    assert points["nll_seeds_error"][1] == 0.01  # that of its evaluation, for want of a spread
    assert math.isnan(points["nll_seeds_error"][2])
    assert points["membership"].tolist() == ["frontier"] * 3


def test_a_small_spread_over_seeds_does_not_hide_their_monte_carlo_error(rows) -> None:
    found = confirmed(rows, [(0, 1, 5.2, 0.8), (0, 2, 5.2001, 0.8)], fresh={"nll_se": 0.3})

    # The mean of two errors of 0.3 has one of 0.3 / sqrt(2); the spread says 0.00005.
    assert found.points["nll_seeds_error"][0] == pytest.approx(0.3 / math.sqrt(2))


def test_a_point_that_its_fresh_figures_leave_dominated_is_off_the_frontier(rows) -> None:
    measured = [(0, 1, 5.0, 1.0), (1, 1, 6.5, 1.5), (2, 1, 6.4, 3.0)]

    found = confirmed(rows, measured)

    assert found.points["membership"].tolist() == ["frontier", "dominated", "frontier"]
    assert "arm: by the fresh figures 2 frontier, 1 dominated" in found.findings


def test_a_point_within_the_error_of_domination_is_ambiguous(rows) -> None:
    measured = [(0, 1, 5.0, 1.0), (1, 1, 6.401, 2.0), (2, 1, 6.4, 3.0)]

    found = confirmed(rows, measured)

    assert found.points["membership"].tolist() == ["frontier", "ambiguous", "frontier"]


def test_luck_of_evaluation_bias_and_luck_of_training_are_told_apart(rows) -> None:
    chosen = [5.0, 6.0, 7.0], [1.0, 2.0, 3.0]
    looks = {  # how far NLL and MI are from the chosen ones, by seed and K
        (0, 100): ([0.1, 0.2, 0.3], [-0.2, -0.4, -0.6]),
        (0, 1000): ([0.0, 0.1, 0.2], [-0.3, -0.5, -0.7]),
        (1, 1000): ([0.4, 0.6, 0.8], [0.7, 0.5, 0.3]),
    }
    measured = [
        (i, seed, chosen[0][i] + nll[i], chosen[1][i] + mi[i], K)
        for (seed, K), (nll, mi) in looks.items()
        for i in range(3)
    ]

    # Changes of NLL 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, over the root of three points.
    luck, bias, training, *_ = confirmed(rows, measured).findings
    assert luck == (
        "arm: same models, K = 100 drawn again: NLL +0.2 ± 0.058 and MI -0.4 ± 0.12 (n = 3)"
    )
    assert bias.startswith("arm: same models, K = 1000 in place of 100: NLL -0.1 ± ")
    assert training.startswith("arm: same configurations, new seeds: NLL +0.5 ± 0.058 and MI +1 ±")


def test_points_that_were_not_on_the_frontier_do_not_dilute_the_changes(rows) -> None:
    chosen = frontier_points(chosen_rows(rows, [(5.0, 2.0), (5.001, 1.999), (7.0, 3.0)]))
    measured = [(0, 0, 5.5, 2.0, 100), (1, 0, 5.0, 2.0, 100), (2, 0, 7.5, 3.0, 100)]
    found = confirmation(chosen, fresh_rows(rows, measured))

    assert found.points["was_on_frontier"].tolist() == [True, False, True]
    assert found.findings[0].startswith("arm: same models, K = 100 drawn again: NLL +0.5 ")
    assert found.findings[0].endswith("(n = 2)")


def test_exact_figures_need_no_fresh_evaluation(rows) -> None:
    exact = {"nll_exact": [4.0, 5.0, 6.0], "mi_exact": [1.0, 2.0, 3.0]}
    chosen = frontier_points(chosen_rows(rows, **exact))
    fresh = fresh_rows(rows, [(0, 1, 9.0, 9.0)], nll_exact=4.5, mi_exact=0.5)

    found = confirmation(chosen, fresh)

    assert found.points["nll_fresh"].tolist() == [4.0, 5.0, 6.0]
    assert found.points["nll_fresh_error"].tolist() == [0.0] * 3
    assert found.points["nll_seeds"][0] == 4.5
    assert math.isnan(found.points["nll_seeds_error"][0])  # one value has no spread
    assert found.findings[0] == (
        "arm: figures are exact: evaluating the same models changes nothing"
    )
    table = confirmation_table(found.points)
    assert [name for name in table if name.startswith("NLL")] == ["NLL chosen", "NLL seeds"]


def test_fresh_figures_that_are_not_to_be_believed_are_told(rows) -> None:
    found = confirmed(rows, [(0, 0, 5.5, 0.9)], fresh={"ess": 3.0, "ess_min": 1.01})

    few, lone = found.warnings
    assert few.startswith("arm: 1 of 1 fresh evaluations have an effective sample size below 5;")
    assert lone.startswith("arm: in 1 of 1 fresh evaluations some observation has an effective ")


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
    assert set(found.points["membership"]) == {"unknown"}
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
        f"confirmation.{kind}" for kind in ("csv", "pdf", "png", "svg")
    ]
    assert [path.read_bytes() for path in save_confirmation(found, tmp_path)] == again
    assert pd.read_csv(paths[0])["nll_chosen"].tolist() == [5.0, 6.0, 7.0]
