"""The page in a real browser; `opened` checks that it neither complains nor asks the network."""

import csv
import io
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.frontier import frontier_points
from tests.analysis.report.points import ARMS, PAIRS

Rows = Callable[..., pd.DataFrame]
Open = Callable[..., Any]


@pytest.fixture
def sentences(trial_rows: Rows) -> pd.DataFrame:
    return trial_rows(PAIRS, arm=ARMS, tokens=7.0, nll_floor=0.9, mi_ceiling=4.5)


def expected(rows: pd.DataFrame, unit: Any, scale: float = 1.0) -> dict[str, tuple[float, float]]:
    points = frontier_points(rows, unit).points
    values = zip(points["mi_value"] * scale, points["nll_value"] * scale, strict=True)
    return dict(zip(points["trial_id"], values, strict=True))


def agree(drawn: dict[str, tuple[float, float]], computed: dict[str, tuple[float, float]]) -> None:
    assert drawn.keys() == computed.keys()
    for trial, point in computed.items():
        np.testing.assert_allclose(drawn[trial], point, rtol=1e-8)


def axis(opened: Any, name: str) -> str:
    return str(opened.page.evaluate(f"document.getElementById('chart').layout.{name}.title.text"))


def test_all_points_are_where_the_analysis_has_them(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)

    agree(report.drawn(), expected(five, "observation"))
    assert report.text("#summary") == "5 points · 4 on a frontier · 2 arms"
    assert axis(report, "xaxis").startswith("mutual information (nats per observation)")
    assert "negative log-likelihood (nats per observation)" in axis(report, "yaxis")
    lines = report.page.evaluate("document.getElementById('chart').layout.shapes")
    assert [line.get("y0") for line in lines if line.get("xref") == "paper"] == [0.9]
    assert [line.get("x0") for line in lines if line.get("yref") == "paper"] == [4.5]


def test_the_frontier_is_a_staircase_with_bars(opened: Open, five: pd.DataFrame) -> None:
    traces = opened(five).page.evaluate("document.getElementById('chart').data")
    [a, _] = [trace for trace in traces if trace["mode"] == "lines+markers"]

    assert (a["x"], a["y"]) == ([0.5, 2.0, 4.0], [1.0, 2.0, 3.0])
    assert a["line"]["shape"] == "vh"
    assert a["error_y"]["array"] == [0.01] * 3
    assert a["error_x"]["array"] == [0.02] * 3


def test_pointing_at_a_point_tells_about_its_trial(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)
    for trial, nll in (("t1", "2.000 ± 0.010"), ("t3", "2.900 ± 0.010")):
        report.page.mouse.move(*report.place(trial))
        report.page.wait_for_selector(f"#tooltip:has-text('{trial}')")
        told = report.text("#tooltip")
        assert nll in told
        assert ("on the frontier" in told) == (trial == "t1")
        for fact in ("60.5 s training, 2.5 s evaluation", "estimated, K = 100", "learning_rate"):
            assert fact in told
    report.page.mouse.move(2, 2)
    report.page.wait_for_selector("#tooltip", state="hidden")


def test_a_click_opens_the_exact_trial(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)
    assert report.text("#details-title") == "How to read this"
    report.page.mouse.click(*report.place("t2"))
    report.page.wait_for_selector("#details pre.yaml")

    stored = json.loads(five["trial"][2])
    assert yaml.safe_load(report.text("#details pre.yaml")) == stored
    assert report.text("#details pre.command") == "sweeper rerun t2"
    assert report.page.locator("#points-table tr[aria-selected=true]").inner_text().endswith("t2")
    with report.page.expect_download() as download:
        report.page.get_by_role("button", name="Download", exact=True).first.click()
    assert download.value.suggested_filename == "t2.yaml"
    assert yaml.safe_load(Path(download.value.path()).read_text()) == stored
    report.page.get_by_role("button", name="Close").click()
    assert report.text("#details-title") == "How to read this"


def test_the_command_can_be_copied(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five, permissions=["clipboard-read", "clipboard-write"])
    report.page.locator("tr", has_text="t1").click()
    report.page.locator("section:has(> pre.command)").get_by_role("button", name="Copy").click()
    report.page.wait_for_selector("text=Copied")

    assert report.page.evaluate("navigator.clipboard.readText()") == "sweeper rerun t1"


def test_arms_can_be_left_out(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)
    assert report.text("#count") == "5 of 5 points shown"
    report.page.get_by_label("a 4 (3 on the frontier)").uncheck()
    assert report.text("#count") == "1 of 5 points shown"
    assert set(report.drawn()) == {"t4"}
    assert report.column("trial") == ["t4"]
    report.page.get_by_label("b 1 (1 on the frontier)").uncheck()
    assert report.text("#nothing") == "All points are filtered out."
    report.page.get_by_label("a 4 (3 on the frontier)").check()
    report.page.get_by_label("frontier only").check()
    assert set(report.drawn()) == {"t0", "t1", "t2"}
    assert report.text("#count") == "3 of 5 points shown"


def test_bits_are_nats_over_ln_2(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)
    report.page.get_by_label("NLL in bits").check()

    agree(report.drawn(), expected(five, "observation", 1 / math.log(2)))
    assert "bits per observation" in axis(report, "xaxis")
    assert report.column("NLL")[0] == f"{1 / math.log(2):.3f} ± {0.01 / math.log(2):.3f}"
    assert report.page.get_by_label("perplexity").count() == 0


def test_perplexity_is_that_of_a_token(opened: Open, sentences: pd.DataFrame) -> None:
    report = opened(sentences, unit="token")
    agree(report.drawn(), expected(sentences, "token"))
    report.page.get_by_label("perplexity").check()
    perplexities = {
        trial: (mi, math.exp(nll)) for trial, (mi, nll) in expected(sentences, "token").items()
    }
    agree(report.drawn(), perplexities)
    assert "perplexity (per token)" in axis(report, "yaxis")
    assert "nats per token" in axis(report, "xaxis")
    ppl = math.exp(1 / 7)
    assert report.column("perplexity")[0] == f"{ppl:.4f} ± {ppl * 0.01 / 7:.4f}"

    report.page.get_by_label("observation").check()
    agree(report.drawn(), expected(sentences, "observation"))
    assert report.page.get_by_label("perplexity").is_disabled()
    assert report.page.get_by_label("NLL in nats").is_checked()


def test_the_shown_points_can_be_downloaded(opened: Open, sentences: pd.DataFrame) -> None:
    report = opened(sentences, unit="token")
    report.page.get_by_label("NLL in bits").check()
    report.page.get_by_label("frontier only").check()
    with report.page.expect_download() as download:
        report.page.locator("#csv").click()
    text = Path(download.value.path()).read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert [row["trial_id"] for row in rows] == ["t0", "t1", "t2", "t4"]
    computed = expected(sentences, "token", 1 / math.log(2))
    for row in rows:
        figures = float(row["mi_bits_per_token"]), float(row["nll_bits_per_token"])
        np.testing.assert_allclose(figures, computed[row["trial_id"]], rtol=1e-8)
    assert [float(row["training.learning_rate"]) for row in rows] == [0.001, 0.002, 0.003, 0.005]


def test_columns_sort_by_value_with_what_is_missing_last(opened: Open, trial_rows: Rows) -> None:
    report = opened(trial_rows(PAIRS, ess=[9.0, 100.0, math.nan, 20.0, 3.0]))
    head = report.page.locator("#points-table th", has_text="ESS")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert report.column("ESS") == ["3", "9", "20", "100", ""]
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert report.column("ESS") == ["100", "20", "9", "3", ""]
    assert report.page.evaluate("document.activeElement.dataset.sort") == "ess"
    report.page.locator("#points-table th button", has_text="learning_rate").press("Space")
    assert report.column("trial") == ["t0", "t1", "t2", "t3", "t4"]


def test_a_keyboard_is_enough(opened: Open, sentences: pd.DataFrame) -> None:
    report = opened(sentences, unit="token")
    press = report.page.keyboard.press
    focused = "document.activeElement.{}".format
    met = []
    for _ in range(60):
        press("Tab")
        met.append(report.page.evaluate(focused("id || document.activeElement.name")))
        style = report.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid", f"{met[-1]!r} shows no focus"
        if report.page.evaluate(focused("tagName")) == "TR":
            break
    assert met[0] == ""  # the skip link
    for control in ("theme", "measure", "unit", "frontier-only", "chart", "zoom-in", "csv"):
        assert control in met

    ring = "document.getElementById('chart').layout.shapes.at(-1).xanchor"
    assert report.page.evaluate(ring) == pytest.approx(0.5 / 7)
    press("ArrowDown")
    assert report.page.evaluate(ring) == pytest.approx(1.0 / 7)
    press("End")
    press("Enter")
    assert yaml.safe_load(report.text("#details pre.yaml")) == json.loads(sentences["trial"][2])
    assert report.page.evaluate(focused("tagName")) == "TR"
    press("Tab")
    assert report.page.evaluate(focused("textContent")) == "Close"
    press("Enter")
    assert report.text("#details-title") == "How to read this"


def test_the_chart_pans_and_zooms_by_keys(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)
    view = "document.getElementById('chart').layout.xaxis.range"
    low, high = report.page.evaluate(view)
    report.page.locator("#chart").focus()
    report.page.keyboard.press("+")
    closer = report.page.evaluate(view)
    assert closer[1] - closer[0] == pytest.approx(0.8 * (high - low))
    report.page.keyboard.press("ArrowRight")
    assert report.page.evaluate(view)[0] == pytest.approx(closer[0] + 0.08 * (high - low))
    report.page.keyboard.press("0")
    assert report.page.evaluate(view) == pytest.approx([low, high])
    for _ in range(4):
        report.page.locator("#zoom-in").click()
    assert "outside this view" in report.text("#outside")
    report.page.locator("#all").click()
    assert report.text("#outside") == ""
    report.page.locator("#reset").click()
    assert report.page.evaluate(view) == pytest.approx([low, high])


def test_dragging_zooms_and_a_double_click_resets(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five)
    view = "document.getElementById('chart').layout.xaxis.range"
    before = report.page.evaluate(view)
    (left, top), (right, bottom) = report.place("t1"), report.place("t4")
    mouse = report.page.mouse
    mouse.move(left + 10, top + 40)
    mouse.down()
    mouse.move(right - 5, bottom - 40, steps=5)
    mouse.up()
    report.page.wait_for_function(f"{view}[0] > 1.9")
    report.page.wait_for_timeout(400)  # or the next press would make it a double click
    mouse.dblclick(left + 30, top + 30)
    report.page.wait_for_function(f"{view}[0] < {before[0]} + 0.001")


BACKGROUND = "getComputedStyle(document.body).backgroundColor"
PAPER = "document.getElementById('chart').layout.paper_bgcolor"


def in_time(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_system_until_it_is_told_otherwise(
    opened: Open, five: pd.DataFrame, scheme: str
) -> None:
    report = opened(five, color_scheme=scheme)
    other = {"light": "dark", "dark": "light"}

    def colours() -> tuple[str, str]:
        return report.page.evaluate(BACKGROUND), report.page.evaluate(PAPER)

    seen = colours()
    report.page.emulate_media(color_scheme=other[scheme])  # which the page is told of in its time
    in_time(lambda: all(one != another for one, another in zip(seen, colours(), strict=True)))
    report.page.get_by_role("button", name="Dark theme").click()
    in_time(lambda: colours() == seen)
    pressed = report.page.locator("#theme").get_attribute("aria-pressed")
    assert pressed == str(scheme == "dark").lower()


CONTRAST = """() => {
    const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = rgb(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
    };
    const texts = [...document.querySelectorAll('body *')].filter(e =>
        e.offsetParent && !e.closest('svg') &&
        [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
    return texts.map(e => {
        const [a, b] = [rgb(getComputedStyle(e).color), behind(e)].map(luminance);
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 80)];
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(
    opened: Open, trial_rows: Rows, scheme: str
) -> None:
    report = opened(trial_rows(PAIRS, arm=ARMS, ess=1.0), color_scheme=scheme)
    report.page.locator("#points-table tbody tr").first.click()
    report.page.wait_for_timeout(200)  # for the transition of colours
    contrasts = report.page.evaluate(CONTRAST)

    assert len(contrasts) > 50
    assert [one for one in contrasts if one[0] < 4.5] == []


def test_paper_is_light_and_nothing_is_folded_away(opened: Open, five: pd.DataFrame) -> None:
    report = opened(five, color_scheme="dark")
    dark = report.page.evaluate(PAPER)
    report.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert report.page.evaluate(PAPER) == "#ffffff"
    assert report.page.locator("details:not([open])").count() == 0
    report.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert report.page.evaluate(PAPER) == dark
    assert report.page.pdf().startswith(b"%PDF")


def test_long_tables_have_pages_and_follow_what_is_chosen(opened: Open, trial_rows: Rows) -> None:
    pairs = [(1.0 + 0.01 * index, 0.1 * index) for index in range(60)]
    report = opened(trial_rows(pairs))
    where = "#points-table .pager span"
    assert report.text(where) == "1–25 of 60 rows"
    report.page.get_by_role("button", name="Next rows").first.click()
    assert report.text(where) == "26–50 of 60 rows"
    assert report.column("trial")[0] == "t25"
    report.page.locator("#points-table tbody tr").last.focus()
    report.page.keyboard.press("ArrowDown")
    assert report.text(where) == "51–60 of 60 rows"
    assert (
        report.page.evaluate("document.activeElement.cells[0].parentElement.ariaRowIndex") == "52"
    )
    report.page.keyboard.press("Home")
    assert report.column("trial")[0] == "t0"
    report.page.mouse.click(*report.place("t40"))
    report.page.wait_for_selector("#points-table tr[aria-selected=true]:has-text('t40')")
    assert report.text(where) == "26–50 of 60 rows"
