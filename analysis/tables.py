"""Frontiers as tables for people."""

import math
from typing import Any

import pandas as pd

from analysis.axes import CODE_SPACE, axis_of, short_name
from analysis.frontier import Unit
from analysis.levels import BEST, TOO_FEW, UNDECIDED

# Beside the NLL of a side at some MI; none where another side is better for sure.
MARKS = {BEST: "*", UNDECIDED: "~", TOO_FEW: "?"}


def frontier_table(points: pd.DataFrame, unit: Unit = "observation") -> pd.DataFrame:
    """Give the frontier points of `analysis.frontier.Frontier.points` as text, sorted by MI.

    Columns: `arm` (the label), `NLL` and `MI` (or another of `analysis.axes`) in nats per `unit`
    with their standard errors, for vq latents the log of their code space and the entropy of the
    codes in use unless that is shown already, `P(frontier)` (the frontier probability, where any
    is below 1; "?" where it is not known), the knobs that were swept under the last part of their
    path where that is unique, and `trial`.
    """
    frontier = points[points["on_frontier"]].sort_values(
        ["label", "mi_value", "nll_value", "trial_id"], kind="stable"
    )
    table = pd.DataFrame(
        {
            "arm": frontier["label"],
            "NLL": _measurements(frontier["nll_value"], frontier["nll_error"]),
            short_name(points): _measurements(frontier["mi_value"], frontier["mi_error"]),
        }
    )
    for column, axis in ((CODE_SPACE, CODE_SPACE), ("code_entropy", "mi_q")):
        if axis != axis_of(points) and column in points and frontier[column].notna().any():
            nats = frontier[column] / (1.0 if unit == "observation" else frontier["tokens"])
            table[column.replace("_", " ")] = _measurements(nats, 0.0 * nats)
    if not (frontier["frontier_probability"] == 1).all():
        table["P(frontier)"] = frontier["frontier_probability"].map("{:.2f}".format, "ignore")
        table["P(frontier)"] = table["P(frontier)"].fillna("?")
    swept = [name for name in map(str, frontier) if "." in name and frontier[name].notna().any()]
    last = [name.rpartition(".")[2] for name in swept]
    for name, short in zip(swept, last, strict=True):
        table[short if last.count(short) == 1 else name] = frontier[name].map(_knob)
    return table.assign(trial=frontier["trial_id"]).reset_index(drop=True)


def confirmation_table(points: pd.DataFrame) -> pd.DataFrame:
    """Give the points of `analysis.confirmation.Confirmation.points` as text, sorted by MI.

    Columns: `arm` (the label); NLL and MI in every look that adds to the ones before, with their
    standard errors; how many fresh seeds there are; whether the point is still on the frontier;
    and `trial`.
    """
    points = points.sort_values(["label", "mi_chosen", "nll_chosen", "trial_id"], kind="stable")
    table = pd.DataFrame({"arm": points["label"]})
    for name in ("nll", "mi"):
        before = None
        for how in ("chosen", "redrawn", "fresh", "seeds"):
            values, errors = points[f"{name}_{how}"], points[f"{name}_{how}_error"]
            is_known = before is not None and values.equals(before)
            before = values
            if values.notna().any() and not is_known:
                table[f"{name.upper()} {how}"] = _measurements(values, errors)
    return table.assign(
        seeds=points["n_seeds"].astype(str),
        now=points["membership"],
        trial=points["trial_id"],
    ).reset_index(drop=True)


def levels_table(levels: pd.DataFrame) -> pd.DataFrame:
    """Give `analysis.levels.at_levels` as text, a row for each side and a column for each MI.

    Cells have the NLL, half the width of its interval where there is one, and one of `MARKS`.
    """
    width = levels["upper"] - levels["nll"]
    shown = width[width > 0]
    decimals = 3 if shown.empty else min(max(1 - math.floor(math.log10(shown.min())), 1), 5)
    cells = [
        ""
        if pd.isna(nll)
        else f"{nll:.{decimals}f}"
        + ("" if pd.isna(half) else f" ± {half:.{decimals}f}")
        + f" {MARKS.get(standing, ' ')}"
        for nll, half, standing in zip(levels["nll"], width, levels["standing"], strict=True)
    ]
    table = levels.assign(cell=cells).pivot(index="label", columns="mi", values="cell")
    table = table.loc[levels["label"].unique()]
    return pd.DataFrame(
        {"MI of at least": list(table.index)}
        | {f"{mi:g}  ": list(column) for mi, column in table.items()}
    )


def to_text(table: pd.DataFrame) -> str:
    """Align a table of text for a terminal: the first column to the left, others to the right."""
    columns = [[name, *table[name]] for name in table.columns]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in zip(*columns, strict=True)
    ]
    return "\n".join(lines)


def _measurements(values: pd.Series, errors: pd.Series) -> list[str]:
    """Values and errors with as many decimals as show the smallest error of the column."""
    shown = errors[errors > 0]
    decimals = 3 if shown.empty else min(max(1 - math.floor(math.log10(shown.min())), 3), 5)
    return [
        ""
        if pd.isna(value)
        else f"{value:.{decimals}f}" + (f" ± {error:.{decimals}f}" if error > 0 else "")
        for value, error in zip(values, errors, strict=True)
    ]


def _knob(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
