"""What a figure shows beside the NLL: information of the model, of the encoder, or a code's rate.

Analyses know one MI, in the columns `mi`, `mi_se` and so on. `on_axis` puts another one there,
or the log of the code space, and notes which in the column `mi_axis`, so that labels can say so.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

MI_AXIS = "mi_axis"  # in rows where `mi` is not the model's
MODEL = "mi"
CODE_SPACE = "code_space"


class Axis(NamedTuple):
    """The names of an information, or of a rate."""

    short: str  # in tables
    long: str  # on axes
    ceiling: str  # what its highest value is, before that value
    limit: str  # the same, in a sentence
    full: str  # what it means to be there
    absent: str  # why a trial that is done may lack it


AXES = {
    MODEL: Axis(
        "MI",
        "mutual information",
        "highest possible MI",
        "MI ceiling",
        "the latents can hold no more",
        "which could not be estimated",
    ),
    "mi_q": Axis(
        "MI of q",
        "MI of q, I_q(x; z), pool of {n}",
        "ceiling of the pool: ln N =",
        "ceiling of the pool, ln N,",
        "there may be more than it shows",
        "which older versions did not measure",
    ),
    "mi_q_batch": Axis(
        "batch MI of q",
        "MI of q, I_q(x; z), within batches as published",
        "ceiling of the batches: mean ln B =",
        "ceiling of the batches, the mean ln B,",
        "there may be more than they show",
        "which older versions did not measure",
    ),
    # A constant of the configuration, which nothing limits.
    CODE_SPACE: Axis(
        "code space",
        "log of the code space, L ln J",
        "largest code space",
        "largest code space",
        "there are no more codes",
        "which only vq latents have",
    ),
}

# What `on_axis` reads beside the columns of `analysis.frontier`.
COLUMNS = (
    *("mi_q", "mi_q_se", "mi_q_sampling_se", "mi_q_ceiling"),
    *("mi_q_batch", "mi_q_batch_se", "mi_q_batch_ceiling", "observations"),
    *("code_space", "code_entropy"),
)


def on_axis(rows: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Give stored rows with the information or rate `axis`, one of `AXES`, in the place of `mi`.

    The encoder's information is never exact, so the NLL beside it is the estimate too, and the
    samples behind the two are not the same, so their errors do not covary. The log of the code
    space is known without error and has no ceiling; the NLL beside it is that beside `mi`, exact
    where it is. Per token, the mean number of tokens counts as known.

    Raises `ValueError` where rows lack it, or are on an axis already.
    """
    if axis == MODEL:
        return rows
    if MI_AXIS in rows:
        raise ValueError(f"rows are on the axis {axis_of(rows)!r} already.")
    names = [axis] if axis == CODE_SPACE else [axis, f"{axis}_se", f"{axis}_ceiling"]
    if missing := [name for name in names if name not in rows]:
        raise ValueError(f"rows lack the columns {', '.join(missing)}.")
    unknown, none = pd.Series(np.nan, rows.index), pd.Series(0.0, rows.index)
    if axis == CODE_SPACE:
        exact, error, sampling_error, ceiling = rows[axis], none, none, unknown
    else:
        exact, error, ceiling = unknown, rows[f"{axis}_se"], rows[f"{axis}_ceiling"]
        sampling_error = rows.get(f"{axis}_sampling_se", unknown)
    return rows.assign(
        mi=rows[axis],
        mi_se=error,
        mi_ceiling=ceiling,
        mi_exact=exact,
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
    axis = axis_of(rows)
    if axis == "mi_q" and len(rows) and CODE_SPACE in rows and rows[CODE_SPACE].notna().all():
        return f"entropy of the codes, I_q(x; z), pool of {pools}"
    return AXES[axis].long.format(n=pools)


def place_name(rows: pd.DataFrame) -> str:
    """Name what texts call MI, where `long_name` says what is shown there."""
    return "in the place of MI" if axis_of(rows) == CODE_SPACE else "MI"


def axis_lines(rows: pd.DataFrame) -> list[str]:
    """Say in a line what is shown in the place of the model's information, if anything is."""
    return [] if axis_of(rows) == MODEL else [f"{place_name(rows)}: {long_name(rows)}"]
