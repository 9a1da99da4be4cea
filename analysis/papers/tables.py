"""Tables of papers: what is published, and the same figures from stored points."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import seeds
from analysis.claims import Arm
from analysis.replicates import Array

PERPLEXITY = "perplexity"
NLL = "NLL per token"
KL = "KL per token"

LARGE_POOL = "MI, whole set"
# The figures of one configuration, by their name in a table.
_OF_SEEDS = {
    "NLL": seeds.NLL,
    "KL": seeds.KL,
    "MI": seeds.BATCH_MI,
    LARGE_POOL: seeds.SET_MI,
    "AU": seeds.ACTIVE_UNITS,
}

TIME, EPOCH_TIME, HOURS, EPOCHS, UPDATES = "time", "per epoch", "hours", "epochs", "updates"


class Figure(NamedTuple):
    """A figure and, where it is a mean over seeds, their standard deviation; else that is NaN."""

    value: float
    deviation: float = math.nan


class Head(NamedTuple):
    """What a figure is called in a table, and how many decimals ours has there.

    A published one has as many as are published, and at least `published`.
    """

    name: str
    decimals: int
    published: int | None = None


class Method(NamedTuple):
    """A method of a table: its published figures by name, which may be none, and its arm here."""

    name: str
    published: Mapping[str, Figure]
    arm: Arm


class Found(NamedTuple):
    """Figures of an arm by name, and the numbers of configurations and seeds behind them.

    `ceilings` has the most that a figure's meter can read, by the figure's name; `caution` says
    what makes the figures less believable.
    """

    figures: Mapping[str, Figure]
    n_configurations: int
    n_seeds: int
    ceilings: Mapping[str, float] = {}
    caution: str | None = None


Points = Mapping[Arm, pd.DataFrame]
Measure = Callable[[Points], Mapping[Arm, Found | str]]


@dataclass(frozen=True)
class Table:
    """A table of a paper, or of ours where no method has a published figure.

    `measure` gives the figures of each arm from its points, those of `analysis.frontier.Frontier`,
    or says why it has none. With `methods_down` a method is a row, else it is a column. `notes`
    are sentences; `file` is the name, without its suffix, that the table is written under.
    """

    number: str
    title: str
    split: str
    heads: tuple[Head, ...]
    methods: tuple[Method, ...]
    measure: Measure
    methods_down: bool = True
    notes: tuple[str, ...] = ()
    file: str = "table"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Give the arms of its methods."""
        return tuple(method.arm for method in self.methods)

    @property
    def is_published(self) -> bool:
        """Say whether there is any published figure to set ours beside."""
        return any(method.published for method in self.methods)

    def found(self, points: Points) -> Mapping[Arm, Found | str]:
        """Measure the arms of the table that have points."""
        given = {arm: points[arm] for arm in self.arms if arm in points and len(points[arm])}
        return self.measure(given) if given else {}


def best(points: Points) -> dict[Arm, Found | str]:
    """Give the figures of each arm's configuration with the lowest NLL, per token."""
    return {
        arm: Found(
            {name: Figure(value) for name, value in best_figures(of_arm).items()},
            of_arm["config_hash"].nunique(),
            of_arm["seed"].nunique(),
        )
        for arm, of_arm in points.items()
    }


def best_figures(points: pd.DataFrame) -> dict[str, float]:
    """Give the figures of the configuration with the lowest NLL, on average over its seeds.

    `points` are in nats per token. The paper's KL is that of the model, E KL(p(z|x) || p(z)): our
    mutual information.
    """
    means = points.groupby("config_hash")[["nll_value", "mi_value"]].mean()
    first = means.sort_values(["nll_value", "mi_value"]).iloc[0]
    nll, mi = float(first["nll_value"]), float(first["mi_value"])
    return {PERPLEXITY: math.exp(nll), NLL: nll, KL: mi}


def over_seeds(points: Points) -> dict[Arm, Found | str]:
    """Give each arm's mean figures over seeds, nats per observation, where it sweeps nothing.

    An arm with several configurations has none: which of them a table would mean is not said.
    """
    return _means(_OF_SEEDS, points)


def means(quantities: Mapping[str, seeds.Quantity]) -> Measure:
    """Give a measure like `over_seeds`, of other figures by the name that they have in a table."""
    return partial(_means, quantities)


def _means(quantities: Mapping[str, seeds.Quantity], points: Points) -> dict[Arm, Found | str]:
    return {
        arm: _single(of_arm) or _of_seeds(quantities, of_arm) for arm, of_arm in points.items()
    }


def _of_seeds(quantities: Mapping[str, seeds.Quantity], points: pd.DataFrame) -> Found:
    figures = {name: _figure(_numbers(points[q.column])) for name, q in quantities.items()}
    ceilings = {
        name: _figure(_numbers(points[quantity.ceiling])).value
        for name, quantity in quantities.items()
        if quantity.ceiling is not None
    }
    return Found(figures, 1, points["seed"].nunique(), ceilings)


def at_information(heads: Mapping[str, float]) -> Measure:
    """Give a measure of an arm's frontier: the lowest NLL at an MI of at least so many nats.

    Both per observation, and of the model; `heads` has the MI by the name of its figure. A
    configuration's figures are means over its seeds. Where none has as much MI there is no figure.
    """
    return partial(_at_information, heads)


def _at_information(heads: Mapping[str, float], points: Points) -> dict[Arm, Found | str]:
    found: dict[Arm, Found | str] = {}
    for arm, of_arm in points.items():
        figures = of_arm[["nll", "mi"]].astype("float64").groupby(of_arm["config_hash"]).mean()
        lowest = {
            name: Figure(float(figures["nll"][figures["mi"] >= least].min()))
            for name, least in heads.items()
        }
        found[arm] = Found(lowest, len(figures), of_arm["seed"].nunique())
    return found


def costs(reference: Arm) -> Measure:
    """Give a measure of what training took: relative to the mean of `reference`, and in all.

    `TIME` and `EPOCH_TIME` are ratios of seconds, of the run and of an epoch, `UPDATES` one of
    parameter updates; `HOURS` and `EPOCHS` are those of the run. Where the trials ran on several
    machines there are no ratios of seconds; where they ran at the same time there is a caution.
    """
    return partial(_costs, reference)


def _costs(reference: Arm, points: Points) -> dict[Arm, Found | str]:
    spent = {arm: _spent(of_arm) for arm, of_arm in points.items() if not _single(of_arm)}
    alike = seeds.on_several_machines(list(points.values())) is None
    caution = seeds.trained_together(list(points.values()))
    base = {name: _figure(values).value for name, values in spent.get(reference, {}).items()}
    found: dict[Arm, Found | str] = {}
    for arm, of_arm in points.items():
        if why := _single(of_arm):
            found[arm] = why
            continue
        figures = {name: _figure(values) for name, values in spent[arm].items()}
        for name, compares in ((TIME, alike), (EPOCH_TIME, alike), (UPDATES, True)):
            whole = base.get(name, math.nan) if compares else math.nan
            figures[name] = Figure(*(number / whole for number in figures[name]))
        found[arm] = Found(figures, 1, of_arm["seed"].nunique(), caution=caution)
    return found


def _spent(points: pd.DataFrame) -> dict[str, Array]:
    seconds = seeds.seconds(points, "run")
    return {
        TIME: seconds,
        EPOCH_TIME: seeds.seconds(points, "epoch"),
        HOURS: seconds / 3600,
        EPOCHS: _numbers(points["epochs"]),
        UPDATES: _numbers(points["updates"]),
    }


def _single(points: pd.DataFrame) -> str | None:
    """Say why an arm has no place in a table of single configurations."""
    if (n := points["config_hash"].nunique()) > 1:
        return f"{n} configurations; the table is of a single one"
    return None


def _numbers(values: pd.Series) -> Array:
    return values.to_numpy(np.float64, na_value=np.nan)


def _figure(values: Array) -> Figure:
    known = values[np.isfinite(values)]
    if not len(known):
        return Figure(math.nan)
    deviation = float(known.std(ddof=1)) if len(known) > 1 else math.nan
    return Figure(float(known.mean()), deviation)
