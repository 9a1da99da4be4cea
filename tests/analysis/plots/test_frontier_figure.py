"""The figure around a frontier: what it says, where it says it, and the files it becomes."""

import math
import os
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.attainment import seed_attainment
from analysis.frontier import frontier_points
from analysis.plots.frontier import frontier_figure, save_frontier
from tests.analysis.plots.points import PAIRS


def figure_text(figure: Figure) -> str:
    return f"{figure.get_suptitle()}\n{figure.get_supxlabel()}"


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
