"""One self-contained, interactive HTML page of stored results."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from analysis.frontier import Unit
from analysis.report.payload import page_data

_SCRIPTS = ("figures.js", "chart.js", "table.js", "details.js", "page.js")


def report_page(
    rows: pd.DataFrame,
    runs: Sequence[Mapping[str, str]],
    *,
    unit: Unit,
    written: str,
) -> str:
    """Give the HTML of a report on final rows; arguments are those of `page_data`.

    `written` says by what and when. The page asks the network for nothing: the same arguments
    give the same text, and a browser needs no more than it.
    """
    described = page_data(rows, runs, unit)
    title = ", ".join(run["name"] for run in runs)
    texts = dict.fromkeys(run["description"] for run in runs if run["description"])
    # A browser reads line ends as \n, and so must the hash.
    plotly = get_plotlyjs().replace("\r\n", "\n")
    page = "\n".join(_asset(name) for name in _SCRIPTS)
    script = f'(() => {{\n"use strict";\n{page}\n}})();'
    parts = {
        "policy": _policy([plotly, script], webgl=described["webgl"]),
        "title": html.escape(title),
        "description": "\n".join(f"<p>{html.escape(text)}</p>" for text in texts),
        "written": html.escape(written),
        "style": _asset("report.css"),
        "plotly": plotly,
        "data": _inert(described),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("template.html"))


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _inert(value: Any) -> str:
    """JSON that ends no script element and opens no comment, whatever a name holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _policy(scripts: Sequence[str], *, webgl: bool) -> str:
    """Give the content security policy: these scripts alone, no request, no frame, no form.

    Plotly's WebGL traces compile their drawing commands, hence 'unsafe-eval' where many points
    call for them; Plotly puts its own style element into the page.
    """
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in hashes)
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {allowed}" + " 'unsafe-eval'" * webgl,
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
