"""Two sides at equal information: the difference of their NLL, how sure it is, and what follows.

The estimand. F(m) is the lowest NLL among a search's trials with MI >= m. F is the best of many,
so it depends on how many: the estimand is E[F_A(m)] - E[F_B(m)], the difference of the frontiers
that searches of as many trials as A and B have, and that reach m, find on average, measured as
these are: with the optimism that Monte Carlo error gives to the best of many. It ends where MI
ends that is possible, `analysis.frontier.possible_information`: more counts as that. The observed
difference estimates it without bias; its error is how far one search's frontier lies from the
average one.

The interval. Bootstrap replicates of the same size do not show that scatter: 63 % of them contain
the very best trial and none a better one. Searches of *half* as many configurations, drawn with
replacement, scatter about as much as whole searches or more, so their standard deviation s(m) is
used: d(m) ± z s(m) at each MI, and d(m) ± c s(m) for all together, c the quantile of
max |d* - mean d*| / s over the curve (sup-t). There is no interval where fewer than `FEWEST`
configurations of a side have that much MI: their best says little of the next search's.

Observed coverage at nominal 90 %, by `python -m benchmarks comparison`, each ± 0.011 or less:

    excess NLL    noise   n = 12         n = 50         n = 500     (pointwise, all MI together)
    exponential   0       0.961, 0.946   0.971, 0.982   0.956, 0.970
    exponential   0.03    0.968, 0.974   0.981, 0.994   0.982, 0.997
    log-normal    0       0.962, 0.941   0.954, 0.964   0.935, 0.973
    log-normal    0.03    0.963, 0.969   0.972, 0.988   0.978, 1.000

(pairs of searches without any band, 2 to 9 of 500 at n = 12, are not counted). So it is
conservative, more so with Monte Carlo error, which the observed NLLs hold once already. Hulls at
n = 50 without noise: 0.989, 0.990 (exponential) and 0.959, 0.977 (log-normal).

At MIs that exactly `FEWEST` configurations of a side reach, where the band is narrowest, it is
0.882 to 0.932 pointwise (± 0.014, 400 pairs, n = 12 and 50, without noise), and the simultaneous
band holds 0.980 and more of them; with more configurations 0.957 and more pointwise.

Half was chosen on the exponential surface and on a gamma one of shape 2, without noise, on 150 to
300 pairs each; the log-normal one was not looked at for that. There resampling as many gave, of
0.9: percentile 0.78 to 0.80, reflected about d 0.60 to 0.71, d minus the centred replicates 0.67
to 0.78, d ± z s 0.77 to 0.86, d ± s times Student's quantile at 5 degrees 0.85 to 0.91, sup-t
0.41 to 0.77. Half as many, d ± z s: 0.93 to 0.97, sup-t 0.92 to 0.97; a third or a quarter: 0.97
and more.

Trials are taken as independent draws; those of an adaptive sampler are not, and no coverage was
measured for them.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.frontier import is_on_frontier
from analysis.membership import Floats
from analysis.resampling import N_REPLICATES, Side, half_searches

FEWEST = 3
_EVEN = 201  # points of the even grid
BAND = ("lower", "upper", "simultaneous_lower", "simultaneous_upper")


class Verdict(NamedTuple):
    """What holds between two MIs.

    `outcome` is "a", "b", "undecided" or "too few", the last where there is no band. `difference`
    has the least and the largest of d there, `at_least` the least |d| that the
    simultaneous band allows, NaN unless decided.
    """

    outcome: str
    mi: tuple[float, float]
    difference: tuple[float, float]
    at_least: float


class Comparison(NamedTuple):
    """A difference curve and what may be said of it.

    `curve` has columns `mi`, `a` and `b` (the best NLL of either side with at least that MI),
    `difference` (a - b, below zero where `a` fits better), and a pointwise and a simultaneous
    band at `level`, NaN where there is none. A staircase holds its value down to the next lower
    `mi`. It is empty where the sides have no MI in common; `covers` has the MI from either
    frontier's lowest to its highest point.
    """

    a: str
    b: str
    curve: pd.DataFrame
    covers: tuple[tuple[float, float], tuple[float, float]]
    verdicts: tuple[Verdict, ...]
    level: float
    hull: bool


def staircase(nll: Floats, mi: Floats, at: Floats) -> Floats:
    """Give the lowest NLL with at least the MI `at`, infinite where no trial has so much.

    `nll` and `mi` are `[replicates, trials]`, `at` is `[grid]` and ascending; the result is
    `[replicates, grid]`.
    """
    best = np.full((len(nll), len(at) + 1), np.inf)
    below = np.searchsorted(at, mi.ravel(), side="right").reshape(mi.shape)
    np.minimum.at(best, (np.arange(len(nll))[:, None], below), nll)
    return np.minimum.accumulate(best[:, ::-1], axis=1)[:, ::-1][:, 1:]


def lower_hull(nll: Floats, mi: Floats, at: Floats) -> Floats:
    """Give the lower convex hull of each replicate's staircase, as `staircase` does.

    It lies on straight lines between trained models: what a mixture of two would be worth.
    """
    result = np.full((len(nll), len(at)), np.inf)
    for of_replicate, x, y in zip(result, mi, nll, strict=True):
        corners = np.array(_corners(x, y)).T
        within = at <= corners[0, -1]
        of_replicate[within] = np.interp(at[within], *corners)
    return result


def _corners(mi: Floats, nll: Floats) -> list[tuple[float, float]]:
    """The corners of one hull by ascending MI (Andrew's monotone chain)."""
    order = np.lexsort((nll, -mi))
    x, y = mi[order], nll[order]
    steps = np.flatnonzero(np.concatenate([[True], y[1:] < np.minimum.accumulate(y)[:-1]]))
    chain: list[tuple[float, float]] = []
    for corner in zip(x[steps][::-1].tolist(), y[steps][::-1].tolist(), strict=True):
        while len(chain) > 1 and not _turns_left(chain[-2], chain[-1], corner):
            chain.pop()
        chain.append(corner)
    return chain


def _turns_left(
    one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]
) -> bool:
    (x1, y1), (x2, y2), (x3, y3) = one, two, three
    return (x2 - x1) * (y3 - y1) > (y2 - y1) * (x3 - x1)


def compare(
    a: Side,
    b: Side,
    *,
    hull: bool = False,
    below: bool = False,
    level: float = 0.9,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> Comparison:
    """Compare two sides, each with at least one point, at equal information.

    The curve is where both frontiers have a point at or below the MI and one at or above it. With
    `below` it begins at 0: below a frontier the best NLL with at least that MI is its lowest, of
    a model that has more MI than asked for. So frontiers that nowhere overlap are compared too.

    Raises `ValueError` for a side without points or a level that is no probability.
    """
    if not len(a.nll) or not len(b.nll):
        raise ValueError("both sides need a point.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; got {level}.")
    sides = (a, b)
    frontiers = [frontier_mi(of) for of in sides]
    (covers_a, covers_b) = [(float(mi.min()), float(mi.max())) for mi in frontiers]
    start = min(0.0, covers_a[0], covers_b[0]) if below else max(covers_a[0], covers_b[0])
    end = min(covers_a[1], covers_b[1])
    # A staircase steps at its points, so with them in the grid nothing is missed between.
    steps = np.concatenate([*frontiers, np.linspace(start, end, _EVEN)])
    grid = np.unique(np.append(steps[(steps >= start) & (steps <= end)], [start, end]))
    grid = grid if start <= end else grid[:0]
    attained = lower_hull if hull else staircase
    best = [attained(of.nll[None], of.mi[None], grid)[0] for of in sides]
    curve = pd.DataFrame({"mi": grid, "a": best[0], "b": best[1], "difference": best[0] - best[1]})
    generator = np.random.default_rng(seed)
    replicates = [
        np.concatenate([attained(*s, grid) for s in half_searches(of, n_replicates, generator)])
        for of in sides
    ]
    curve[list(BAND)] = np.nan
    enough = np.minimum(*[n_reaching(of, grid) for of in sides]) >= FEWEST
    if enough.any():
        drawn = [of_side[:, enough] for of_side in replicates]
        pointwise, together = half_widths(drawn[0], drawn[1], level)
        d = curve["difference"].to_numpy()[enough]
        band = np.column_stack([d - pointwise, d + pointwise, d - together, d + together])
        curve.loc[enough, list(BAND)] = band
    return Comparison(a.name, b.name, curve, (covers_a, covers_b), _verdicts(curve), level, hull)


def frontier_mi(of: Side) -> Floats:
    """Give the MIs of the points on a side's frontier."""
    return of.mi[is_on_frontier(np.column_stack([of.nll, -of.mi]))]


def n_reaching(of: Side, at: Floats) -> NDArray[np.intp]:
    """How many configurations have at least the MI `at`, in any of their seeds."""
    highest = np.full(of.n_configurations, -np.inf)
    np.maximum.at(highest, of.configuration, of.mi)
    return of.n_configurations - np.searchsorted(np.sort(highest), at, side="left")


def half_widths(a: Floats, b: Floats, level: float) -> tuple[Floats, Floats]:
    """Half the widths of the pointwise and the simultaneous band, `[grid]`.

    Replicates in which a side does not reach an MI say nothing there.
    """
    undefined = ~(np.isfinite(a) & np.isfinite(b))
    d = np.ma.masked_array(np.where(undefined, 0.0, a) - np.where(undefined, 0.0, b), undefined)
    mean = d.mean(axis=0).filled(0.0)
    deviation = d.std(axis=0).filled(0.0)
    apart = np.abs(np.where(undefined, 0.0, d.data - mean))
    scaled = np.divide(apart, deviation, out=np.zeros_like(apart), where=deviation > 0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    # Never narrower than the pointwise band, which a quantile of few replicates could be.
    c = max(z, float(np.quantile(scaled.max(axis=1), level)))
    return z * deviation, c * deviation


def _verdicts(curve: pd.DataFrame) -> tuple[Verdict, ...]:
    """Split the overlap into the longest ranges of one outcome."""
    lower, upper = curve["simultaneous_lower"], curve["simultaneous_upper"]
    outcome = np.select(
        [lower.isna(), upper < 0, lower > 0], ["too few", "a", "b"], default="undecided"
    )
    if curve.empty:
        return ()
    found = []
    starts = np.flatnonzero(np.append(True, outcome[1:] != outcome[:-1]))
    for start, stop in zip(starts, [*starts[1:], len(curve)], strict=True):
        part = curve.iloc[start:stop]
        d = part["difference"]
        least = {
            "a": -part["simultaneous_upper"].max(),
            "b": part["simultaneous_lower"].min(),
        }.get(str(outcome[start]), np.nan)
        # A staircase's value at one grid point holds back to the grid point before.
        begins = curve["mi"].iloc[max(int(start) - 1, 0)]
        found.append(
            Verdict(
                str(outcome[start]),
                (float(begins), float(part["mi"].iloc[-1])),
                (float(d.min()), float(d.max())),
                float(least),
            )
        )
    return tuple(found)
