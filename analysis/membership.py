"""Which points are on the frontier for sure, and which only by the luck of their evaluation.

NLL and MI come with Monte Carlo errors. A point that just beats its neighbours may owe its place
on the frontier to them, and one just behind may have lost it by them: both are ambiguous.
"""

from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FRONTIER, DOMINATED, AMBIGUOUS = "frontier", "dominated", "ambiguous"

SURE = 0.95  # on the frontier from this probability on, dominated up to 1 - SURE
DRAWS = 2_000  # the error of a probability near SURE is 0.005
FAR = 6.0  # standard errors of both points: one in a billion draws goes as far
_CELLS = 1_000_000  # numbers drawn at a time, so that memory stays small

Floats = NDArray[np.float64]


class Estimates(NamedTuple):
    """Points `[points]`: NLL (lower is better), MI (higher is better) and what is known of both.

    `nll_error` and `mi_error` are Monte Carlo standard errors, 0 where exact, NaN where unknown;
    `covariance` is the Monte Carlo covariance of the two. All are in one unit, or its square.
    """

    nll: Floats
    mi: Floats
    nll_error: Floats
    mi_error: Floats
    covariance: Floats

    @classmethod
    def of(cls, points: pd.DataFrame) -> Self:
        """Take the estimates of `analysis.frontier.Frontier.points`."""
        names = ("nll_value", "mi_value", "nll_error", "mi_error", "error_covariance")
        return cls(*(points[name].to_numpy(np.float64) for name in names))

    def at(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The points at `index`."""
        return type(self)(*(values[index] for values in self))

    @property
    def have_errors(self) -> bool:
        """Whether any point has a known error above 0."""
        return bool(np.nan_to_num(self.nll_error).any() or np.nan_to_num(self.mi_error).any())

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Where a standard error is not known, `[points]`."""
        return np.isnan(self.nll_error) | np.isnan(self.mi_error)


def frontier_probability(estimates: Estimates, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Give `[points]`: how often each point is on the frontier when all are drawn anew.

    A parametric bootstrap: each draw takes all points jointly, each from the normal distribution
    of its two values, their standard errors and covariance, independently of the other points.
    Errors that all points share, from evaluating one subset of a split, are not among them.

    Where no point has an error, probabilities are exactly 0 or 1, those of the estimates. A point
    of unknown error stays at its estimate in every draw, as an exact one does, and its own
    probability is NaN. Different points have the same probabilities in whatever order they come.
    """
    probability = np.zeros(len(estimates.nll))
    near = np.flatnonzero(may_be_on_frontier(estimates))
    close = estimates.at(near)
    order = np.lexsort(close[::-1])
    near, close = near[order], close.at(order)
    if not close.have_errors:
        probability[near] = is_nondominated(close.nll[None], close.mi[None])[0]
    else:
        generator = np.random.default_rng(seed)
        step = max(1, _CELLS // len(near))
        for start in range(0, draws, step):
            normals = generator.standard_normal((2, min(step, draws - start), len(near)))
            probability[near] += is_nondominated(*redrawn(close, normals)).sum(axis=0)
        probability[near] /= draws
    probability[estimates.unknown] = np.nan
    return probability


def membership(probability: Floats) -> NDArray[np.str_]:
    """Give `[points]`: frontier, dominated or ambiguous; ambiguous where unknown (NaN)."""
    labels = np.array([AMBIGUOUS, FRONTIER, DOMINATED])
    return labels[np.where(probability >= SURE, 1, np.where(probability <= 1 - SURE, 2, 0))]


def redrawn(estimates: Estimates, normals: Floats) -> tuple[Floats, Floats]:
    """Give NLL and MI `[..., points]` from standard normal numbers `[2, ..., points]`.

    An unknown error counts as none.
    """
    nll_error, mi_error = np.nan_to_num(estimates.nll_error), np.nan_to_num(estimates.mi_error)
    product = nll_error * mi_error
    correlation = np.divide(
        estimates.covariance, product, out=np.zeros_like(product), where=product > 0
    ).clip(-1, 1)
    first, second = normals
    nll = estimates.nll + nll_error * first
    second = correlation * first + np.sqrt(1 - correlation**2) * second
    return nll, estimates.mi + mi_error * second


def is_nondominated(nll: Floats, mi: Floats) -> NDArray[np.bool_]:
    """Give `[draws, points]`: the Pareto set of each draw on its own.

    As `analysis.frontier.is_on_frontier`, whose equal points are all kept, but for two objectives
    and many draws at a time: sorted by falling MI, a point is kept where its NLL is below all
    before it, or where it equals one that is kept.
    """
    order = np.lexsort((nll, -mi), axis=1)
    nll, mi = (np.take_along_axis(values, order, axis=1) for values in (nll, mi))
    kept = np.ones(nll.shape, dtype=bool)
    kept[:, 1:] = nll[:, 1:] < np.minimum.accumulate(nll, axis=1)[:, :-1]
    equal = np.zeros(nll.shape, dtype=bool)
    equal[:, 1:] = (nll[:, 1:] == nll[:, :-1]) & (mi[:, 1:] == mi[:, :-1])
    if equal.any():
        first = np.where(equal, 0, np.arange(nll.shape[1]))
        kept = np.take_along_axis(kept, np.maximum.accumulate(first, axis=1), axis=1)
    on_frontier = np.empty_like(kept)
    np.put_along_axis(on_frontier, order, kept, axis=1)
    return on_frontier


def may_be_on_frontier(estimates: Estimates) -> NDArray[np.bool_]:
    """Give `[points]`: false for points that another one dominates in practically every draw.

    That one is better in NLL and MI by `FAR` standard errors of both. Whatever such a point
    dominates, the other one dominates too, so leaving it out changes no other point's chances.
    """
    nll_error, mi_error = np.nan_to_num(estimates.nll_error), np.nan_to_num(estimates.mi_error)
    surely = np.lexsort((estimates.nll, -(estimates.mi - FAR * mi_error)))
    least_mi = -(estimates.mi - FAR * mi_error)[surely]
    best = np.minimum.accumulate((estimates.nll + FAR * nll_error)[surely])
    n_rivals = np.searchsorted(least_mi, -(estimates.mi + FAR * mi_error), side="right")
    rival = np.where(n_rivals > 0, best[np.maximum(n_rivals - 1, 0)], np.inf)
    return rival >= estimates.nll - FAR * nll_error
