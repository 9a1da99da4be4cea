"""What is left of a frontier when its points are measured again, by what did not choose them.

The best of several noisy figures is better than the truth, the "winner's curse". Three comparisons
take apart what a fresh look changes: the same models with as many fresh samples show the luck of
the evaluation, more samples the bias of the few, and fresh seeds the luck of the training.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.axes import AXES, MODEL, long_name
from analysis.frontier import Frontier, Unit, frontier_points, trust_warnings
from analysis.membership import Estimates, frontier_probability, membership

LOOKS = ("chosen", "redrawn", "fresh", "seeds")


class Confirmation(NamedTuple):
    """The points of a frontier with their fresh figures; all in nats per `unit`.

    `points` has a row per chosen trial: `label`, `trial_id`, `exact`, `samples`, `was_on_frontier`
    and, for each of nll and mi and for each look, `<metric>_<look>` and `<metric>_<look>_error`:

    - `chosen`: what the point was chosen for
    - `redrawn`: the same model, as many fresh samples
    - `fresh`: the same model, the samples of the confirmation, which are more
    - `seeds`: the mean over fresh seeds of the configuration, with as many samples as `fresh`. Its
      error is the standard error from their spread, or that of their Monte Carlo errors where
      this is larger; NaN for a single exact one

    Exact figures are the same in the first three looks. What is missing is NaN. `n_seeds` is the
    number of fresh seeds that were trained to the end, `n_lost` that of the ones that diverged or
    failed; `membership` says, by the last look there is and its errors, whether the point is
    still on the frontier of its label.

    `findings` and `warnings` are sentences; `experiment` is the name of what was confirmed, `mi`
    that of the information, as `analysis.axes.long_name` has it.
    """

    points: pd.DataFrame
    unit: Unit
    findings: tuple[str, ...]
    warnings: tuple[str, ...]
    experiment: str
    mi: str = AXES[MODEL].long


def confirmation(chosen: Frontier, fresh: pd.DataFrame) -> Confirmation:
    """Compare the points of a frontier with fresh rows, whose `confirms` names a chosen trial.

    Fresh rows with the seed of the chosen trial are evaluations of the same model; others are
    further trainings of its configuration. Both are on the same of the `analysis.axes`.
    """
    of_trial = chosen.points.set_index("trial_id")["config_hash"]
    ended = fresh.assign(of=fresh["confirms"].map(of_trial))
    measured = frontier_points(ended, chosen.unit).points
    is_further = ~ended["seed"].isin(chosen.points["seed"])
    rows = []
    for _, point in chosen.points.iterrows():
        own = measured[measured["of"] == point["config_hash"]]
        same_model = own[own["seed"] == point["seed"]]
        others = own[~own["seed"].isin(chosen.points["seed"])]
        n_asked = int((is_further & (ended["of"] == point["config_hash"])).sum())
        row = {"label": point["label"], "trial_id": point["trial_id"], "exact": point["exact"]}
        row |= {"samples": point["samples"], "was_on_frontier": point["on_frontier"]}
        row |= {"n_seeds": len(others), "n_lost": n_asked - len(others)}
        for name in ("nll", "mi"):
            row |= _look(name, "chosen", point)
            row |= _look(name, "redrawn", _with_samples(same_model, point, most=False))
            row |= _look(name, "fresh", _with_samples(same_model, point, most=True))
            row |= _mean_over_seeds(name, others)
        rows.append(row)
    points = pd.DataFrame(rows)
    points["membership"] = _membership(points)
    last = measured[measured["samples"] == measured["samples"].max()]
    warnings = trust_warnings(last, "fresh evaluations")
    experiment = _listed(chosen.points["experiment"])
    findings = _findings(points, fresh)
    told = tuple(findings), tuple(warnings)
    return Confirmation(points, chosen.unit, *told, experiment, long_name(chosen.points))


def _with_samples(
    same_model: pd.DataFrame, point: "pd.Series[Any]", *, most: bool
) -> "pd.Series[Any] | None":
    """Find the evaluation with as many samples as the chosen one had, or with the most."""
    if point["exact"]:
        return point
    wanted = same_model["samples"].max() if most else point["samples"]
    found = same_model[same_model["samples"] == wanted]
    return None if found.empty else found.iloc[0]


def _look(name: str, look: str, point: "pd.Series[Any] | None") -> dict[str, float]:
    value, error = (
        (math.nan, math.nan)
        if point is None
        else (float(point[f"{name}_value"]), float(point[f"{name}_error"]))
    )
    return {f"{name}_{look}": value, f"{name}_{look}_error": error}


def _mean_over_seeds(name: str, others: pd.DataFrame) -> dict[str, float]:
    values, errors = others[f"{name}_value"], others[f"{name}_error"]
    n = len(others)
    by_chance = math.sqrt(errors.pow(2).sum()) / n if n else math.nan
    by_spread = values.std() / math.sqrt(n) if n > 1 else math.nan
    error = float(np.fmax(by_spread, by_chance))
    if n == 1 and error == 0:
        error = math.nan  # one exact value says nothing of its own scatter
    return {f"{name}_seeds": float(values.mean()), f"{name}_seeds_error": error}


def _membership(points: pd.DataFrame) -> "pd.Series[str]":
    """Label every point by its last look; one without any is not known."""
    found = pd.Series("unknown", index=points.index)
    last = {
        column: points[f"{name}_seeds{end}"].where(
            points["n_seeds"] > 0, points[f"{name}_fresh{end}"]
        )
        for name in ("nll", "mi")
        for column, end in ((name, ""), (f"{name}_error", "_error"))
    }
    known = last["nll"].notna() & last["mi"].notna()
    for _, of_label in points[known].groupby("label"):
        at = of_label.index
        values = {column: figures[at].to_numpy(np.float64) for column, figures in last.items()}
        estimates = Estimates(**values, covariance=np.zeros(len(at)))
        found[at] = membership(frontier_probability(estimates))
    return found


def _findings(points: pd.DataFrame, fresh: pd.DataFrame) -> list[str]:
    found = []
    for label, of_label in points.groupby("label", sort=True):
        front = of_label[of_label["was_on_frontier"]]
        few, many = _listed(front["samples"]), str(fresh["samples"].max())
        seen = "chosen"
        if front["exact"].all():
            found.append(f"{label}: figures are exact: evaluating the same models changes nothing")
        else:
            if front["nll_redrawn"].notna().any():
                change = _change(front, "chosen", "redrawn")
                found.append(f"{label}: same models, K = {few} drawn again: {change}")
            if few != many and front["nll_fresh"].notna().any():
                change = _change(front, "redrawn", "fresh")
                found.append(f"{label}: same models, K = {many} in place of {few}: {change}")
            seen = "fresh"
        if front["n_seeds"].any():
            change = _change(front, seen, "seeds")
            found.append(f"{label}: same configurations, new seeds: {change}")
        counts = of_label["membership"].value_counts()
        told = ", ".join(f"{n} {what}" for what, n in counts.items())
        found.append(f"{label}: by the fresh figures {told}")
        if lost := int(of_label["n_lost"].sum()):
            found.append(
                f"{label}: {lost} new trainings diverged or failed, and count for nothing"
            )
    return [*found, "changes are means over what was on the frontier, ± their standard error"]


def _change(points: pd.DataFrame, before: str, after: str) -> str:
    """Give the mean change of both figures with its standard error over points."""
    texts = []
    for name in ("nll", "mi"):
        change = (points[f"{name}_{after}"] - points[f"{name}_{before}"]).dropna()
        error = change.std() / math.sqrt(max(1, len(change)))
        uncertain = f" ± {error:.2g}" if np.isfinite(error) else ""
        texts.append(f"{name.upper()} {change.mean():+.3g}{uncertain}")
    return f"{' and '.join(texts)} (n = {len(change)})"


def _listed(values: "pd.Series[Any]") -> str:
    return ", ".join(str(value) for value in values.dropna().unique())
