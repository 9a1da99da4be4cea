"""Bootstrap replicates of an arm's points, and what they say of its frontier.

A replicate is the sweep as it might have gone: other configurations, other seeds, other Monte
Carlo draws. Configurations are drawn with replacement, then seeds within each of them, whose
figures are averaged, so that the luckiest seed is not what a configuration can do; then
Monte Carlo noise of the stored standard errors is added.

What to know before believing it. The configurations of a guided search are not independent draws,
and arms that start from the same proposals are drawn as if they did not. The noise is added to
figures that hold some already. The lowest of n trials is an extreme value: without noise no
replicate lies below what was observed, so `interval` also takes in the mirror image of what the
replicates say.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.membership import Estimates, redrawn

Array = NDArray[np.float64]

N_REPLICATES = 1000
LEVEL = 0.95


class Replicates(NamedTuple):
    """Figures of an arm's configurations, `[replicates, configurations]`; the first is observed.

    `nll` and `mi` are in the unit of the points; `cost` is seconds of training a step, NaN where
    unknown.
    """

    nll: Array
    mi: Array
    cost: Array

    @property
    def most_information(self) -> Array:
        """Give `[replicates]`: the largest MI of a configuration."""
        return self.mi.max(axis=1)


def replicate(
    points: pd.DataFrame, rng: np.random.Generator, n_replicates: int = N_REPLICATES
) -> Replicates:
    """Draw replicates of one arm's points, which are those of `analysis.frontier.Frontier`.

    Raises `ValueError` where there are no points.
    """
    if points.empty:
        raise ValueError("there are no points to draw replicates of.")
    order = np.argsort(points["config_hash"].to_numpy(), kind="stable")
    points = points.iloc[order]
    _, first, n_seeds = np.unique(
        points["config_hash"].to_numpy(), return_index=True, return_counts=True
    )
    n, most = len(first), int(n_seeds.max())
    # [replicates, configurations, seeds], padded: of each configuration drawn, as many seeds.
    drawn = rng.integers(n, size=(n_replicates, n))
    drawn = np.concatenate([np.arange(n)[None], drawn])
    seed = np.floor(rng.random((*drawn.shape, most)) * n_seeds[drawn][..., None]).astype(int)
    seed[0] = np.minimum(np.arange(most), n_seeds[:, None] - 1)
    row = first[drawn][..., None] + seed
    present = np.arange(most) < n_seeds[drawn][..., None]
    estimates = Estimates.of(points)
    nll, mi = estimates.nll[row], estimates.mi[row]
    if estimates.have_errors:
        again = redrawn(estimates.at(row[1:]), rng.standard_normal((2, *row[1:].shape)))
        nll[1:], mi[1:] = again  # the first is what was observed
    cost = (points["train_seconds"] / points["step"]).to_numpy(np.float64, na_value=np.nan)
    return Replicates(
        _mean(nll, present),
        _mean(mi, present),
        _mean(cost[row], present),
    )


def _mean(values: Array, present: NDArray[np.bool_]) -> Array:
    return np.where(present, values, 0.0).sum(axis=-1) / present.sum(axis=-1)


def best_nll(arm: Replicates, mi: Array) -> Array:
    """Give `[replicates, n]`: F(m), the lowest NLL among configurations with an MI of at least m.

    `mi` is `[replicates, n]`. Infinite beyond the largest MI, where nothing is known.
    """
    columns = [np.where(arm.mi >= least[:, None], arm.nll, np.inf).min(axis=1) for least in mi.T]
    return np.stack(columns, axis=1)


def interval(values: Array, level: float = LEVEL) -> tuple[float, float]:
    """Give an interval from `[replicates]`, of which the first is the estimate.

    It holds the percentile interval and its reflection at the estimate (the basic bootstrap
    interval): to which side ever the replicates of an extreme value lean, it reaches to the other
    as far. Infinite replicates make it infinite.
    """
    estimate, drawn = values[0], np.sort(values[1:])
    tail = (1 - level) / 2
    last = len(drawn) - 1
    low, high = drawn[int(np.floor(tail * last))], drawn[int(np.ceil((1 - tail) * last))]
    reach = max(estimate - low, high - estimate)
    return float(estimate - reach), float(estimate + reach)
