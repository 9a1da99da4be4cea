"""Frontiers in single numbers, on moocore, and what a budget buys of them.

NLL and MI are both nats and count alike. Every indicator is about the sides of a comparison
together: their reference is made of all of them.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from types import MappingProxyType
from typing import Any, NamedTuple

import moocore
import numpy as np
import pandas as pd

from analysis.comparison import FEWEST
from analysis.frontier import is_on_frontier
from analysis.membership import Floats
from analysis.resampling import N_REPLICATES, Side, half_searches

# Which direction is better.
INDICATORS: Mapping[str, str] = MappingProxyType(
    {"hypervolume": "higher", "IGD+": "lower", "additive epsilon": "lower", "R2": "lower"}
)
BUDGETS: Mapping[str, str] = MappingProxyType(
    {
        "trials": "trials ended",
        "gradient_evaluations": "gradient evaluations (samples of z differentiated in training)",
        "encoder_passes": "encoder passes (observations read in training)",
        "decoder_passes": "decoder passes (samples of z scored in training)",
        "seconds": "seconds of training and evaluation",
    }
)
_PASSES = ("encoder_passes", "decoder_passes")  # which older rows do not have
MARGIN = 0.1  # of the frontiers' range of NLL
_LEAST_MARGIN = 0.01  # nats, where that range is nothing


class Reference(NamedTuple):
    """What all sides are measured against; NLL and MI in nats.

    The hypervolume is what lies between a frontier and `nadir`: the highest NLL on any side's
    frontier plus `MARGIN` of the range of NLL on them, and no MI. A trial far astray is on no
    frontier and so does not set it. IGD+ and additive epsilon are taken against `front`,
    `[points, 2]`, the frontier of all sides together. R2 is taken from `ideal`, the lowest NLL
    and the highest MI.
    """

    nadir: tuple[float, float]
    ideal: tuple[float, float]
    front: Floats


def reference(*sides: Side) -> Reference:
    """Make the common reference of all sides, each with at least one point."""
    together = np.concatenate([_front(of.nll, of.mi) for of in sides])
    lowest, highest = together[:, 0].min(), together[:, 0].max()
    margin = max(MARGIN * (highest - lowest), _LEAST_MARGIN)
    front = np.unique(_front(together[:, 0], together[:, 1]), axis=0)
    return Reference(
        (float(highest + margin), 0.0), (float(lowest), float(together[:, 1].max())), front
    )


def indicators(nll: Floats, mi: Floats, against: Reference) -> Floats:
    """Give the `INDICATORS` of one set of trials, `[trials]` each, in their order."""
    losses = moocore.filter_dominated(np.column_stack([nll, -mi]))
    front = against.front * (1, -1)
    # With Monte Carlo error added, a point can be better than the ideal, from which R2 would
    # count it as worse.
    ideal = np.array([against.ideal[0], -against.ideal[1]])
    return np.array(
        [
            moocore.hypervolume(losses, ref=[against.nadir[0], -against.nadir[1]]),
            moocore.igd_plus(losses, ref=front),
            moocore.epsilon_additive(losses, ref=front),
            moocore.r2_exact(np.maximum(losses, ideal), ref=ideal),
        ]
    )


def indicator_table(
    a: Side, b: Side, *, level: float = 0.9, n_replicates: int = N_REPLICATES, seed: int = 0
) -> pd.DataFrame:
    """Compare the indicators of two sides, a row for each of `INDICATORS`.

    Columns `indicator`, `better` ("higher" or "lower") and, for `a`, `b` and `difference`
    (a - b), the value and its interval, e.g. `a`, `a_lower`, `a_upper`. The intervals and what
    they are for are those of `analysis.comparison`: the value ± z times the standard deviation
    over searches of half as many configurations. The reference stays as it is. Observed coverage
    of the difference of hypervolumes at nominal 90 % (`python -m benchmarks comparison`): 0.96 to
    0.98 ± 0.02 at 12 and 50 trials; that of the others was not measured.
    """
    against = reference(a, b)
    z = NormalDist().inv_cdf((1 + level) / 2)
    generator = np.random.default_rng(seed)
    table: dict[str, Any] = {"indicator": list(INDICATORS), "better": list(INDICATORS.values())}
    deviations = []
    for name, of in (("a", a), ("b", b)):
        replicates = [
            indicators(nll[present], mi[present], against)
            for piece in half_searches(of, n_replicates, generator)
            for nll, mi, present in zip(*piece, np.isfinite(piece[0]), strict=True)
        ]
        deviations.append(np.std(replicates, axis=0))
        table[name] = indicators(of.nll, of.mi, against)
        # None of them is ever below zero.
        table[f"{name}_lower"] = np.maximum(table[name] - z * deviations[-1], 0.0)
        table[f"{name}_upper"] = table[name] + z * deviations[-1]
    table["difference"] = table["a"] - table["b"]
    width = z * np.hypot(*deviations)
    table["difference_lower"] = table["difference"] - width
    table["difference_upper"] = table["difference"] + width
    return pd.DataFrame(table)


def hypervolume_table(
    sides: Sequence[Side],
    baseline: str,
    *,
    level: float = 0.9,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Give the hypervolume of several sides against one reference, a row for each.

    Columns `label`, `hypervolume` and `difference`, to that of the side named `baseline`, which
    has none, each with `_lower` and `_upper` as in `indicator_table`. Each interval is for its
    side or its pair alone; there is none where a side has fewer than `FEWEST` configurations.
    """
    against = reference(*sides)
    z = NormalDist().inv_cdf((1 + level) / 2)
    values, deviations = {}, {}
    for number, of in enumerate(sides):
        generator = np.random.default_rng([seed, number])
        replicates = [
            _hypervolume(nll[present], mi[present], against)
            for piece in half_searches(of, n_replicates, generator)
            for nll, mi, present in zip(*piece, np.isfinite(piece[0]), strict=True)
        ]
        values[of.name] = _hypervolume(of.nll, of.mi, against)
        few = of.n_configurations < FEWEST
        deviations[of.name] = np.nan if few else float(np.std(replicates))
    rows = []
    for name, value in values.items():
        width = z * deviations[name]
        difference = np.nan if name == baseline else value - values[baseline]
        both = z * math.hypot(deviations[name], deviations[baseline])
        rows.append(
            {
                "label": name,
                "hypervolume": value,
                "hypervolume_lower": float(np.maximum(value - width, 0.0)),
                "hypervolume_upper": value + width,
                "difference": difference,
                "difference_lower": difference - both,
                "difference_upper": difference + both,
            }
        )
    return pd.DataFrame(rows)


def _hypervolume(nll: Floats, mi: Floats, against: Reference) -> float:
    losses = np.column_stack([nll, -mi])
    return float(moocore.hypervolume(losses, ref=[against.nadir[0], -against.nadir[1]]))


def gradient_evaluations(rows: pd.DataFrame) -> pd.Series:
    """Give the samples whose gradient was taken, NaN where unknown.

    `rows` are stored final rows. Where they have `gradient_evaluations` these were counted. In
    others, which are older, it is updates × batch size × K by `step`, `updates`, those of inner
    loops too, which are the steps where they are null, and `trial`, the resolved trial as JSON.
    K is then `objective.samples`, the larger where two terms have their own, and 1 where there is
    none; gradients beside those of updates, such as of the inner steps of SA-VAE, are left out.
    """
    updates = rows["updates"].fillna(rows["step"])
    derived = pd.Series(
        [
            n_updates * _samples_per_step(trial)
            for n_updates, trial in zip(updates, rows["trial"], strict=True)
        ],
        index=rows.index,
        dtype=np.float64,
    )
    counted = rows.get("gradient_evaluations")
    return derived if counted is None else counted.astype(np.float64).fillna(derived)


def _samples_per_step(trial: object) -> float:
    if not isinstance(trial, str):
        return np.nan
    resolved = json.loads(trial)
    samples = resolved.get("objective", {}).get("samples", 1)
    if isinstance(samples, dict):
        samples = max(samples["log_evidence"], samples["kl"])
    return float(samples * resolved.get("training", {}).get("batch_size", np.nan))


def budget_curve(trials: pd.DataFrame, against: Reference) -> pd.DataFrame:
    """Give the hypervolume after each trial that ended, in the order in which they ended.

    `trials` has a row per ended trial, whatever became of it, since all cost: `created_at`,
    `trial_id`, the `BUDGETS`, of which `trials` is not there, and `nll_value` and `mi_value`, NaN
    for one that is no point. Gives the columns `BUDGETS`, summed so far, and `hypervolume`; a cost
    that is unknown counts as none. A budget is left out where a point's cost in it is unknown, but
    for gradient evaluations and seconds.
    """
    ordered = trials.sort_values(["created_at", "trial_id"], kind="stable")
    curve = pd.DataFrame({"trials": np.arange(1, len(ordered) + 1, dtype=np.float64)})
    points = ordered["nll_value"].notna()
    for name in list(BUDGETS)[1:]:
        if name in _PASSES and (name not in ordered or ordered.loc[points, name].isna().any()):
            continue
        curve[name] = ordered[name].astype(np.float64).fillna(0.0).cumsum().to_numpy()
    losses = np.column_stack([ordered["nll_value"], -ordered["mi_value"]]).astype(np.float64)
    nadir = [against.nadir[0], -against.nadir[1]]
    front = np.empty((0, 2))
    reached = np.zeros(len(losses))
    volume = 0.0
    for number, point in enumerate(losses):
        if np.isfinite(point).all() and not (front <= point).all(axis=1).any():
            front = np.vstack([front[~(front >= point).all(axis=1)], point])
            volume = moocore.hypervolume(front, ref=nadir)
        reached[number] = volume
    return curve.assign(hypervolume=reached)


def common_budgets(curves: Iterable[pd.DataFrame]) -> list[str]:
    """Give those of the `BUDGETS` that every curve of `budget_curve` has."""
    columns = [set(curve.columns) for curve in curves]
    return [name for name in BUDGETS if all(name in some for some in columns)]


def at_budget(curve: pd.DataFrame, budget: str, amount: float) -> float:
    """Give the hypervolume that `amount` of one of the `BUDGETS` bought; 0 before any trial."""
    within = curve.loc[curve[budget] <= amount, "hypervolume"]
    return float(within.iloc[-1]) if len(within) else 0.0


def _front(nll: Floats, mi: Floats) -> Floats:
    """The frontier of some points, `[points, 2]`."""
    on = is_on_frontier(np.column_stack([nll, -mi]))
    return np.column_stack([nll, mi])[on]
