"""Several sides at a handful of mutual informations: the best NLL of each, and which are decided.

The estimand of a side at a level m is that of `analysis.comparison`: E[F(m)], the lowest NLL
among trials with at least the MI m that searches of as many configurations find on average. Its
interval is F(m) ± z s(m), s the standard deviation over searches of half as many.

The lowest NLL of a level is the *best*, and every other side is compared with it by the interval
of their difference. Each such pair is taken by itself: nothing corrects for how many there are,
nor for the best having been picked by these figures, which favours it.

Observed at nominal 90 % on the surfaces of `python -m benchmarks comparison`, of 6, 12 and 50
configurations, at MIs of 0, 2 and 4 of 5 nats: a side's interval holds the average of such
searches in 0.92 to 0.96 of cells. Of eleven sides without any difference, 4 to 7 % of pairs are
told apart, but in 51 to 83 % of tables some pair is: read a single "worse" among many with care.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.comparison import FEWEST, frontier_mi, half_widths, lower_hull, n_reaching, staircase
from analysis.membership import Floats
from analysis.resampling import N_REPLICATES, Side, half_searches

BEST, WORSE, UNDECIDED, TOO_FEW = "best", "worse", "undecided", "too few"
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_LEAST = 1e-3  # nats: less is no information
_MOST = 7  # steps between levels
_BELOW, _ABOVE = 4, 3  # the same, up to the median of what sides reach and beyond it


def round_levels(sides: Sequence[Side]) -> list[float]:
    """Choose round MIs: 0, and some up to the highest that two sides reach.

    They begin where frontiers do, but for one in ten of their points, since below those nothing
    changes. Where a few sides reach much further than most, levels are closer together up to
    where half of the sides end, so that those are not told by two columns.
    """
    reach = sorted((float(of.mi.max()) for of in sides), reverse=True)
    top, middle = reach[min(1, len(reach) - 1)], reach[len(reach) // 2]
    if top < _LEAST:
        return [0.0]
    points = np.concatenate([frontier_mi(of) for of in sides])
    start = float(np.quantile(points[points <= top], 0.1, method="higher"))
    if start < top / _MOST:
        start = 0.0
    share = (middle - start) / (top - start) if start < top else 1.0
    if start >= top or not 0.2 < share < 0.5:  # all alike, or half of them hardly get up
        return [0.0, *_ladder(start, top, _MOST - (start > 0))]
    return [0.0, *_ladder(start, middle, _BELOW), *_ladder(middle, top, _ABOVE)]


def _ladder(above: float, top: float, n_steps: int) -> list[float]:
    """At most `n_steps` multiples of one round number above an MI, up to `top`."""
    least = (top - above) / n_steps
    if least <= 0:
        return []
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step for digit in _ROUND if (step := digit * power) >= least * (1 - 1e-9))
    first = math.floor(above / step) + 1
    last = math.floor(top / step * (1 + 1e-9))
    return [round(number * step, 12) for number in range(first, last + 1)]


def at_levels(
    sides: Sequence[Side],
    levels: Sequence[float],
    *,
    hull: bool = False,
    level: float = 0.9,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Give the best NLL of each side with at least each MI, a row for each side and level.

    Columns `label`, `mi` (the level) and `nll`, NaN where no trial has so much MI; `lower` and
    `upper`, its interval, NaN where fewer than `FEWEST` configurations have; `behind`, how far
    above the best of that level it is, with `behind_lower` and `behind_upper`, NaN where there
    are too few of either; and `standing`: "best", "worse" where that interval is above zero,
    "undecided", "too few", or "" without an NLL. Equal lowest NLLs are all best.

    A model's MI is never negative, though its estimate can be: at level 0 every trial counts.
    Raises `ValueError` for a side without points or a level that is no probability.
    """
    if any(not len(of.nll) for of in sides):
        raise ValueError("every side needs a point.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; got {level}.")
    at = np.array([mi if mi > 0 else -np.inf for mi in levels])
    attained = lower_hull if hull else staircase
    best = np.array([attained(of.nll[None], of.mi[None], at)[0] for of in sides])
    enough = np.array([n_reaching(of, at) for of in sides]) >= FEWEST
    drawn = [
        np.concatenate(
            [
                attained(*some, at)
                for some in half_searches(of, n_replicates, np.random.default_rng([seed, number]))
            ]
        )
        for number, of in enumerate(sides)
    ]
    exact = np.zeros_like(drawn[0])
    tables = []
    for column, mi in enumerate(levels):
        leader = int(best[:, column].argmin())
        one = drawn[leader][:, [column]]
        alone = [half_widths(of[:, [column]], exact[:, [column]], level)[0][0] for of in drawn]
        paired = [half_widths(of[:, [column]], one, level)[0][0] for of in drawn]
        tables.append(_level(sides, mi, best[:, column], enough[:, column], leader, alone, paired))
    found = pd.concat(tables, ignore_index=True)
    order = {of.name: number for number, of in enumerate(sides)}
    found = found.sort_values("label", key=lambda names: names.map(order), kind="stable")
    return found.reset_index(drop=True)


def _level(
    sides: Sequence[Side],
    mi: float,
    nll: Floats,
    enough: NDArray[np.bool_],
    leader: int,
    alone: Sequence[float],
    paired: Sequence[float],
) -> pd.DataFrame:
    """The rows of one level; `alone` and `paired` are half widths of intervals, by side."""
    known = np.isfinite(nll)
    shown = np.where(known, nll, np.nan)
    width = np.where(known & enough, alone, np.nan)
    behind = shown - shown[leader]
    both = np.where(known & enough & enough[leader], paired, np.nan)
    standing = np.select(
        [~known, behind == 0, np.isnan(both), behind > both],
        ["", BEST, TOO_FEW, WORSE],
        default=UNDECIDED,
    )
    return pd.DataFrame(
        {
            "label": [of.name for of in sides],
            "mi": mi,
            "nll": shown,
            "lower": shown - width,
            "upper": shown + width,
            "behind": behind,
            "behind_lower": behind - both,
            "behind_upper": behind + both,
            "standing": standing,
        }
    )
