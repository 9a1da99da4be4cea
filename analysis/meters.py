"""What trials' meters say of an arm: collapse of dimensions, and their activity, over its trials.

Each trial has a staircase in a threshold. Over the trials of a label there is a median and a band.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BAND = (0.25, 0.5, 0.75)  # quantiles over trials
LOWEST_EPSILON = 1e-6  # nats, below which float32 parameters tell no KL from zero

Steps = NDArray[np.float64]


def collapse_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Give the share of (epsilon, delta)-collapsed dimensions for each label, over its trials.

    `curves` has a row for each dimension of each trial: `label`, `trial_id`, `run` where there
    are several, and `epsilon`, above which the dimension is collapsed. The result has the columns
    `label`, `epsilon`, `low`, `median`, `high` and `trials`. A row holds for thresholds above its
    epsilon, up to the next row's; below the first one nothing is collapsed.
    """
    return _over_trials(curves, "epsilon", _share_below)


def activity_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Give how many dimensions are active for each label, over its trials.

    A dimension is active where the `mean_variance` of its posterior means is at least a
    threshold. The result is as that of `collapse_curves`, with `mean_variance` in the place of
    `epsilon`: a row holds for thresholds up to its own, from the row before. Trials without
    variances, those of categorical latents, are left out.
    """
    known = curves[curves["mean_variance"].notna()]
    return _over_trials(known, "mean_variance", _count_from)


def _share_below(steps: Steps, thresholds: Steps) -> Steps:
    return np.searchsorted(steps, thresholds, side="right") / len(steps)


def _count_from(steps: Steps, thresholds: Steps) -> Steps:
    return len(steps) - np.searchsorted(steps, thresholds, side="left").astype(np.float64)


def _over_trials(curves: pd.DataFrame, column: str, height: Any) -> pd.DataFrame:
    parts = [
        pd.DataFrame(columns=["label", column, "low", "median", "high", "trials"]).astype(
            {"label": "str", **dict.fromkeys([column, "low", "median", "high"], "float64")}
            | {"trials": "int64"}
        )
    ]
    for label, of_label in curves.groupby("label", sort=True):
        steps = list(_steps(of_label, column))
        thresholds = np.unique(np.concatenate(steps))
        low, median, high = np.quantile([height(of, thresholds) for of in steps], BAND, axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "label": str(label),
                    column: thresholds,
                    "low": low,
                    "median": median,
                    "high": high,
                    "trials": len(steps),
                }
            )
        )
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _steps(curves: pd.DataFrame, column: str) -> Iterator[Steps]:
    for _, trial in curves.groupby(trial_key(curves), sort=True):
        yield np.sort(trial[column].to_numpy(np.float64))


def trial_key(rows: pd.DataFrame) -> list[str]:
    """Give the columns that tell one trial from another."""
    return [name for name in ("run", "trial_id") if name in rows]


def meters_table(points: pd.DataFrame) -> pd.DataFrame:
    """Give the medians of some trials' meters, a line for each label, as text.

    `points` are those of `analysis.frontier.Frontier` with the columns of the meters.
    """
    rows = []
    for label, some in points.groupby("label", sort=True):
        row = {"arm": str(label), "trials": str(len(some))}
        for column, name in _SHOWN.items():
            values = some[column].astype("float64").dropna()
            row[name] = f"{values.median():.3g}" if len(values) else "–"
        rows.append(row)
    return pd.DataFrame(rows, columns=["arm", "trials", *_SHOWN.values()])


_SHOWN = {
    "collapsed_share": "share collapsed",
    "active_units": "active units",
    "probe_accuracy": "linear probe",
    "knn_accuracy": "k-NN",
    "probe_chance": "chance",
}


def shown_trials(points: pd.DataFrame, available: Iterable[str]) -> pd.DataFrame:
    """Pick a trial for each label: of those `available`, on its frontier, that of lowest NLL."""
    candidates = points[points["trial_id"].isin(list(available)) & points["on_frontier"]]
    best = candidates.sort_values(["nll_value", "trial_id"]).drop_duplicates("label")
    return best.sort_values("label")
