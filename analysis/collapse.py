"""Collapsed trials: those whose latents carry next to no information."""

from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.frontier import Unit

SHARE_OF_CEILING = 0.01
NATS = 0.05  # per observation, where the latents have no ceiling
N_BINS = 5


def collapse_threshold(
    points: pd.DataFrame, unit: Unit, nats: float | None = None
) -> NDArray[np.float64]:
    """Give `[trials]`: the MI, in nats per `unit`, below which a trial is collapsed.

    1% of the MI ceiling, or 0.05 nats per observation where the latents have none; `nats` per
    `unit` sets it for all trials.
    """
    if nats is not None:
        return np.full(len(points), nats)
    ceiling = points["ceiling"].to_numpy(np.float64)
    scale = points["tokens"].to_numpy(np.float64) if unit == "token" else 1.0
    return np.where(np.isfinite(ceiling), SHARE_OF_CEILING * ceiling, NATS / scale)


def is_collapsed(points: pd.DataFrame, unit: Unit, nats: float | None = None) -> NDArray[np.bool_]:
    """Give `[trials]`: whether the MI lies below `collapse_threshold`."""
    return points["mi_value"].to_numpy(np.float64) < collapse_threshold(points, unit, nats)


def wilson(n_hits: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Give the score interval of a share that was seen as `n_hits` of `n`.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    >>> [round(end, 3) for end in wilson(5, 5)]
    [0.566, 1.0]
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = n_hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = 0.0 if n_hits == 0 else float(max(centre - half, 0.0))
    return low, 1.0 if n_hits == n else float(min(centre + half, 1.0))


def collapse_by_knob(
    points: pd.DataFrame,
    knob: str,
    unit: Unit,
    *,
    log: bool = False,
    nats: float | None = None,
    n_bins: int = N_BINS,
) -> pd.DataFrame:
    """Count the collapsed trials within equal parts of a numeric knob's range.

    All labels share the parts, which are equal on a log scale with `log`. Columns: `label`,
    `knob`, `low` and `high` (ends of the part), `n_trials`, `n_collapsed`, `share` and the ends
    `share_low`, `share_high` of its 95% Wilson interval. That counts configurations, of which
    each has the share of its seeds: replicates are no further evidence. Parts without trials have
    no row; trials without the knob are not counted.
    """
    has = points[points[knob].notna()]
    values = has[knob].to_numpy(np.float64)
    rows = []
    if len(values):
        edges = _edges(values, n_bins, log)
        part = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        collapsed = is_collapsed(has, unit, nats)
        labels, configurations = has["label"].to_numpy(), has["config_hash"].to_numpy()
        for label in sorted(set(labels)):
            for at in range(len(edges) - 1):
                inside = (labels == label) & (part == at)
                if n := int(inside.sum()):
                    hits = int(collapsed[inside].sum())
                    ends = (float(edges[at]), float(edges[at + 1]))
                    of_seeds = pd.Series(collapsed[inside]).groupby(configurations[inside]).mean()
                    interval = wilson(float(of_seeds.sum()), len(of_seeds))
                    rows.append((label, knob, *ends, n, hits, hits / n, *interval))
    names = ["label", "knob", "low", "high", "n_trials", "n_collapsed"]
    return pd.DataFrame(rows, columns=[*names, "share", "share_low", "share_high"])


def _edges(values: NDArray[np.float64], n_bins: int, log: bool) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    if low == high:
        return np.array([low, high])
    return np.geomspace(low, high, n_bins + 1) if log else np.linspace(low, high, n_bins + 1)
