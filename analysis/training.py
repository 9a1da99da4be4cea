"""NLL and MI along training, from the rows of evaluations between the first step and the last."""

import numpy as np
import pandas as pd

from analysis.frontier import Frontier, labels, with_values


def training_curves(rows: pd.DataFrame, frontier: Frontier) -> pd.DataFrame:
    """Give a row per evaluation with finite NLL and MI, by label, trial and step.

    `rows` are the stored rows, final and others, that `frontier` was made of. The columns are
    theirs and `label`, `nll_value`, `mi_value` and so on as in `Frontier.points`, in its unit;
    `on_frontier` tells whether the trial ended on the frontier. Trials that diverged or failed
    are there as far as they went.
    """
    curves = with_values(rows, frontier.unit)
    curves.insert(0, "label", labels(curves))
    key = [name for name in ("run", "trial_id") if name in rows]
    best = frontier.points.loc[frontier.points["on_frontier"], key]
    on_frontier = pd.MultiIndex.from_frame(curves[key]).isin(pd.MultiIndex.from_frame(best))
    finite = np.isfinite(curves["nll_value"]) & np.isfinite(curves["mi_value"])
    return (
        curves.assign(on_frontier=on_frontier)[finite]
        .sort_values(["label", *key, "step"], kind="stable")
        .reset_index(drop=True)
    )


def has_several_steps(curves: pd.DataFrame) -> bool:
    """Tell whether any trial of `training_curves` was evaluated at more than one step."""
    key = [name for name in ("run", "trial_id") if name in curves]
    return bool((curves.groupby(key)["step"].nunique() > 1).any())
