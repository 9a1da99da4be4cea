import math
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import AxLine

from analysis.attainment import seed_attainment
from analysis.axes import on_axis
from analysis.frontier import frontier_points
from analysis.plots.frontier import (
    frontier_figure,
    plot_frontier,
    plot_rate_distortion,
    save_frontier,
)

PAIRS = [(5.6, 1.0), (5.8, 2.0), (6.4, 3.0), (6.0, 1.5)]  # the last one is dominated


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def texts(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def figure_text(figure: Figure) -> str:
    return f"{figure.get_suptitle()}\n{figure.get_supxlabel()}"


def staircases(axes: Axes) -> list:
    return [line for line in axes.lines if line.get_drawstyle() == "steps-pre"]


def test_it_returns_the_axes_it_drew_on_and_leaves_the_points_alone(rows, axes) -> None:
    points = frontier_points(rows(PAIRS)).points
    before = points.copy(deep=True)
    assert plot_frontier(points, axes) is axes
    pd.testing.assert_frame_equal(points, before)


def test_the_staircase_never_enters_what_no_trial_attains(rows, axes) -> None:
    """At any MI the line lies at the best NLL among trials with at least that MI."""
    points = frontier_points(rows(PAIRS)).points
    plot_frontier(points, axes)
    (staircase,) = staircases(axes)
    drawn = staircase.get_path().vertices
    for mi, nll in drawn:
        attained = points.loc[points["mi_value"] >= mi, "nll_value"].min()
        assert nll >= attained
    assert drawn[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert drawn[:, 1].tolist() == [5.6, 5.8, 5.8, 6.4, 6.4]


@pytest.mark.parametrize("n_arms", [2, 8])
def test_every_arm_has_its_colour_its_marker_and_its_name(rows, axes, n_arms: int) -> None:
    arms = [f"arm {i}" for i in range(n_arms) for _ in PAIRS]
    plot_frontier(frontier_points(rows(PAIRS * n_arms, arm=arms)).points, axes)
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [f"arm {i}" for i in range(n_arms)]
    handles = legend.legend_handles
    assert len({handle.get_color() for handle in handles}) == n_arms
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == n_arms
    assert [line.get_color() for line in staircases(axes)] == [h.get_color() for h in handles]


def test_names_are_shown_as_they_are(rows) -> None:
    stored = rows(PAIRS * 2, arm=["_a$^$"] * 4 + ["_b$^$"] * 4, experiment="_x$^$")
    figure = frontier_figure(frontier_points(stored))
    figure.draw_without_rendering()
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "_a$^$"
    assert figure.get_suptitle() == "_x$^$"


def test_axes_name_the_unit_and_the_better_direction(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS), unit="token").points, axes, unit="token")
    assert axes.get_xlabel() == "mutual information (nats per token)\nhigher is better →"
    assert "negative log-likelihood (nats per token)" in axes.get_ylabel()


def test_the_information_of_q_is_named_with_its_pool_and_its_ceiling(rows, axes) -> None:
    of_q = {"mi_q": [0.1, 1.0, 2.0, 3.4], "mi_q_se": 0.0, "mi_q_ceiling": 3.5, "observations": 33}
    frontier = frontier_points(on_axis(rows(PAIRS, **of_q), "mi_q"))
    plot_frontier(frontier.points, axes)
    assert axes.get_xlabel().startswith("MI of q, I_q(x; z), pool of 33 (nats per observation)")
    assert "ceiling of the pool: ln N = 3.5" in texts(axes)
    notes = frontier_figure(frontier).get_supxlabel()
    assert "NLL: by importance sampling, K = 100 · MI: MI of q, I_q(x; z), pool of 33" in notes


def test_floor_and_ceiling_are_drawn_where_they_are_near(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS, nll_floor=5.545, mi_ceiling=3.5)).points, axes)
    assert [text.get_text() for text in axes.texts][:2] == [
        "lowest possible NLL 5.545",
        "highest possible MI 3.5",
    ]
    dashed = [line for line in axes.lines if line.is_dashed()]
    assert [line.get_ydata()[0] for line in dashed[:1]] == [5.545]
    assert [line.get_xdata()[0] for line in dashed[1:]] == [3.5]
    assert axes.get_ylim()[0] < 5.545
    assert axes.get_xlim()[1] > 3.5


def test_a_far_floor_or_ceiling_is_told_and_does_not_squeeze_the_picture(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS, nll_floor=1.0, mi_ceiling=18.42)).points, axes)
    assert "lowest possible NLL 1 · highest possible MI 18.42" in texts(axes)
    assert not any(line.is_dashed() for line in axes.lines)
    assert axes.get_xlim()[1] < 4
    assert axes.get_ylim()[0] > 5


def test_several_ceilings_are_drawn_and_named_above(rows, axes) -> None:
    stored = rows(PAIRS, mi_ceiling=[3.5, 3.5, 3.52, 3.52])
    plot_frontier(frontier_points(stored).points, axes)
    assert "highest possible MI 3.5 · highest possible MI 3.52" in texts(axes)
    assert len([line for line in axes.lines if line.is_dashed()]) == 2


def test_unknown_limits_are_not_drawn(rows, axes) -> None:
    plot_frontier(frontier_points(rows(PAIRS)).points, axes)
    assert "possible" not in texts(axes)


def test_trials_far_astray_do_not_set_the_view_and_are_counted(rows, axes) -> None:
    pairs = [*PAIRS, (1e6, 0.5), (1e300, 50.0)]  # dominated, and on the frontier
    plot_frontier(frontier_points(rows(pairs)).points, axes)
    assert axes.get_ylim()[1] < 7
    assert axes.get_xlim()[1] < 4
    assert "2 of 6 trials outside this view, 1 of them on a frontier" in texts(axes)


def test_estimates_are_hollow_only_beside_exact_values(rows) -> None:
    def faces(stored: pd.DataFrame) -> set[bool]:
        axes = plot_frontier(frontier_points(stored).points, Figure().add_subplot())
        markers = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
        return {line.get_markerfacecolor() == "white" for line in markers}

    assert faces(rows(PAIRS)) == {False}
    assert faces(rows(PAIRS, nll_exact=5.0, mi_exact=1.0)) == {False}
    exact = [5.0, None, None, None]
    assert faces(rows(PAIRS, nll_exact=exact, mi_exact=exact)) == {False, True}


def test_error_bars_are_one_standard_error(rows, axes) -> None:
    plot_frontier(frontier_points(rows([(5.0, 1.0)], nll_se=0.2, mi_se=0.1)).points, axes)
    bars = [bar.get_segments()[0] for bar in axes.collections]
    np.testing.assert_allclose(bars, [[[0.9, 5.0], [1.1, 5.0]], [[1.0, 4.8], [1.0, 5.2]]])


@pytest.mark.parametrize("pairs", [[], [(5.0, 0.0)], [(5.0, 1.0)] * 3])
def test_nothing_one_point_and_equal_points_can_be_drawn(rows, pairs) -> None:
    frontier_figure(frontier_points(rows(pairs))).draw_without_rendering()


def test_no_trial_is_said_in_the_middle_of_the_picture(rows, axes) -> None:
    plot_frontier(frontier_points(rows([])).points, axes)
    assert texts(axes) == "no finished trial to show"


def test_many_points_are_a_bitmap_without_bars(rows, axes) -> None:
    rng = np.random.default_rng(0)
    cloud = [(5.0 + nll, 1 - nll + mi) for nll, mi in rng.uniform(0, 1, size=(2_100, 2))]
    plot_frontier(frontier_points(rows(cloud, nll_se=0.1, mi_se=0.1)).points, axes)
    clouds = [line for line in axes.lines if len(line.get_xdata()) > 2_000]
    assert [line.get_rasterized() for line in clouds] == [True]
    assert all(len(bars.get_segments()) < 100 for bars in axes.collections)


def test_the_figure_tells_where_it_comes_from(rows) -> None:
    stored = rows(
        [*PAIRS, (9.0, 1.0), (math.nan, 1.0)],
        status=["done"] * 4 + ["diverged", "done"],
        scale="small",
        run="a_run",
        nll_se=0.001,
    )
    text = figure_text(frontier_figure(frontier_points(stored)))
    assert text == (
        "an_experiment\n"
        "run: a_run · scale: small · split: train · NLL and MI: by importance sampling, K = 100"
        " · code: 1.2.3\n"
        "trials done: 4, on a frontier: 3, diverged: 1, without a finite value: 1"
        " · faint: dominated · bars: one Monte Carlo standard error"
    )


def test_the_figure_says_what_a_subset_of_the_split_does(rows) -> None:
    stored = rows(PAIRS, nll_se=0.1, nll_sampling_se=0.25, mi_sampling_se=0.125)
    said = " ".join(figure_text(frontier_figure(frontier_points(stored))).split())
    assert "shared by all points: ± 0.25 NLL and ± 0.12 MI for the subset of the split" in said


def test_what_only_some_points_have_is_not_said_of_all(rows) -> None:
    some = [0.25, None, 0.25, 0.25]
    stored = rows(PAIRS, nll_sampling_se=some, mi_sampling_se=some, scale=["small", *[None] * 3])
    said = " ".join(figure_text(frontier_figure(frontier_points(stored))).split())
    assert "shared by all points" not in said
    assert "scale: small, none" in said


def test_notes_and_legend_lie_above_the_axes_and_not_on_each_other(rows) -> None:
    arms = ["a"] * 5 + ["b"] * 5  # with one frontier, so that their names do not fit beside it
    stored = rows([*PAIRS, (1e6, 0.5)] * 2, arm=arms, nll_floor=1.0)
    figure = frontier_figure(frontier_points(stored))
    figure.draw_without_rendering()
    [axes] = figure.axes
    [note] = [text for text in axes.texts if "outside this view" in text.get_text()]
    note_box, legend_box = note.get_window_extent(), axes.get_legend().get_window_extent()
    assert note_box.y0 >= axes.get_window_extent().y1
    assert legend_box.y0 >= note_box.y1


def test_the_figure_tells_exact_values_from_estimates(rows) -> None:
    exact = [5.0, None, None, None]
    mixed = rows(PAIRS, nll_exact=exact, mi_exact=exact)
    assert (
        "NLL and MI: by enumeration (filled) or by importance sampling, K = 100 (hollow)"
        in figure_text(frontier_figure(frontier_points(mixed)))
    )
    only = rows(PAIRS, nll_exact=5.0, mi_exact=1.0)
    assert "NLL and MI: by enumeration ·" in figure_text(frontier_figure(frontier_points(only)))


def test_labels_do_not_overlap_and_stay_inside_the_figure(rows) -> None:
    arms = [f"a_long_run_name_of_the_quickstart: arm number {i}" for i in range(8) for _ in PAIRS]
    stored = rows(PAIRS * 8, arm=arms, nll_floor=5.5, mi_ceiling=3.2, scale="small")
    figure = frontier_figure(frontier_points(stored))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    parts = [
        *figure.texts,
        axes.get_legend(),
        axes.xaxis.label,
        axes.yaxis.label,
        *axes.texts[:2],
    ]
    boxes = [part.get_window_extent() for part in parts]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def test_saved_files_hold_the_points_and_the_picture(rows, tmp_path: Path) -> None:
    frontier = frontier_points(rows(PAIRS, scale=["small"] * 4, mi_ceiling=3.5), unit="token")
    paths = save_frontier(frontier, tmp_path / "frontier")
    assert [path.name for path in paths] == [
        f"frontier.{kind}" for kind in ("csv", "parquet", "pdf", "png", "svg")
    ]
    csv, parquet, pdf, png, svg = paths
    expected = frontier.points.assign(unit="token")
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), expected, check_dtype=False)
    assert pd.read_csv(csv)["nll_value"].tolist() == expected["nll_value"].tolist()
    assert pd.read_csv(csv)["unit"].unique().tolist() == ["token"]
    assert pdf.read_bytes().startswith(b"%PDF")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.fromstring(svg.read_bytes()).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_frontier_gives_the_same_bytes(rows, tmp_path: Path) -> None:
    frontier = frontier_points(rows(PAIRS, nll_se=0.1, nll_floor=5.5, mi_ceiling=4.0))
    first, second = (save_frontier(frontier, tmp_path / name) for name in ("first", "second"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.suffix


def test_a_failed_write_leaves_the_earlier_file_whole(
    rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frontier = frontier_points(rows(PAIRS))
    earlier = [path.read_bytes() for path in save_frontier(frontier, tmp_path)]

    def fail(self: Figure, path: Path, **_: object) -> None:
        path.write_bytes(b"half a picture")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="No space left"):
        save_frontier(frontier, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"frontier.{kind}" for kind in ("csv", "parquet", "pdf", "png", "svg")
    ]
    assert [
        (tmp_path / f"frontier.{kind}").read_bytes() for kind in ("pdf", "png", "svg")
    ] == earlier[2:]


def test_an_empty_frontier_can_be_saved(rows, tmp_path: Path) -> None:
    csv, parquet, *_ = save_frontier(frontier_points(rows([])), tmp_path)
    assert len(pd.read_parquet(parquet)) == 0
    assert "nll_value" in csv.read_text()


def test_a_frontier_of_a_point_or_two_is_shown_among_the_others(rows) -> None:
    stored = rows([(5.0, 2.0), (5.2, 1.5), (5.4, 1.0)])
    axes = frontier_figure(frontier_points(stored)).axes[0]
    assert axes.get_ylim()[1] > 5.4


def markers(axes: Axes) -> dict[str, list[float]]:
    """The MI of the drawn points by the way their markers are filled."""
    drawn: dict[str, list[float]] = {}
    for line in axes.lines:
        if line.get_marker() not in ("None", "", None):
            filled = "faint" if (line.get_alpha() or 1) < 1 else line.get_fillstyle()
            drawn.setdefault(filled, []).extend(line.get_xdata())
    return {filled: sorted(mi) for filled, mi in drawn.items()}


def test_ambiguous_points_are_half_filled_and_the_staircase_is_that_of_the_estimates(
    rows, axes
) -> None:
    stored = rows([*PAIRS, (5.9, 1.9)], nll_se=[0.01, 0.1, 0.01, 0.01, 0.1])
    points = frontier_points(stored).points
    plot_frontier(points, axes)
    assert markers(axes) == {"full": [1.0, 2.0, 3.0], "faint": [1.5], "bottom": [1.9]}
    [staircase] = staircases(axes)
    assert staircase.get_xdata().tolist() == [1.0, 2.0, 3.0]


def test_the_figure_says_what_half_filled_means_and_only_if_there_is_any(rows) -> None:
    def said(nll_se: float) -> str:
        figure = frontier_figure(frontier_points(rows(PAIRS, nll_se=nll_se)))
        return " ".join(figure_text(figure).split())

    assert "ambiguous: 2" in said(0.1)
    assert "half filled: ambiguous, on the frontier in 5% to 95% of draws" in said(0.1)
    assert "ambiguous" not in said(1e-6)


def test_the_figure_shows_the_warnings(rows) -> None:
    frontier = frontier_points(rows(PAIRS, ess=1.0))
    said = " ".join(figure_text(frontier_figure(frontier)).split())
    assert f"warning: {frontier.warnings[0]}" in said


def test_rate_and_distortion_add_up_to_the_nll(rows, axes) -> None:
    stored = rows([(5.0, 1.0)], nll_se=0.2, mi_se=0.1, nll_mi_covariance=0.0025)
    assert plot_rate_distortion(frontier_points(stored).points, axes) is axes
    bars = [bar.get_segments()[0] for bar in axes.collections]
    error = math.sqrt(0.04 + 0.01 - 2 * 0.0025)
    np.testing.assert_allclose(
        bars, [[[0.9, 4.0], [1.1, 4.0]], [[1.0, 4.0 - error], [1.0, 4.0 + error]]]
    )
    assert axes.get_ylabel() == "distortion: NLL − rate (nats per observation)"
    assert "rate: mutual information under the model" in axes.get_xlabel()


def test_the_frontier_of_rate_and_distortion_keeps_its_nll_between_points(rows, axes) -> None:
    plot_rate_distortion(frontier_points(rows(PAIRS)).points, axes)
    [line] = [line for line in axes.lines if line.get_linestyle() == "-"]
    rate, distortion = line.get_xdata(), line.get_ydata()
    np.testing.assert_allclose(rate, [1, 1, 2, 2, 3])
    np.testing.assert_allclose(rate + distortion, [5.6, 5.8, 5.8, 6.4, 6.4])


def test_the_lowest_possible_nll_is_a_diagonal_of_rate_and_distortion(rows, axes) -> None:
    plot_rate_distortion(frontier_points(rows(PAIRS, nll_floor=5.5)).points, axes)
    [floor] = [line for line in axes.lines if isinstance(line, AxLine)]
    assert (floor.get_xy1(), floor.get_slope()) == ((0.0, 5.5), -1.0)
    assert "dashed diagonal: lowest possible NLL 5.5" in texts(axes)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"view": "rate-distortion"}, ["rate_distortion"]),
        ({"style": "paper"}, ["frontier_paper"]),
    ],
)
def test_other_pictures_have_other_names(rows, tmp_path: Path, options, names) -> None:
    paths = save_frontier(frontier_points(rows(PAIRS)), tmp_path, **options)
    kinds = ("pdf", "png", "svg")
    assert [path.name for path in paths] == [
        *("frontier.csv", "frontier.parquet"),
        *(f"{name}.{kind}" for name in names for kind in kinds),
    ]


def test_bands_are_drawn_told_and_written(rows, tmp_path: Path) -> None:
    frontier = frontier_points(rows(PAIRS * 2, seed=[0] * 4 + [1] * 4))
    surfaces = seed_attainment(frontier.points).assign(band="seeds")
    figure = frontier_figure(frontier, attainment=surfaces)
    said = " ".join(figure_text(figure).split())
    assert "attained by at least 25 % and less than 75 % of 2 seeds, dashes: 50 %" in said
    assert len(figure.axes[0].patches) == 1
    paths = save_frontier(frontier, tmp_path, attainment=surfaces)
    written = pd.read_csv(paths[2])
    assert paths[2].name == "attainment.csv"
    assert written.columns.tolist() == ["label", "level", "mi", "nll", "sets", "band", "unit"]
    assert len(written) == len(surfaces)
