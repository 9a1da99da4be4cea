"""Which information a figure shows: that of the model, or one of the encoder's.

Analyses know one MI, in the columns `mi`, `mi_se` and so on. `on_axis` puts another one there, and
notes in the column `mi_axis` which it is, so that labels can say so.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

MI_AXIS = "mi_axis"  # in rows where `mi` is not the model's
MODEL = "mi"


class Axis(NamedTuple):
    """The names of an information."""

    short: str  # in tables
    long: str  # on axes
    ceiling: str  # what its highest value is, before that value
    limit: str  # the same, in a sentence
    full: str  # what it means to be there


AXES = {
    MODEL: Axis(
        "MI",
        "mutual information",
        "highest possible MI",
        "MI ceiling",
        "the latents can hold no more",
    ),
    "mi_q": Axis(
        "MI of q",
        "MI of q, I_q(x; z), pool of {n}",
        "ceiling of the pool: ln N =",
        "ceiling of the pool, ln N,",
        "there may be more than it shows",
    ),
    "mi_q_batch": Axis(
        "batch MI of q",
        "MI of q, I_q(x; z), within batches as published",
        "ceiling of the batches: mean ln B =",
        "ceiling of the batches, the mean ln B,",
        "there may be more than they show",
    ),
}

# What `on_axis` reads beside the columns of `analysis.frontier`.
COLUMNS = (
    *("mi_q", "mi_q_se", "mi_q_sampling_se", "mi_q_ceiling"),
    *("mi_q_batch", "mi_q_batch_se", "mi_q_batch_ceiling", "observations"),
)


def on_axis(rows: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Give stored rows with the information `axis`, one of `AXES`, in the place of `mi`.

    The encoder's information is never exact, so the NLL beside it is the estimate too, and the
    samples behind the two are not the same, so their errors do not covary. Per token, the mean
    number of tokens counts as known.

    Raises `ValueError` where rows lack it, or are on an axis already.
    """
    if axis == MODEL:
        return rows
    if MI_AXIS in rows:
        raise ValueError(f"rows are on the axis {axis_of(rows)!r} already.")
    names = [axis, f"{axis}_se", f"{axis}_ceiling"]
    if missing := [name for name in names if name not in rows]:
        raise ValueError(f"rows lack the columns {', '.join(missing)}.")
    unknown = pd.Series(np.nan, rows.index)
    sampling_error = rows.get(f"{axis}_sampling_se", unknown)
    return rows.assign(
        mi=rows[axis],
        mi_se=rows[f"{axis}_se"],
        mi_ceiling=rows[f"{axis}_ceiling"],
        mi_exact=unknown,
        mi_sampling_se=sampling_error,
        mi_per_token=rows[axis] / rows["tokens"],
        mi_per_token_sampling_se=sampling_error / rows["tokens"],
        nll_mi_covariance=0.0,
        **{MI_AXIS: axis},
    )


def axis_of(rows: pd.DataFrame) -> str:
    """Give the axis that rows are on; that of the model for none."""
    return MODEL if MI_AXIS not in rows or rows.empty else str(rows[MI_AXIS].iloc[0])


def short_name(rows: pd.DataFrame) -> str:
    """Name the information of rows in a word or two, e.g. "MI"."""
    return AXES[axis_of(rows)].short


def long_name(rows: pd.DataFrame) -> str:
    """Name the information of rows for an axis, with the size of its pool."""
    sizes = set(rows["observations"].dropna()) if "observations" in rows else set()
    pools = " or ".join(f"{size:,.0f}" for size in sorted(sizes)) or "all observations"
    return AXES[axis_of(rows)].long.format(n=pools)
