"""What the page is told: stored rows as plain values, one array per column."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

from analysis.attainment import seed_attainment
from analysis.axes import AXES, axis_of, long_name
from analysis.frontier import Frontier, Unit, ceilings, frontier_points, shared_error
from analysis.plots.style import COLOURS, MARKERS
from analysis.report.trials import pack, yaml_text

MANY = 2_000  # points beyond which the chart needs WebGL to stay quick
MOST_BANDED = 50_000  # points beyond which bands would take longer than all the rest

_SYMBOLS = dict(
    zip(
        MARKERS,
        ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x"),
        strict=True,
    )
)
_DASHES = ("solid", "dash", "dot")  # of lines, one for as many arms as there are colours
# The colours that a dark background swallows, made lighter.
_ON_DARK = {"#0072b2": "#3b9fe0", "#000000": "#f0f0f0", "#999933": "#b8b84d"}

_NUMBERS = ("ess", "train_seconds", "eval_seconds")
_FACTS = ("split", "samples", "observations", "scale", "host", "device")


def page_data(rows: pd.DataFrame, runs: Sequence[Mapping[str, str]], unit: Unit) -> dict[str, Any]:
    """Describe final rows for the page.

    `rows` are final ones with the columns of `sweeper.results` and `run` and `trial`. `runs` has
    `name` (as in `rows["run"]`), `description`, `experiment` (the resolved YAML) and `rerun` (the
    command that trains one of its trials again, with TRIAL_ID for its id) of each run. `unit` is
    shown first.
    """
    rows = rows.reset_index(drop=True)
    rows["row"] = range(len(rows))
    tokens = rows["tokens"].astype(np.float64)
    shown: list[Unit] = ["observation"]
    if (tokens > 1).any() or unit == "token":
        shown.append("token")
    frontiers = {name: frontier_points(rows, name) for name in shown}
    labels = _labels(rows, frontiers["observation"].points)
    names = sorted(labels.unique())
    texts = [yaml_text(json.loads(t)) if isinstance(t, str) else None for t in rows["trial"]]
    return {
        "unit": unit,
        "many": MANY,
        "webgl": len(frontiers["observation"].points) > MANY,
        "arms": _arms(names),
        "mi": AXES[axis_of(rows)]._replace(long=long_name(rows))._asdict(),
        "units": {name: _unit(found, len(rows), names) for name, found in frontiers.items()},
        "trials": _trials(rows, labels, names),
        "knobs": _knobs(rows),
        "yaml": pack(texts, list(labels))._asdict(),
        "runs": [_run(rows[rows["run"] == run["name"]], run) for run in runs],
    }


def _labels(rows: pd.DataFrame, points: pd.DataFrame) -> pd.Series:
    """The label of each row: as `points` has it, and made alike for rows that are no point."""
    prefixed = (points["label"] != points["arm"]).any()
    labels = rows["run"] + ": " + rows["arm"] if prefixed else rows["arm"]
    return labels.astype(str)


def _arms(names: Iterable[str]) -> list[dict[str, str]]:
    return [
        {
            "label": name,
            "light": colour,
            "dark": _ON_DARK.get(colour, colour),
            "symbol": _SYMBOLS[marker],
            "dash": _DASHES[number // len(COLOURS) % len(_DASHES)],
        }
        for number, (name, colour, marker) in enumerate(
            zip(names, cycle(COLOURS), cycle(MARKERS), strict=False)
        )
    ]


def _unit(found: Frontier, n_rows: int, names: Sequence[str]) -> dict[str, Any]:
    """The figures of each row in one unit, null for rows that are no point; and the bands."""
    points = found.points.set_index("row").reindex(range(n_rows))
    return {
        "nll": _plain(points["nll_value"], 10),
        "mi": _plain(points["mi_value"], 10),
        "nll_error": _plain(points["nll_error"], 4),
        "mi_error": _plain(points["mi_error"], 4),
        "floor": _limits(found.points["floor"]),
        "ceiling": ceilings(found.points),
        "frontier": [value is True for value in points["on_frontier"]],
        "membership": _optional(points, "membership"),
        "probability": _optional(points, "frontier_probability"),
        "bands": _bands(found.points, names),
        "left_out": dict(found.left_out),
        "warnings": list(found.warnings),
        "shared_error": shared_error(found.points),
        "bars": bool((found.points[["nll_error", "mi_error"]] > 0).any(axis=None)),
    }


def _bands(points: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """What a share of the seeds attain, of each arm with several, from the lowest level up."""
    if len(points) > MOST_BANDED:
        return []
    return [
        {
            "arm": names.index(str(label)),
            "seeds": int(of_arm["sets"].iloc[0]),
            "surfaces": [
                {
                    "level": float(surface["level"].iloc[0]),
                    "mi": _plain(surface["mi"], 10),
                    "nll": _plain(surface["nll"], 10),
                }
                for _, surface in of_arm.groupby("level", sort=True)
            ],
        }
        for label, of_arm in seed_attainment(points).groupby("label", sort=True)
    ]


def _optional(points: pd.DataFrame, name: str) -> list[Any] | None:
    return _plain(points[name].where(points[name].notna(), None), 3) if name in points else None


def _limits(values: pd.Series) -> list[float]:
    return sorted(float(value) for value in values.dropna().round(9).unique())


def _trials(rows: pd.DataFrame, labels: pd.Series, names: list[str]) -> dict[str, list[Any]]:
    values = rows[["nll_exact", "mi_exact"]].to_numpy(np.float64, na_value=np.nan)
    exact = np.isfinite(values).all(axis=1)
    position = {name: index for index, name in enumerate(names)}
    return {
        "id": list(rows["trial_id"]),
        "arm": [position[label] for label in labels],
        "run": list(rows["run"]),
        "seed": _plain(rows["seed"]),
        "step": _plain(rows["step"]),
        "status": list(rows["status"]),
        "reason": _plain(rows["reason"]),
        "exact": [bool(value) for value in exact],
        **{name: _plain(rows[name], 4) for name in _NUMBERS},
        **{name: _plain(rows[name]) for name in ("samples", "device", "host")},
    }


def _knobs(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The swept knobs, named by the last part of their path where that is unique."""
    swept = [name for name in map(str, rows) if "." in name and rows[name].notna().any()]
    last = [name.rpartition(".")[2] for name in swept]
    return [
        {
            "name": name,
            "short": short if last.count(short) == 1 else name,
            "values": _plain(rows[name], 8),
        }
        for name, short in zip(swept, last, strict=True)
    ]


def _run(rows: pd.DataFrame, run: Mapping[str, str]) -> dict[str, Any]:
    created = pd.to_datetime(rows["created_at"], utc=True)
    span = [] if rows.empty else [f"{at:%Y-%m-%d %H:%M}" for at in (created.min(), created.max())]
    done = rows[rows["status"] == "done"]
    facts: dict[str, Any] = {
        "experiment": _distinct(rows["experiment"]),
        "trials": ", ".join(f"{n} {status}" for status, n in rows["status"].value_counts().items())
        or "none",
        "code version": _distinct(rows["code_version"]),
        "data sha256": _distinct(rows["data_sha256"]),
        "split": _distinct(rows["split"]),
        "K of the evaluation": _distinct(done["samples"]),
        "observations evaluated": _distinct(done["observations"]),
        "scale": _distinct(rows["scale"]) or "none",
        "trained on": _distinct(rows["device"]),
        "hosts": _distinct(rows["host"]),
        "created (UTC)": " to ".join(dict.fromkeys(span)),
        "result schema": _distinct(rows["schema_version"]),
    }
    seconds = {name: sum(value or 0.0 for value in _plain(rows[name])) for name in _NUMBERS[1:]}
    return {**run, "facts": {name: fact for name, fact in facts.items() if fact}, **seconds}


def _distinct(values: pd.Series) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values.dropna()))


def _plain(values: pd.Series, digits: int | None = None) -> list[Any]:
    """Values as JSON has them, floats to `digits`; null for what is missing or not finite."""

    def plain(value: Any) -> Any:
        if value is None or value is pd.NA or value is pd.NaT:
            return None
        if isinstance(value, bool | np.bool_):
            return bool(value)
        if isinstance(value, int | np.integer):
            return int(value)
        if isinstance(value, float | np.floating):
            if not math.isfinite(value):
                return None
            return float(f"{value:.{digits}g}") if digits else float(value)
        return str(value)

    return [plain(value) for value in values]
