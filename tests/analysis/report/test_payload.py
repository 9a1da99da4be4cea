import json
import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis.axes import on_axis
from analysis.frontier import frontier_points
from analysis.plots.style import COLOURS
from analysis.report.payload import page_data
from analysis.report.trials import Packed, Template, unpack

Rows = Callable[..., pd.DataFrame]
PAIRS = [(1.0, 0.5), (2.0, 2.0), (3.0, 1.0)]
RUN = {"name": "a_run", "description": "", "experiment": "name: a_run\n", "rerun": "TRIAL_ID"}


def told(rows: pd.DataFrame, *runs: dict[str, str], unit: Any = "observation") -> dict[str, Any]:
    return page_data(rows, runs or [RUN], unit)


def test_the_figures_are_those_of_the_frontier(trial_rows: Rows) -> None:
    rows = trial_rows(PAIRS, tokens=7.0, nll_floor=0.5, mi_ceiling=3.0)
    data = told(rows)

    assert list(data["units"]) == ["observation", "token"]
    for unit in ("observation", "token"):
        found = frontier_points(rows, unit)
        shown = data["units"][unit]
        for name, column in (("nll", "nll_value"), ("mi", "mi_value"), ("nll_error", "nll_error")):
            for value, computed in zip(shown[name], found.points[column], strict=True):
                assert math.isclose(value, computed, rel_tol=1e-3 if "error" in name else 1e-9)
        assert shown["frontier"] == found.points["on_frontier"].tolist() == [True, True, False]
        assert (shown["floor"], shown["ceiling"]) == (
            [round(found.points["floor"][0], 9)],
            [round(found.points["ceiling"][0], 9)],
        )
        assert shown["warnings"] == list(found.warnings)


def test_bands_are_what_shares_of_the_seeds_attain(trial_rows: Rows) -> None:
    pairs = [(1.0, 0.5), (1.2, 0.6), (0.9, 0.7), (2.0, 2.0), (2.5, 3.0)]
    rows = trial_rows(pairs, arm=["a", "a", "a", "b", "b"], seed=[0, 1, 2, 0, 0], tokens=2.0)
    for unit, scale in (("observation", 1.0), ("token", 2.0)):
        [band] = told(rows)["units"][unit]["bands"]  # `b` has one seed

        assert (band["arm"], band["seeds"]) == (0, 3)
        assert [surface["level"] for surface in band["surfaces"]] == [25.0, 50.0, 75.0]
        # One seed attains it, then two of them, then all three.
        corners = [([0.7], [0.9]), ([0.5, 0.6], [1.0, 1.2]), ([0.5], [1.2])]
        for surface, (mi, nll) in zip(band["surfaces"], corners, strict=True):
            assert surface["mi"] == [value / scale for value in mi]
            assert surface["nll"] == [value / scale for value in nll]


def test_the_page_is_told_which_information_it_shows(trial_rows: Rows) -> None:
    of_q = {"mi_q": [1.0, 2.0, 3.0], "mi_q_se": 0.1, "mi_q_ceiling": 4.0, "observations": 55}
    rows = trial_rows(PAIRS, **of_q, nll_exact=1.0, mi_exact=1.0)

    assert told(rows)["mi"]["short"] == "MI"
    assert told(rows)["trials"]["exact"] == [True] * 3
    data = told(on_axis(rows, "mi_q"))
    assert data["mi"]["short"] == "MI of q"
    assert data["mi"]["long"] == "MI of q, I_q(x; z), pool of 55"
    assert data["units"]["observation"]["mi"] == [1.0, 2.0, 3.0]
    assert data["units"]["observation"]["ceiling"] == [4.0]
    assert data["trials"]["exact"] == [False] * 3


def test_there_is_nothing_per_token_where_observations_are_single(trial_rows: Rows) -> None:
    assert list(told(trial_rows(PAIRS))["units"]) == ["observation"]
    assert list(told(trial_rows(PAIRS), unit="token")["units"]) == ["observation", "token"]


def test_rows_that_are_no_point_keep_their_place(trial_rows: Rows) -> None:
    rows = trial_rows(
        [*PAIRS, (math.nan, 1.0)],
        status=["done", "failed", "done", "done"],
        reason=[None, "no memory", None, None],
    )
    data = told(rows)
    shown = data["units"]["observation"]

    assert shown["nll"] == [1.0, None, 3.0, None]
    assert shown["frontier"] == [True, False, True, False]
    assert shown["left_out"] == {"failed": 1, "without a finite value": 1}
    assert data["trials"]["reason"] == [None, "no memory", None, None]
    assert data["trials"]["status"] == ["done", "failed", "done", "done"]


def test_arms_are_coloured_as_in_the_pictures(trial_rows: Rows) -> None:
    data = told(trial_rows(PAIRS, arm=["b", "a", "b"]))

    assert [(arm["label"], arm["light"]) for arm in data["arms"]] == [
        ("a", COLOURS[0]),
        ("b", COLOURS[1]),
    ]
    assert data["trials"]["arm"] == [1, 0, 1]


def test_arms_of_one_name_in_two_runs_are_two(trial_rows: Rows) -> None:
    rows = trial_rows(PAIRS, run=["one", "two", "two"], status=["done", "done", "failed"])
    data = told(rows, {**RUN, "name": "one"}, {**RUN, "name": "two"})

    assert [arm["label"] for arm in data["arms"]] == ["one: arm", "two: arm"]
    assert data["trials"]["arm"] == [0, 1, 1]
    assert [run["facts"]["trials"] for run in data["runs"]] == ["1 done", "1 done, 1 failed"]


def test_every_trial_is_kept_word_for_word(trial_rows: Rows) -> None:
    rows = trial_rows(PAIRS)
    rows.loc[1, "trial"] = None
    packed = told(rows)["yaml"]
    again = Packed(
        [Template(*one) for one in packed["templates"]], packed["which"], packed["members"]
    )

    assert unpack(again, 1) is None
    for index in (0, 2):
        text = unpack(again, index)
        assert text is not None
        assert (
            f"learning_rate: {json.loads(rows['trial'][index])['training']['learning_rate']}"
            in text
        )


def test_knobs_are_named_by_their_last_part_where_that_is_unique(trial_rows: Rows) -> None:
    swept = {"objective.alpha": [2, 3, 4], "a.name": ["x", None, "y"], "b.name": True}
    knobs = told(trial_rows(PAIRS, **swept, **{"model.unused": None}))["knobs"]

    assert [(knob["name"], knob["short"]) for knob in knobs] == [
        ("training.learning_rate", "learning_rate"),
        ("objective.alpha", "alpha"),
        ("a.name", "a.name"),
        ("b.name", "b.name"),
    ]
    assert [knob["values"] for knob in knobs[1:]] == [
        [2, 3, 4],
        ["x", None, "y"],
        [True] * 3,
    ]


def test_the_provenance_is_that_of_the_rows(trial_rows: Rows) -> None:
    created = pd.to_datetime(
        ["2026-01-02 03:04", "2026-01-01 00:00", "2026-01-03 00:00"], utc=True
    )
    [run] = told(trial_rows(PAIRS, created_at=created, host=["h", "g", "h"], scale="small"))[
        "runs"
    ]

    assert run["experiment"] == "name: a_run\n"
    assert run["train_seconds"] == 3 * 60.5
    facts = run["facts"]
    assert facts["created (UTC)"] == "2026-01-01 00:00 to 2026-01-03 00:00"
    assert facts["hosts"] == "h, g"
    assert facts["scale"] == "small"
    assert facts["K of the evaluation"] == "100"
    assert facts["result schema"] == "1"
    assert facts["data sha256"] == "5a"
