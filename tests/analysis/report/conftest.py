import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.report import report_page
from tests.analysis.report.points import ARMS, PAIRS

Rows = Callable[..., pd.DataFrame]

RUN = {
    "name": "a_run",
    "description": "What it is about",
    "experiment": "name: a_run\n",
    "rerun": "sweeper rerun TRIAL_ID",
}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser; tests that need it are skipped where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium here; apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    arguments = [
        *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update"),
        *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    ]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def trial_rows(rows: Rows) -> Rows:
    """Makes final rows as they are stored, with their trials; keywords override columns."""

    def make(pairs: list[tuple[float, float]], **columns: Any) -> pd.DataFrame:
        n = len(pairs)
        rates = [0.001 * (index + 1) for index in range(n)]
        trials = [
            {"model": {"name": "m", "sizes": [3, index]}, "training": {"learning_rate": rate}}
            for index, rate in enumerate(rates)
        ]
        stored = {
            "run": "a_run",
            "reason": None,
            "device": "cpu",
            "host": "here",
            "observations": 256,
            "train_seconds": 60.5,
            "eval_seconds": 2.5,
            "schema_version": 1,
            "created_at": pd.Timestamp("2026-01-02 03:04", tz="UTC"),
            "training.learning_rate": rates,
            "trial": [json.dumps(trial) for trial in trials],
            "nll_se": 0.01,
            "mi_se": 0.02,
        }
        return rows(pairs, **{**stored, **columns})

    return make


class Opened:
    """A report in a browser, with what the browser complained of and asked for."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda told: told.type == "error" and self.complaints.append(told.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: self.complaints.append("a dialog opened"))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def table(self, selector: str = "#points-table") -> list[list[str]]:
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
        return list(self.page.locator(f"{selector} tbody tr").evaluate_all(script))

    def column(self, title: str, selector: str = "#points-table") -> list[str]:
        heads = self.page.locator(f"{selector} thead th").evaluate_all(
            "cells => cells.map(cell => cell.querySelector('button').firstChild.textContent)"
        )
        [index] = [index for index, head in enumerate(heads) if head.startswith(title)]
        return [row[index] for row in self.table(selector)]

    def drawn(self) -> dict[str, tuple[float, float]]:
        """The `(mi, nll)` of each point in the chart, by trial."""
        points = self.page.evaluate(
            """() => document.getElementById('chart').data.filter(
                trace => trace.customdata).flatMap(trace =>
                trace.x.map((x, i) => [trace.customdata[i], x, trace.y[i]]))"""
        )
        ids = self.page.evaluate(
            "() => JSON.parse(document.getElementById('data').textContent).trials.id"
        )
        return {ids[index]: (x, y) for index, x, y in points}

    def place(self, trial: str) -> tuple[float, float]:
        """Where on the screen a point is."""
        x, y = self.drawn()[trial]
        left, top = self.page.evaluate(
            """async ([x, y]) => {
                const chart = document.getElementById('chart');
                chart.scrollIntoView({ block: 'center' });
                for (let frame = 0; frame < 2; frame += 1)  // what scrolls, hides the tooltip
                    await new Promise(requestAnimationFrame);
                const { xaxis, yaxis } = chart._fullLayout;
                const area = chart.querySelector('.nsewdrag').getBoundingClientRect();
                return [area.left + xaxis.l2p(x), area.top + yaxis.l2p(y)];
            }""",
            [x, y],
        )
        return left, top


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the report on rows; whatever the test does, nothing is wrong and nothing asked for."""
    every: list[Opened] = []

    def open_(
        rows: pd.DataFrame, *, unit: str = "observation", run: Any = RUN, **context: Any
    ) -> Opened:
        page = report_page(rows, [run], unit=unit, written="By a test")
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8", newline="\n")
        context = {"viewport": {"width": 1400, "height": 1000}, "locale": "en-GB", **context}
        every.append(Opened(chromium.new_page(**context), path))
        return every[-1]

    yield open_
    for one in every:
        asked = [url for url in one.requests if not url.startswith(("data:", "blob:"))]
        assert asked == [(tmp_path / "report.html").as_uri()]
        assert one.complaints == []
        one.page.close()


@pytest.fixture
def five(trial_rows: Rows) -> pd.DataFrame:
    return trial_rows(PAIRS, arm=ARMS, nll_floor=0.9, mi_ceiling=4.5)
