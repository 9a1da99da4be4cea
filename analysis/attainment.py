"""Empirical attainment surfaces: what share of repetitions reach an NLL at an MI, or better.

A repetition is a set of points. It attains (MI, NLL) if one of its points has at least that MI
and at most that NLL. The surface of a level is the border of what at least that share of the sets
attains: low levels are optimistic and lie below, high levels are what can be relied on.
"""

from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.membership import Estimates, is_nondominated, may_be_on_frontier, redrawn

SEED_LEVELS = (25.0, 50.0, 75.0)  # percent of the seeds
ERROR_LEVELS = (5.0, 50.0, 95.0)  # percent of the draws
DRAWS = 500

COLUMNS = ("label", "level", "mi", "nll", "sets")


def attainment(
    nll: ArrayLike, mi: ArrayLike, sets: ArrayLike, levels: Sequence[float]
) -> pd.DataFrame:
    """Give the corners of the surfaces of several sets of points.

    `nll` (lower is better), `mi` (higher is better) and `sets` are `[points]`; equal values of
    `sets` are one set. `levels` are in percent: n sets attain level p where at least p n / 100 of
    them, and at least one, do. The result has the columns `level`, `mi` and `nll`, by level and
    rising MI. Between corners a surface is a staircase: the NLL at an MI is that of the next
    corner to the right, and beyond the last one the level is not attained.

    Computed by `moocore.eaf`, with the algorithm of Fonseca, Guerreiro, López-Ibáñez and
    Paquete (2011).
    Raises `ValueError` for NaN, for no points, and for a level outside (0, 100].
    """
    losses = np.column_stack([np.asarray(nll, np.float64), -np.asarray(mi, np.float64)])
    if not len(losses) or np.isnan(losses).any():
        raise ValueError("attainment needs at least one point, and no NaN.")
    if any(not 0 < level <= 100 for level in levels):
        raise ValueError(f"levels are above 0 and up to 100 percent; got {list(levels)}.")
    numbers = np.unique(np.asarray(sets), return_inverse=True)[1]
    order = np.argsort(numbers, kind="stable")  # moocore 0.3.2 takes sets to lie in one piece
    corners = moocore.eaf(losses[order], numbers[order], percentiles=sorted(set(levels)))
    corners = corners[np.lexsort((corners[:, 0], -corners[:, 1], corners[:, 2]))]
    return pd.DataFrame({"level": corners[:, 2], "mi": -corners[:, 1], "nll": corners[:, 0]})


def attained(surface: pd.DataFrame, mi: ArrayLike) -> NDArray[np.float64]:
    """Give the NLL of one level's surface at each MI; infinite where it is not attained."""
    corners = np.append(surface["nll"].to_numpy(np.float64), np.inf)
    return corners[np.searchsorted(surface["mi"], np.asarray(mi, np.float64), side="left")]


def seed_attainment(points: pd.DataFrame, levels: Sequence[float] = SEED_LEVELS) -> pd.DataFrame:
    """Give the surfaces over seeds of each label of `analysis.frontier.Frontier.points`.

    The trials of one seed are one set: what a sweep with that seed alone would have found. Labels
    with fewer than two seeds have no surface. The result has the columns of `COLUMNS`; `sets` is
    the number of seeds.
    """
    surfaces = []
    for label, of_label in points.groupby("label", sort=True):
        n = of_label["seed"].nunique()
        if n >= 2:
            found = attainment(
                of_label["nll_value"], of_label["mi_value"], of_label["seed"], levels
            )
            surfaces.append(found.assign(label=label, sets=n))
    return _together(surfaces)


def error_attainment(
    points: pd.DataFrame,
    levels: Sequence[float] = ERROR_LEVELS,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Give the surfaces over Monte Carlo error of each label of `Frontier.points`.

    Each draw of the joint bootstrap of `analysis.membership` is one set. The draws scatter about
    estimates that scatter already, so the best of a draw is too good twice: how far the median
    lies below the staircase of the estimates is about how far that lies below the truth. Labels
    without any known error above 0 have no surface. The result has the columns of `COLUMNS`;
    `sets` is the number of draws.
    """
    surfaces = []
    for label, of_label in points.groupby("label", sort=True):
        if not (of_label[["nll_error", "mi_error"]] > 0).any(axis=None):
            continue
        estimates = Estimates.of(of_label)
        close = estimates.at(may_be_on_frontier(estimates))
        close = close.at(np.lexsort(close[::-1]))
        normals = np.random.default_rng(seed).standard_normal((2, draws, len(close.nll)))
        nll, mi = redrawn(close, normals)
        best = is_nondominated(nll, mi)  # the others change nothing
        found = attainment(nll[best], mi[best], np.nonzero(best)[0], levels)
        surfaces.append(found.assign(label=label, sets=draws))
    return _together(surfaces)


def _together(surfaces: list[pd.DataFrame]) -> pd.DataFrame:
    if not surfaces:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(surfaces, ignore_index=True)[list(COLUMNS)]
