"""How much each swept knob matters for NLL and MI among the trials of an arm.

A random forest, of extremely randomised trees, learns a figure from the knobs of an arm's
configurations (their seeds averaged).
A knob's importance is what is lost without it: in configurations that the forest has not seen, its
value is replaced by those of other configurations, and the squared error grows. Half of that
growth over the figure's variance is the share of the variance that depends on the knob, alone or
together with others (the total Sobol index where knobs are independent and the forest is right:
Jansen, 1999, "Analysis of variance designs for model output"). Shares can therefore sum to more
than 1.

What to know before believing it. An importance is no more than what the forest understood: its
cross-validated R² comes along, and below `EXPLAINED` importances are not to be read. It is about
the values that were tried, which a guided search crowds where it found good trials, and not about
the range. A single outlying trial can dominate a variance.

Needs scikit-learn.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Verdict = Literal["matters", "not shown to matter", "not explained", "not enough trials"]

MIN_CONFIGURATIONS = 10
EXPLAINED = 0.3  # R²
FIGURES: Mapping[str, str] = {"NLL": "nll_value", "MI": "mi_value"}
_N_FOLDS = 5
_N_REPLACEMENTS = 30
_N_TREES = 100
_CLEAR = 2.0  # standard errors above 0


class Importance(NamedTuple):
    """How much a knob matters for a figure in an arm.

    `importance` is a share of the figure's variance, `standard_error` its standard error over
    configurations, `r2` the forest's cross-validated R²; NaN where there are too few trials.
    """

    label: str
    figure: str
    knob: str
    importance: float
    standard_error: float
    r2: float
    n_configurations: int
    verdict: Verdict


def swept_knobs(points: pd.DataFrame) -> list[str]:
    """Give the columns that are knobs, of which points have several values."""
    names = [str(name) for name in points if "." in str(name)]
    return [name for name in names if points[name].nunique() > 1]


def is_numeric(values: pd.Series) -> bool:
    """Say whether a knob is a number (a flag is none)."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def importances(points: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Give an `Importance` a row: for every label, figure and swept knob, most important first.

    `points` are those of `analysis.frontier.Frontier`. The same points, in whatever order, give
    the same. Raises `ModuleNotFoundError` where scikit-learn is missing.
    """
    found: list[Importance] = []
    for label, of_label in points.groupby("label", sort=True):
        knobs = swept_knobs(of_label)
        figures = list(FIGURES.values())
        means = of_label.groupby("config_hash")[figures].mean()
        inputs = of_label.groupby("config_hash")[knobs].first().loc[means.index]
        coded = np.column_stack([_coded(inputs[knob]) for knob in knobs]) if knobs else None
        for figure, column in FIGURES.items():
            if coded is None:
                continue
            values = means[column].to_numpy(np.float64)
            rows = _of_figure(str(label), figure, knobs, coded, values, seed)
            found += sorted(rows, key=lambda row: -np.nan_to_num(row.importance))
    return pd.DataFrame(found, columns=list(Importance._fields))


def _of_figure(
    label: str, figure: str, knobs: Sequence[str], inputs: Array, values: Array, seed: int
) -> list[Importance]:
    n = len(values)
    if n < MIN_CONFIGURATIONS or not values.var():
        nan = float("nan")
        few: Verdict = "not enough trials" if n < MIN_CONFIGURATIONS else "not explained"
        return [Importance(label, figure, knob, nan, nan, nan, n, few) for knob in knobs]
    squared, growth = _errors(inputs, values, seed)
    variance, deviation = values.var(), (values - values.mean()) ** 2
    r2 = 1 - squared.mean() / variance
    rows = []
    for knob, grown in zip(knobs, growth, strict=True):
        importance = grown.mean() / (2 * variance)
        # Each configuration counts twice in the growth, which pairs it with others as replaced and
        # as replacement, and once in the variance below it: the influence function of the ratio.
        influence = (grown - importance * deviation) / variance
        error = influence.std(ddof=1) / np.sqrt(n)
        verdict: Verdict = "matters" if importance > _CLEAR * error else "not shown to matter"
        if r2 < EXPLAINED:
            verdict = "not explained"
        rows.append(
            Importance(label, figure, knob, float(importance), float(error), float(r2), n, verdict)
        )
    return rows


def _errors(inputs: Array, values: Array, seed: int) -> tuple[Array, Array]:
    """Give squared errors `[trials]` of held-out trials, and their growth `[knobs, trials]`.

    A knob that a trial does not have cannot be replaced there, nor can its replacement come from
    a trial without it.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng(seed)
    n, n_knobs = inputs.shape
    fold = rng.permutation(np.arange(n) % min(_N_FOLDS, n))
    squared, growth = np.zeros(n), np.zeros((n_knobs, n))
    for held in (np.flatnonzero(fold == k) for k in range(fold.max() + 1)):
        seen = np.setdiff1d(np.arange(n), held)
        forest = ExtraTreesRegressor(_N_TREES, random_state=seed)
        forest.fit(inputs[seen], values[seen])
        squared[held] = (forest.predict(inputs[held]) - values[held]) ** 2
        for knob in range(n_knobs):
            has = held[~np.isnan(inputs[held, knob])]
            others = inputs[~np.isnan(inputs[:, knob]), knob]
            drawn = rng.choice(others, min(_N_REPLACEMENTS, len(others)), replace=False)
            if not len(has):
                continue
            replaced = np.repeat(inputs[has][None], len(drawn), axis=0)
            replaced[:, :, knob] = drawn[:, None]
            predicted = forest.predict(replaced.reshape(-1, n_knobs)).reshape(len(drawn), -1)
            growth[knob, has] = ((predicted - values[has]) ** 2).mean(axis=0) - squared[has]
    return squared, growth


def _coded(values: pd.Series) -> Array:
    """Give a knob as numbers: choices by their order in the alphabet, NaN where inactive."""
    if is_numeric(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    codes, _ = pd.factorize(values.astype("string"), sort=True)
    return np.where(codes < 0, np.nan, codes)
