"""What is left of a frontier when its points are measured again, by what did not choose them.

The best of several noisy figures is better than the truth, the "winner's curse". The difference
between the chosen and the fresh figures of the same points is its size.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.frontier import Frontier, Unit, frontier_points, is_on_frontier


class Confirmation(NamedTuple):
    """The points of a frontier with their fresh figures; all in nats per `unit`.

    `points` has a row per chosen trial: `label`, `trial_id`, `exact`, `samples` and, for each of
    nll and mi,

    - `<metric>_chosen`, `<metric>_chosen_error`: the figures it was chosen for
    - `<metric>_fresh`, `<metric>_fresh_error`: the same model evaluated with fresh samples, the
      chosen ones again where they were exact; NaN where that is missing
    - `<metric>_seeds`, `<metric>_seeds_error`: mean over fresh seeds of the same configuration and
      its standard error from their spread; NaN for none, and for fewer than two

    and `n_seeds`, the number of fresh seeds that were trained to the end, `n_lost`, that of the
    ones that diverged or failed, and `on_frontier`: whether it is still on the frontier of its
    label by the means over fresh seeds, else by the fresh evaluations.

    `findings` are sentences; `experiment` is the name of what was confirmed.
    """

    points: pd.DataFrame
    unit: Unit
    findings: tuple[str, ...]
    experiment: str


def confirmation(chosen: Frontier, fresh: pd.DataFrame) -> Confirmation:
    """Compare the points of a frontier with fresh rows, whose `confirms` names a chosen trial.

    Fresh rows with the seed of the chosen trial are evaluations of the same model; others are
    further trainings of its configuration.
    """
    measured = frontier_points(fresh, chosen.unit).points
    of_trial = chosen.points.set_index("trial_id")["config_hash"]
    ended = fresh.assign(of=fresh["confirms"].map(of_trial))
    measured = measured.assign(of=measured["confirms"].map(of_trial))
    rows = []
    for _, point in chosen.points.iterrows():
        same = measured[measured["of"] == point["config_hash"]]
        again = same[same["seed"] == point["seed"]]
        others = same[~same["seed"].isin(chosen.points["seed"])]
        asked = ended[ended["of"] == point["config_hash"]]
        n_asked = (~asked["seed"].isin(chosen.points["seed"])).sum()
        row = {"label": point["label"], "trial_id": point["trial_id"], "exact": point["exact"]}
        row |= {"samples": point["samples"], "n_seeds": len(others)}
        row["n_lost"] = int(n_asked) - len(others)
        for name in ("nll", "mi"):
            row[f"{name}_chosen"] = point[f"{name}_value"]
            row[f"{name}_chosen_error"] = point[f"{name}_error"]
            row |= _fresh(name, point, again)
            row[f"{name}_seeds"] = others[f"{name}_value"].mean()
            row[f"{name}_seeds_error"] = others[f"{name}_value"].std() / math.sqrt(
                max(1, len(others))
            )
        rows.append(row)
    points = pd.DataFrame(rows)
    points["on_frontier"] = _still_on_frontier(points)
    experiment = _listed(chosen.points["experiment"])
    return Confirmation(points, chosen.unit, tuple(_findings(points, fresh)), experiment)


def _fresh(name: str, point: "pd.Series[Any]", again: pd.DataFrame) -> dict[str, object]:
    if point["exact"]:
        return {f"{name}_fresh": point[f"{name}_value"], f"{name}_fresh_error": 0.0}
    values = again[[f"{name}_value", f"{name}_error"]].to_numpy(dtype=float)
    value, error = values[0] if len(values) else (math.nan, math.nan)
    return {f"{name}_fresh": value, f"{name}_fresh_error": error}


def _best_known(points: pd.DataFrame, name: str) -> "pd.Series[float]":
    return points[f"{name}_seeds"].fillna(points[f"{name}_fresh"])


def _still_on_frontier(points: pd.DataFrame) -> "pd.Series[bool]":
    """Say of every point whether its fresh figures are dominated; one that has none is out."""
    still = pd.Series(False, index=points.index)
    losses = pd.DataFrame({"nll": _best_known(points, "nll"), "mi": -_best_known(points, "mi")})
    known = losses.notna().all(axis=1)
    for _, of_label in losses[known].groupby(points["label"]):
        still[of_label.index] = is_on_frontier(of_label)
    return still


def _findings(points: pd.DataFrame, fresh: pd.DataFrame) -> list[str]:
    found = []
    for label, of_label in points.groupby("label", sort=True):
        if of_label["exact"].all():
            found.append(
                f"{label}: figures are exact, so evaluating the same models changes nothing"
            )
        elif of_label["nll_fresh"].notna().any():
            how = f"{_listed(fresh['samples'])} in place of {_listed(of_label['samples'])}"
            found.append(f"{label}: the same models, K = {how}: {_change(of_label, 'fresh')}")
        if of_label["n_seeds"].any():
            found.append(
                f"{label}: the same configurations, new seeds: {_change(of_label, 'seeds')}"
            )
        still = int(of_label["on_frontier"].sum())
        found.append(f"{label}: {still} of {len(of_label)} points are on the fresh frontier")
        if lost := int(of_label["n_lost"].sum()):
            found.append(
                f"{label}: {lost} new trainings diverged or failed, and count for nothing"
            )
    return found


def _change(points: pd.DataFrame, how: str) -> str:
    """Give the mean change of both figures with its standard error over configurations."""
    texts = []
    for name in ("nll", "mi"):
        change = (points[f"{name}_{how}"] - points[f"{name}_chosen"]).dropna()
        error = change.std() / math.sqrt(len(change))
        uncertain = f" ± {error:.2g}" if np.isfinite(error) else ""
        texts.append(f"{name.upper()} {change.mean():+.3g}{uncertain}")
    return f"{' and '.join(texts)} on average over {len(points)} points"


def _listed(values: "pd.Series[Any]") -> str:
    return ", ".join(str(value) for value in values.dropna().unique())
