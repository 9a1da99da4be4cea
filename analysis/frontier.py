"""Pareto frontiers of NLL (lower is better) against mutual information (higher is better).

Arrays and DataFrames in, the same out; inputs are never changed.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import moocore
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.axes import AXES, CODE_SPACE, MODEL, axis_of
from analysis.membership import Estimates, frontier_probability, membership

Unit = Literal["observation", "token"]

_MEASURED = (
    *("nll", "nll_se", "nll_sampling_se", "mi", "mi_se", "mi_sampling_se"),
    *("nll_per_token_sampling_se", "mi_per_token_sampling_se"),
    *("nll_exact", "mi_exact", "nll_floor", "mi_ceiling", "tokens", "ess"),
    "ess_min",
)
# What `frontier_points` needs of the stored rows. `run`, `nll_mi_covariance` (0 where it is
# unknown), `nll_is_bound` (no bound where it is) and the swept knobs may come along.
COLUMNS = (
    *("experiment", "arm", "trial_id", "seed", "step", "final", "status", "scale", "split"),
    *("samples", "code_version", "data_sha256"),
    *_MEASURED,
)

# The estimate of an observation's NLL is too high by about 1 / (2 ESS): 0.1 nats at this size,
# as much as the differences that comparisons are about.
SMALL_ESS = 5.0
# Below, a single sample carries all the weight of some observation: q misses most of its
# posterior, and no rule tells how much too high the figures are.
LONE_ESS = 2.0
NEAR_CEILING = 0.98  # of the MI ceiling
MANY_CEILINGS = 4
SATURATED = 0.95  # of the published meter's ceiling, from which on it tells models apart no more

NOT_FINITE = "without a finite value"  # beside the statuses, a reason to be left out


class Frontier(NamedTuple):
    """The points of a plot, and what a reader must know before believing them.

    `points` has a row per finished trial: its stored columns, and

    - `label`: the arm, preceded by the run where two runs have an arm of that name
    - `nll_value`, `mi_value`: nats per `unit`, exact where `exact`, else estimated
    - `nll_error`, `mi_error`: their Monte Carlo standard errors, NaN where unknown, and
      `error_covariance`: the Monte Carlo covariance of the two, 0 where unknown
    - `nll_shared_error`, `mi_shared_error`: the standard errors that come from evaluating a
      subset of the split, NaN for a whole one. Trials see the same subset, so it moves all
      points about alike and says little about their differences
    - `floor`, `ceiling`: lowest possible NLL and highest possible MI, NaN where unknown
    - `on_frontier`: whether no other point of that label dominates it, by these values
    - `frontier_probability`, `membership`: how often that is so when the errors are drawn anew,
      and the verdict: "frontier", "dominated" or "ambiguous"; see `analysis.membership`

    `left_out` counts the final rows that are no point, by reason. `warnings` are sentences.
    """

    points: pd.DataFrame
    unit: Unit
    left_out: Mapping[str, int]
    warnings: tuple[str, ...]


def is_on_frontier(losses: ArrayLike) -> NDArray[np.bool_]:
    """Give `[trials]`: true where no other trial is as good everywhere and better somewhere.

    `losses` is `[trials, objectives]` and smaller is better. Equal trials are all kept, and
    infinities compare as numbers do.

    >>> is_on_frontier([[1, 3], [2, 2], [2, 2], [2, 4]]).tolist()
    [True, True, True, False]

    Raises `ValueError` for NaN, or where `losses` is not two-dimensional.
    """
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2:
        raise ValueError(f"losses must be [trials, objectives]; got shape {losses.shape}.")
    if np.isnan(losses).any():
        raise ValueError("losses contain NaN; drop failed trials before asking for a frontier.")
    if np.isinf(losses).any():
        # moocore 0.3.2 crashes on infinities in three objectives. Dominance knows only order, so
        # ranks do as well.
        losses = np.column_stack([np.unique(loss, return_inverse=True)[1] for loss in losses.T])
    return moocore.is_nondominated(losses, keep_weakly=True)


def frontier_points(rows: pd.DataFrame, unit: Unit = "observation") -> Frontier:
    """Turn stored rows into the points of a frontier plot; `analysis.axes` changes what MI is.

    A point is a final row that is done and has finite values. Its NLL and MI are the exact ones
    where both exist, else both are estimates.

    Raises `ValueError` for missing columns or an unknown unit.
    """
    missing = [name for name in COLUMNS if name not in rows]
    if missing:
        raise ValueError(f"rows lack the columns {', '.join(missing)}.")
    if unit not in ("observation", "token"):
        raise ValueError(f"unit must be 'observation' or 'token'; got {unit!r}.")
    final = rows.loc[rows["final"].astype(bool)]
    done = final["status"] == "done"
    left_out = {str(status): int(n) for status, n in final["status"][~done].value_counts().items()}
    points = with_values(final.loc[done], unit)
    finite = np.isfinite(points["nll_value"]) & np.isfinite(points["mi_value"])
    if not finite.all():
        left_out[NOT_FINITE] = int((~finite).sum())
    absent = _absent(points)
    points = points.loc[finite].reset_index(drop=True)
    points.insert(0, "label", labels(points))
    on_frontier, probability = np.zeros(len(points), dtype=bool), np.zeros(len(points))
    estimates = Estimates.of(points)
    for index in points.groupby("label", sort=False).indices.values():
        of_label = estimates.at(index)
        on_frontier[index] = is_on_frontier(np.column_stack([of_label.nll, -of_label.mi]))
        probability[index] = frontier_probability(of_label)
    points = points.assign(
        on_frontier=on_frontier,
        frontier_probability=probability,
        membership=membership(probability),
    )
    return Frontier(points, unit, left_out, (*absent, *_warnings(points)))


def ceilings(points: pd.DataFrame) -> list[float]:
    """Give the MI ceilings of the points of a `Frontier`, rising.

    None where a point has none, as one of Gaussian latents beside listed ones, or where there are
    more than `MANY_CEILINGS`, as where the size of z is swept: a limit of some trials alone says
    nothing of a picture of all.
    """
    if points["ceiling"].isna().any():
        return []
    found = sorted(float(value) for value in points["ceiling"].round(9).unique())
    return found if len(found) <= MANY_CEILINGS else []


def possible_information(points: pd.DataFrame) -> float:
    """Give the MI that a perfect model can have at most, infinite where it is unknown.

    I(x; z) is at most the entropy of the data, which is their lowest possible NLL, and what the
    latents hold, the largest where they are swept. Rates beyond are of latents of the data that
    are not distributed as the prior, at any NLL. The code space is a rate, and not limited.
    """
    if axis_of(points) == CODE_SPACE:
        return math.inf
    known = [points["floor"].max(), points["ceiling"].max(skipna=False)]
    return float(np.nanmin([*known, math.inf]))


def shared_error(points: pd.DataFrame) -> str | None:
    """Say which error all points of a `Frontier` share; none unless all saw a subset of a split.

    It moves them about alike and says little about their differences.
    """
    shared = points[["nll_shared_error", "mi_shared_error"]]
    if shared.empty or shared.isna().any(axis=None):
        return None
    nll, mi = shared.median()
    of_mi = f" and ± {mi:.2g} MI" if mi else ""  # a rate may be the same on any subset
    return f"± {nll:.2g} NLL{of_mi} for the subset of the split"


def with_values(rows: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """Give the rows with the columns of `Frontier.points` from `nll_value` to `ceiling`."""
    number = rows[list(_MEASURED)].astype(np.float64)
    exact = np.isfinite(number["nll_exact"]) & np.isfinite(number["mi_exact"])
    scale = 1.0 if unit == "observation" else 1.0 / number["tokens"]
    values = {}
    for name in ("nll", "mi"):
        value = number[f"{name}_exact"].where(exact, number[name])
        values[f"{name}_value"] = value * scale
        values[f"{name}_error"] = number[f"{name}_se"].where(~exact, 0.0) * scale
        per = "" if unit == "observation" else "_per_token"
        values[f"{name}_shared_error"] = number[f"{name}{per}_sampling_se"]
    values["floor"] = number["nll_floor"] * scale
    values["ceiling"] = number["mi_ceiling"] * scale
    covariance = rows.get("nll_mi_covariance", pd.Series(0.0, rows.index)).astype(np.float64)
    values["error_covariance"] = covariance.where(~exact).fillna(0.0) * scale**2
    return rows.assign(**values, exact=exact)


def labels(points: pd.DataFrame) -> pd.Series:
    """Give the arm, or `run: arm` for all points where an arm's name occurs in two runs."""
    if "run" not in points or not (points.groupby("arm")["run"].nunique() > 1).any():
        return points["arm"]
    return points["run"] + ": " + points["arm"]


def _absent(done: pd.DataFrame) -> list[str]:
    """Say which labels have no point at all for want of what is on the axis."""
    axis, label = axis_of(done), labels(done)
    lacking = label[~label.isin(label[done["mi_value"].notna()])].unique()
    if axis == MODEL or not len(lacking):
        return []
    return [f"left out for want of {axis}, {AXES[axis].absent}: {', '.join(lacking)}"]


def _warnings(points: pd.DataFrame) -> tuple[str, ...]:
    """Say what makes points less comparable, or less believable, than they look."""
    estimated = points[~points["exact"]]
    warnings = []
    for column, what in (("data_sha256", "data sets"), ("split", "splits"), ("scale", "scales")):
        values = points[column].unique()
        if len(values) > 1:
            warnings.append(f"points of {len(values)} {what} do not compare: {_listed(values)}")
    if estimated["samples"].nunique() > 1:
        values = estimated["samples"].unique()
        warnings.append(f"estimates with different K do not compare: {_listed(values)}")
    if points["seed"].nunique() > 1:
        warnings.append(
            "every seed is a point of its own, so the frontier favours the luckiest replicates"
        )
    if 0 < len(estimated) < len(points):
        warnings.append(
            f"exact points: {len(points) - len(estimated)}, estimated: {len(estimated)} "
            f"({_listed(estimated['label'].unique())}); they do not compare, for estimates of NLL "
            "and MI can both be far too high"
        )
    unknown = points.loc[points["frontier_probability"].isna(), "label"]
    if len(unknown):
        warnings.append(
            f"points without a standard error: {len(unknown)} ({_listed(unknown.unique())}); "
            "whether they are on the frontier is not known"
        )
    if "nll_is_bound" in points:
        bound = points["nll_is_bound"].fillna(False).astype(bool)
        if told := _counts(points, bound):
            warnings.append(
                f"the NLL of {told} points is an upper bound, that of a single code, which can be "
                "far too high; a larger evaluation.enumerate_up_to allows for an estimate"
            )
    warnings += _meter_warnings(points)
    return (*warnings, *trust_warnings(points[points["on_frontier"]], "frontier points"))


def _meter_warnings(points: pd.DataFrame) -> list[str]:
    """Say where the encoder's information does not compare, or its published meter is full."""
    axis, warnings = axis_of(points), []
    if axis in (MODEL, CODE_SPACE):
        return []
    pools = np.unique(np.exp(points["mi_ceiling"].astype(np.float64).dropna()).round())
    if axis == "mi_q" and len(pools) > 1:
        sizes = _listed([f"{size:.0f}" for size in pools])
        warnings.append(f"MIs of q by pools of different sizes do not compare: {sizes}")
    if {"mi_q_batch", "mi_q_batch_ceiling"} <= set(points):
        read, most = (points[f"mi_q_batch{end}"].astype(np.float64) for end in ("", "_ceiling"))
        if n_full := (read >= SATURATED * most).sum():
            warnings.append(
                f"the published meter, MI of q within batches, is saturated for {n_full} of "
                f"{len(points)} points: from {SATURATED:.0%} of its ceiling on, the mean ln B, it "
                "tells them apart no more"
            )
    return warnings


def trust_warnings(points: pd.DataFrame, what: str) -> list[str]:
    """Say which of some points are less believable than their standard errors; `what` names them.

    A standard error is about the scatter of K samples, and says nothing of what none of them saw.
    """
    warnings = []
    axis = axis_of(points)
    figures, are = ("NLL and MI", "are") if axis == MODEL else ("NLL", "is")
    if few := _counts(points, ~points["exact"] & (points["ess"] < SMALL_ESS)):
        warnings.append(
            f"{few} {what} have an effective sample size below {SMALL_ESS:g}; their {figures} "
            f"{are} too high, evaluate with more samples"
        )
    if lone := _counts(points, ~points["exact"] & (points["ess_min"] < LONE_ESS), "in "):
        warnings.append(
            f"{lone} {what} some observation has an effective sample size below {LONE_ESS:g}; "
            f"their {figures} can be too high by far more than their standard errors, evaluate "
            "with more samples"
        )
    if full := _counts(points, points["mi_value"] >= NEAR_CEILING * points["ceiling"]):
        warnings.append(
            f"{full} {what} are within {1 - NEAR_CEILING:.0%} of the {AXES[axis].limit} or above "
            f"it; {AXES[axis].full}"
        )
    return warnings


def _counts(points: pd.DataFrame, concerned: pd.Series, before: str = "") -> str:
    """Say of how many points of each label something is so, where it is of any."""
    counts = concerned.groupby(points["label"], sort=False).agg(["sum", "size"])
    return ", ".join(
        f"{label}: {before}{n} of {size}" for label, n, size in counts.itertuples() if n
    )


def _listed(values: ArrayLike) -> str:
    texts = ["none" if pd.isna(value) else str(value) for value in np.asarray(values)]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
