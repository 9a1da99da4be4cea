"""The page as text; what a browser makes of it is in `test_browser.py`."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from analysis.report import report_page

Rows = Callable[..., pd.DataFrame]
PAIRS = [(1.0, 0.5), (2.0, 2.0)]
HOSTILE = "</script><img src=x onerror=alert(1)>{{data}}<!--"


class Reader(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data

    @property
    def policy(self) -> str:
        [meta] = [with_ for tag, with_ in self.tags if "http-equiv" in with_]
        assert meta["http-equiv"] == "Content-Security-Policy"
        return str(meta["content"])


@pytest.fixture
def page(trial_rows: Rows) -> Callable[..., str]:
    def make(rows: pd.DataFrame | None = None, **run: str) -> str:
        described = {"name": "a_run", "description": "", "experiment": "", "rerun": "", **run}
        rows = trial_rows(PAIRS) if rows is None else rows
        return report_page(rows, [described], unit="observation", written="today")

    return make


def test_the_page_refers_to_nothing_outside_itself(page: Callable[..., str]) -> None:
    for tag, attributes in Reader(page()).tags:
        assert "src" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        if "href" in attributes:
            assert attributes["href"] in ("data:,", "#points")


def test_only_the_scripts_of_the_page_may_run(page: Callable[..., str]) -> None:
    reader = Reader(page())
    [_, *scripts] = reader.scripts
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts
    ]

    assert len(hashes) == 2
    assert f"script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}';" in reader.policy
    assert reader.policy.startswith("default-src 'none'; ")
    assert "\r" not in "".join(scripts)


def test_code_is_compiled_only_for_points_by_the_thousand(
    page: Callable[..., str], trial_rows: Rows
) -> None:
    assert "unsafe-eval" not in Reader(page(trial_rows(PAIRS * 1_000))).policy
    failed = trial_rows(PAIRS * 2_000, status=["done", "failed"] * 2_000)
    assert "unsafe-eval" not in Reader(page(failed)).policy
    assert "'unsafe-eval'" in Reader(page(trial_rows([*PAIRS * 1_000, (1.0, 1.0)]))).policy


def test_names_end_no_script_and_fill_no_template(
    page: Callable[..., str], trial_rows: Rows
) -> None:
    rows = trial_rows(PAIRS, run=HOSTILE, arm=HOSTILE, reason=HOSTILE, host=HOSTILE)
    text = page(rows, name=HOSTILE, description=HOSTILE, experiment=HOSTILE)
    reader = Reader(text)

    assert len(reader.scripts) == 3
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    data = json.loads(reader.scripts[0])
    assert data["runs"][0]["experiment"] == HOSTILE
    assert data["arms"][0]["label"] == HOSTILE
    assert "<" not in reader.scripts[0]
    assert re.search(r"<h1>&lt;/script&gt;&lt;img src=x onerror=alert\(1\)&gt;\{\{data", text)


def test_the_same_rows_give_the_same_page(page: Callable[..., str], trial_rows: Rows) -> None:
    rows = trial_rows(PAIRS)
    before = rows.copy()

    assert page(rows) == page(rows.sample(frac=1, random_state=0).sort_index())
    pd.testing.assert_frame_equal(rows, before)


def test_no_number_is_written_that_json_lacks(page: Callable[..., str], trial_rows: Rows) -> None:
    rows = trial_rows(PAIRS, ess=float("nan"), nll_se=float("nan"), train_seconds=float("inf"))
    data: Any = json.loads(Reader(page(rows)).scripts[0])

    assert data["trials"]["ess"] == [None, None]
    assert data["trials"]["train_seconds"] == [None, None]
    assert data["units"]["observation"]["nll_error"] == [None, None]
