"""The page in a real browser, of rows that are hostile, left out, missing, many or uncertain."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.frontier import frontier_points
from tests.analysis.report.points import PAIRS

Rows = Callable[..., pd.DataFrame]
Open = Callable[..., Any]

HOSTILE = "</script><img src=x onerror=alert(1)><!-- & \"'<a href='http://x.org'>$&"


def test_what_people_wrote_is_text_and_no_markup(opened: Open, trial_rows: Rows) -> None:
    rows = trial_rows(
        PAIRS,
        arm=[HOSTILE, HOSTILE, "b", "b", "b"],
        status=["done", "done", "done", "done", "failed"],
        reason=[None, None, None, None, HOSTILE],
        host=HOSTILE,
        run=HOSTILE,
        **{"objective.<b>knob": HOSTILE},
        trial=json.dumps({"name": HOSTILE}),
    )
    run = {"name": HOSTILE, "description": HOSTILE, "experiment": HOSTILE, "rerun": HOSTILE}
    report = opened(rows, run=run)
    assert report.text("h1") == HOSTILE
    assert report.page.title() == f"{HOSTILE} – frontier report"
    assert report.column("reason", "#failed-table") == [HOSTILE]
    report.page.mouse.move(*report.place("t1"))
    report.page.wait_for_selector("#tooltip:not([hidden])")
    report.page.locator("tr", has_text="t1").click()
    assert yaml.safe_load(report.text("#details pre.yaml")) == {"name": HOSTILE}
    assert report.page.locator("img, a[href^=http], #points-table b").count() == 0


def test_what_was_left_out_is_told_with_its_reason(opened: Open, trial_rows: Rows) -> None:
    rows = trial_rows(
        PAIRS,
        status=["done", "failed", "diverged", "done", "done"],
        reason=[None, "out of memory", "loss is NaN", None, None],
        nll=[1.0, 2.0, 3.0, math.nan, 2.5],
    )
    report = opened(rows)

    assert "left out: 1 " in report.text("#summary")
    assert sorted(report.column("reason", "#failed-table")) == [
        "loss is NaN",
        "out of memory",
        "without a finite value",
    ]
    report.page.locator("#failed-table tr", has_text="out of memory").click()
    assert report.text("#details pre.command") == "sweeper rerun t1"
    assert "out of memory" in report.text("#details")
    told = report.text("#provenance")
    for fact in ("3 done, 1 failed, 1 diverged", "1.2.3", "5a", "2026-01-02 03:04", "5.04 min"):
        assert fact in told


def test_without_a_point_there_is_still_a_report(opened: Open, trial_rows: Rows) -> None:
    report = opened(trial_rows(PAIRS, status="failed", reason="no luck"))

    assert report.text("#nothing") == "No finished trial to show."
    assert report.column("reason", "#failed-table") == ["no luck"] * 5
    assert report.page.locator("#csv").is_disabled()


@pytest.fixture
def many(trial_rows: Rows) -> pd.DataFrame:
    """Ten thousand points."""
    n, random = 10_000, np.random.default_rng(0)
    mi = 4 * random.beta(1.2, 3, n)
    nll = 5 + 0.1 * mi**2 + random.gamma(2, 0.2, n)
    arms = random.choice(["a", "b", "c", "d"], n)
    return trial_rows([(1.0, 1.0)] * n, nll=nll, mi=mi, arm=arms, tokens=20.0)


@pytest.mark.slow
def test_ten_thousand_points_do_not_lag(opened: Open, many: pd.DataFrame, tmp_path: Path) -> None:
    report = opened(many, unit="token")
    assert (tmp_path / "report.html").stat().st_size < 10e6
    types = report.page.evaluate("document.getElementById('chart').data.map(({ type }) => type)")
    assert "scattergl" in types
    assert report.text("#count") == "10,000 of 10,000 points shown"
    report.page.mouse.move(*report.place("t0"))
    report.page.wait_for_selector("#tooltip:not([hidden])")
    seconds = report.page.evaluate(
        """async () => {
            const begun = performance.now();
            document.querySelector('#arms input').click();
            await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
            return (performance.now() - begun) / 1000;
        }"""
    )
    assert seconds < 3  # 0.2 on an idle machine, of which most is drawing without a GPU


def test_without_webgl_many_points_are_drawn_all_the_same(
    opened: Open, many: pd.DataFrame, chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_page = chromium.new_page

    def without(**context: Any) -> Any:
        page = new_page(**context)
        page.add_init_script(
            "HTMLCanvasElement.prototype.getContext = new Proxy("
            "HTMLCanvasElement.prototype.getContext, { apply: (get, canvas, [kind, ...rest]) =>"
            " kind.startsWith('webgl') ? null : get.call(canvas, kind, ...rest) })"
        )
        return page

    monkeypatch.setattr(chromium, "new_page", without)
    report = opened(many.head(2_500), unit="token")
    types = report.page.evaluate("document.getElementById('chart').data.map(({ type }) => type)")
    assert set(types) == {"scatter"}
    assert len(report.drawn()) == 2_500


def test_what_errors_leave_open_is_told(
    opened: Open, five: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(rows: pd.DataFrame, unit: Any) -> Any:
        found = frontier_points(rows, unit)
        verdicts = ["frontier", "ambiguous", "ambiguous", "dominated", "frontier"]
        odds = [1.0, 0.731, math.nan, 0.0, 1.0]
        return found._replace(
            points=found.points.assign(membership=verdicts, frontier_probability=odds)
        )

    monkeypatch.setattr("analysis.report.payload.frontier_points", judged)
    report = opened(five)
    assert "Hollow with a dot: ambiguous" in report.text("#details")
    symbols = report.page.evaluate(
        "[...document.getElementById('chart').data].flatMap(trace => "
        "[trace.marker.symbol].flat().filter(symbol => symbol.endsWith('-open-dot')))"
    )
    assert len(symbols) == 2
    states = dict(zip(report.column("trial"), report.column("state"), strict=True))
    assert states == {"t0": "frontier", "t1": "ambiguous", "t2": "ambiguous"} | {
        "t3": "dominated",
        "t4": "frontier",
    }
    for trial, told in (("t1", "on it in 73% of redraws"), ("t2", "its error is unknown")):
        report.page.locator("tr", has_text=trial).click()
        assert f"on the frontier; ambiguous, {told}" in report.text("#details")


BANDS = "document.getElementById('chart').data.filter(trace => trace.fill === 'toself')"


def test_bands_over_seeds_are_shown_until_they_or_their_arm_are_not(
    opened: Open, trial_rows: Rows
) -> None:
    pairs = [(1.0, 0.5), (1.2, 0.6), (0.9, 0.7), (2.0, 2.0), (2.5, 3.0)]
    report = opened(trial_rows(pairs, arm=["a", "a", "a", "b", "b"], seed=[0, 1, 2, 0, 0]))
    page = report.page

    [band] = page.evaluate(BANDS)
    corners = list(zip(band["x"], band["y"], strict=True))
    over = 2.5 + 10 * (2.5 - 0.9)
    assert corners == [(0.5, 0.9), (0.7, 0.9), (0.7, over), (0.5, over), (0.5, 1.2), (0.5, 1.2)]
    assert "between 25 % and 75 % of the 3 seeds attain" in report.text("#details")
    page.get_by_label("bands over seeds").uncheck()
    assert page.evaluate(BANDS) == []
    page.get_by_label("bands over seeds").check()
    page.locator("#arms input").first.uncheck()
    assert page.evaluate(BANDS) == []


def test_single_seeds_have_no_bands_to_choose(opened: Open, five: pd.DataFrame) -> None:
    assert not opened(five).page.locator("#banded").is_visible()
