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

from analysis.frontier import possible_information
from analysis.membership import Estimates, Floats, redrawn

N_REPLICATES = 2_000

_CHUNK = 2_000_000  # values that are drawn at a time


class Side(NamedTuple):
    """The points of one side, `[trials]`; `configuration` numbers those that share one.

    More MI than is `possible` counts as that much.
    """

    name: str
    estimates: Estimates
    configuration: NDArray[np.intp]
    possible: float = math.inf

    @property
    def nll(self) -> Floats:
        """The NLL of each point."""
        return self.estimates.nll

    @property
    def mi(self) -> Floats:
        """The MI of each point, as far as it counts."""
        return np.minimum(self.estimates.mi, self.possible)

    @property
    def n_configurations(self) -> int:
        """The number of configurations."""
        return int(self.configuration.max(initial=-1)) + 1


def side(points: pd.DataFrame, name: str) -> Side:
    """Take one side's points from `analysis.frontier.Frontier.points`."""
    configuration = np.asarray(pd.factorize(points["config_hash"])[0], dtype=np.intp)
    return Side(name, Estimates.of(points), configuration, possible_information(points))


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
        if of.estimates.have_errors:
            normals = generator.standard_normal((2, *index.shape))
            nll, mi = redrawn(of.estimates.at(index), normals)
            mi = np.minimum(mi, of.possible)
        if most > 1:
            nll = np.where(slots < seeds, nll, np.inf)
            mi = np.where(slots < seeds, mi, -np.inf)
        yield nll.reshape(shape[0], -1), mi.reshape(shape[0], -1)
