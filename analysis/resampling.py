"""One side of a comparison, and the searches that it could have been.

A search is its trials: configurations, each with one or several seeds, measured with Monte Carlo
error. What another search would have found is drawn from them at three levels, in this order.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

N_REPLICATES = 2_000

_CHUNK = 2_000_000  # values that are drawn at a time


class Side(NamedTuple):
    """The points of one side, `[trials]` each, in nats.

    `configuration` numbers the rows that share a configuration. Errors are one Monte Carlo
    standard error, 0 where exact or unknown, and `correlation` is that of the two errors.
    """

    name: str
    nll: Floats
    mi: Floats
    nll_error: Floats
    mi_error: Floats
    correlation: Floats
    configuration: NDArray[np.intp]

    @property
    def n_configurations(self) -> int:
        """The number of configurations."""
        return int(self.configuration.max(initial=-1)) + 1


def side(points: pd.DataFrame, name: str) -> Side:
    """Take one side's points from `analysis.frontier.Frontier.points`.

    `nll_mi_covariance`, per observation, is 0 where it is missing.
    """
    nll_error, mi_error = (
        points[f"{name}_error"].fillna(0.0).to_numpy(np.float64) for name in ("nll", "mi")
    )
    correlation: Floats = np.zeros(len(points), dtype=np.float64)
    if "nll_mi_covariance" in points:
        # A correlation has no unit, so it is the same per token.
        product = points["nll_se"].astype(np.float64) * points["mi_se"].astype(np.float64)
        found = points["nll_mi_covariance"].astype(np.float64) / product.where(product > 0)
        correlation = np.clip(found.fillna(0.0).to_numpy(np.float64), -1.0, 1.0)
    return Side(
        name,
        points["nll_value"].to_numpy(np.float64),
        points["mi_value"].to_numpy(np.float64),
        nll_error,
        mi_error,
        correlation,
        np.asarray(pd.factorize(points["config_hash"])[0], dtype=np.intp),
    )


def half_searches(
    of: Side, n_replicates: int, generator: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Draw searches of half as many configurations, rounded up; NLL and MI `[replicates, rows]`.

    Configurations are drawn with replacement, then as many seeds as each has with replacement,
    then the Monte Carlo error of each measurement. Where configurations differ in their number
    of seeds, surplus rows have an infinite NLL and an MI of minus infinity. The replicates come
    in several pieces, so that memory stays small.

    Why half: the best of n trials drawn with replacement from n trials is the very best one 63 %
    of the time and never better, so such replicates scatter too little; see
    `analysis.comparison`.
    """
    n_drawn = math.ceil(of.n_configurations / 2)
    rows = np.argsort(of.configuration, kind="stable")
    n_seeds = np.bincount(of.configuration, minlength=of.n_configurations)
    first = np.cumsum(n_seeds) - n_seeds
    most = int(n_seeds.max(initial=0))
    noisy = bool((of.nll_error > 0).any() or (of.mi_error > 0).any())
    piece = max(1, _CHUNK // max(1, n_drawn * most))
    for start in range(0, n_replicates, piece):
        shape = (min(piece, n_replicates - start), n_drawn)
        drawn = generator.integers(of.n_configurations, size=shape)[:, :, None]
        seeds = n_seeds[drawn]
        slots = np.arange(most)
        chosen = (
            generator.integers(seeds, size=(*shape, most)) if most > 1 else np.zeros_like(drawn)
        )
        index = rows[first[drawn] + chosen]
        nll, mi = of.nll[index], of.mi[index]
        if noisy:
            noise = generator.standard_normal((2, *index.shape))
            rho = of.correlation[index]
            nll = nll + of.nll_error[index] * noise[0]
            mi = mi + of.mi_error[index] * (rho * noise[0] + np.sqrt(1 - rho**2) * noise[1])
        if most > 1:
            nll = np.where(slots < seeds, nll, np.inf)
            mi = np.where(slots < seeds, mi, -np.inf)
        yield nll.reshape(shape[0], -1), mi.reshape(shape[0], -1)
