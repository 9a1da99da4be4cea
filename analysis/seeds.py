"""What papers say of single configurations that were each trained with several seeds.

The statements here are `analysis.claims.Statement`s about arms that sweep nothing. Seeds are the
replicates, and the intervals those of Welch's t (1947), "The generalization of Student's problem
when several different population variances are involved", or of Student's t over pairs of trials
with one seed: the scatter over seeds holds that of training and of the evaluation's Monte Carlo
draws.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from analysis.claims import Arm, Measured, Sampled
from analysis.frontier import SMALL_ESS
from analysis.intervals import mean
from analysis.replicates import LEVEL, Array

MIN_SEEDS = 3  # per arm; fewer say hardly anything of their scatter
NEAR_CEILING = 0.9  # of what a meter can read


class Quantity(NamedTuple):
    """A stored figure, what it is measured in, and the most that its meter can read.

    `column` and `ceiling` are columns of the stored rows; a share or a count has no unit. `meter`
    is that of `evaluation.meters` which measures it, where an experiment has to ask for it.
    """

    name: str
    column: str
    ceiling: str | None = None
    unit: str = "nats per observation"
    meter: str | None = None

    @property
    def full_name(self) -> str:
        """Give its name and unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def missing(self) -> str:
        """Say that too little of it is stored, and how to have it measured."""
        how = f"; run it with --set trial.evaluation.meters.{self.meter}={{}}"
        return f"too few trials have a stored {self.name}{how if self.meter else ''}"

    def __str__(self) -> str:
        """Give its name."""
        return self.name


NLL = Quantity("NLL", "nll")
KL = Quantity("KL", "kl")
BATCH_MI = Quantity("MI as published", "mi_q_batch", "mi_q_batch_ceiling")
SET_MI = Quantity("MI of the whole set", "mi_q", "mi_q_ceiling")
MODEL_MI = Quantity("MI of the model", "mi")
ACTIVE_UNITS = Quantity("number of active units", "active_units", unit="")
COLLAPSED = Quantity("share of collapsed dimensions", "collapsed_share", unit="", meter="collapse")
PROBE = Quantity("accuracy of the linear probe", "probe_accuracy", unit="", meter="probes")
NEIGHBOURS = Quantity("accuracy of k-NN", "knn_accuracy", unit="", meter="probes")
KL_WEIGHT = Quantity("weight of the KL", "kl_weight", unit="")
BOUND = Quantity("bound of the contrast", "critic_bound", "critic_ceiling")

_BY_IMPORTANCE = (NLL, MODEL_MI)  # estimated by importance sampling


class OfSeeds(ABC):
    """A statement that is measured by the seeds of one configuration an arm."""

    @property
    def is_of_two_samples(self) -> bool:
        """Say whether the interval is Welch's, of two samples, and not Student's, of one."""
        return False

    @abstractmethod
    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the number from its arms in order, or say why it cannot be measured."""

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:  # noqa: ARG002
        """Say what makes the figures less believable."""
        return ()


@dataclass(frozen=True)
class _OfMeans(OfSeeds):
    """A statement about the difference of two arms' means over seeds.

    Where it is `paired`, the replicates are the differences between trials of one seed: arms whose
    models are alike start from the same weights and see the same batches, so most of what tells
    seeds apart is in both. Without such likeness it would cost degrees of freedom for nothing.
    """

    a: Arm
    b: Arm
    quantity: Quantity
    paired: bool = field(default=False, kw_only=True)

    @property
    def is_of_two_samples(self) -> bool:
        """Say whether seeds are compared as two samples."""
        return not self.paired

    @property
    def pairing(self) -> str:
        """Say how seeds are compared, where that is not as two samples."""
        return ", seed by seed" if self.paired else ""

    def difference(self, arms: Sequence[Sampled], region: tuple[float, float]) -> Measured | str:
        """Measure the mean of A minus the mean of B."""
        if self.paired:
            of_seed = [known(arm.points, self.quantity.column) for arm in arms]
            shared = sorted(set.intersection(*(set(numbers.index) for numbers in of_seed)))
            a, b = (numbers.loc[shared].to_numpy() for numbers in of_seed)
        else:
            a, b = (stored(arm.points, self.quantity.column) for arm in arms)
        if len(a) < MIN_SEEDS or len(b) < MIN_SEEDS:
            return self.quantity.missing
        if not self.quantity.unit and len(alike := {*a, *b}) == 1:
            return (
                f"the {self.quantity} is {alike.pop():g} in every trial of both: nothing to tell"
            )
        name = f"difference of the mean {self.quantity.full_name}{self.pairing}"
        return Measured(name, *(mean(a - b) if self.paired else welch(a, b)), region)

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:
        """Point out meters near their ceiling, and NLLs of small effective sample sizes."""
        points = pd.concat([arm.points for arm in arms])
        found = []
        if (column := self.quantity.ceiling) is not None:
            ceiling = float(points[column].astype("float64").mean())
            reads = max(float(stored(arm.points, self.quantity.column).mean()) for arm in arms)
            if reads >= NEAR_CEILING * ceiling:
                found.append(
                    f"the {self.quantity} cannot exceed {ceiling:.3g} nats and reads {reads:.3g}: "
                    "it saturates, and hides by how much the arms differ"
                )
        return (*found, *weak_samples(points, self.quantity))


@dataclass(frozen=True)
class Greater(_OfMeans):
    """A's mean over seeds is greater than B's, by more than `by`."""

    by: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        margin = f" by more than {self.by:g} nats" if self.by else ""
        return (
            f"the {self.quantity} of {self.a} is greater than that of {self.b}{margin}"
            f"{self.pairing}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the difference of two means."""
        return self.difference(arms, (self.by, math.inf))


@dataclass(frozen=True)
class NotGreater(_OfMeans):
    """A's mean over seeds is at most B's, up to a margin: it is less than `within` above it.

    That two means are equal cannot be shown from seeds; that one is hardly greater can.
    """

    within: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"the {self.quantity} of {self.a} is less than {self.within:g} nats above that of "
            f"{self.b}{self.pairing}"
        )

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the difference of two means."""
        return self.difference(arms, (-math.inf, self.within))


Per = Literal["epoch", "run"]


@dataclass(frozen=True)
class Costs(OfSeeds):
    """Training A takes from `at_least` to `at_most` times as long as training B, on one machine.

    Seconds of a whole run, or `per` epoch: a pass of the outer steps over the training data. The
    number is the ratio of geometric means over seeds.
    """

    a: Arm
    b: Arm
    at_least: float = 0.0
    at_most: float = math.inf
    per: Per = "epoch"

    @property
    def is_of_two_samples(self) -> bool:
        """Say whether seeds are compared as two samples."""
        return True

    def __str__(self) -> str:
        """Say it in words."""
        least = [f"at least {self.at_least:g}"] * (self.at_least > 0)
        most = [f"at most {self.at_most:g}"] * math.isfinite(self.at_most)
        what = "an epoch" if self.per == "epoch" else "the whole training"
        return f"{what} of {self.a} takes {' and '.join([*least, *most])} times that of {self.b}"

    def measure(self, arms: Sequence[Sampled]) -> Measured | str:
        """Measure the ratio of two geometric means."""
        if differs := on_several_machines([arm.points for arm in arms]):
            return differs
        a, b = (seconds(arm.points, self.per) for arm in arms)
        a, b = a[a > 0], b[b > 0]
        if len(a) < MIN_SEEDS or len(b) < MIN_SEEDS:
            return "too few trials have a stored cost"
        what = "an epoch" if self.per == "epoch" else "training"
        ratio, low, high = map(math.exp, welch(np.log(a), np.log(b)))
        return Measured(
            f"ratio of the mean seconds of {what}", ratio, low, high, (self.at_least, self.at_most)
        )

    def cautions(self, arms: Sequence[Sampled]) -> tuple[str, ...]:
        """Point out trials that ran beside one another."""
        beside = trained_together([arm.points for arm in arms])
        return () if beside is None else (beside,)


def seconds(points: pd.DataFrame, per: Per) -> Array:
    """Give `[trials]`: the seconds of training, of an epoch or of the run; NaN where unknown."""
    spent = points["train_seconds"].to_numpy(np.float64, na_value=np.nan)
    if per == "run":
        return spent
    epochs = points["epochs"].to_numpy(np.float64, na_value=np.nan)
    return spent / np.where(epochs > 0, epochs, np.nan)


def on_several_machines(arms: Sequence[pd.DataFrame]) -> str | None:
    """Say so where trials ran on more than one machine or device."""
    places = pd.concat([points[["device", "host"]] for points in arms])
    if len(places.drop_duplicates()) > 1:
        return "the trials ran on several machines or devices, whose times do not compare"
    return None


def trained_together(arms: Sequence[pd.DataFrame]) -> str | None:
    """Say so where a trial trained while another ran on its machine, and slowed it.

    A trial trains, is evaluated, and then has its row made, at `created_at`; trials of other
    experiments and time spent before an interruption are not seen.
    """
    points = pd.concat(arms)
    points = points[points[["train_seconds", "eval_seconds"]].notna().all(axis=1)]
    spent = {
        name: pd.to_timedelta(points[f"{name}_seconds"].astype("float64"), unit="s").to_numpy()
        for name in ("train", "eval")
    }
    row_made = pd.to_datetime(points["created_at"], utc=True).dt.tz_localize(None).to_numpy()
    trained = row_made - spent["eval"]
    started = trained - spent["train"]
    host = points["host"].to_numpy()
    others = ~np.eye(len(points), dtype=bool) & (host[:, None] == host)
    beside = others & (started[:, None] < row_made) & (started < trained[:, None])
    if not (n := int(beside.any(axis=1).sum())):
        return None
    return (
        f"{n} of {len(points)} trials trained while another ran on the same machine, which their "
        "seconds show"
    )


def why_no_seeds(points: pd.DataFrame) -> str | None:
    """Say why an arm's points are not several seeds of one configuration, if so."""
    n_configurations = points["config_hash"].nunique()
    if n_configurations > 1:
        return f"{n_configurations} configurations; a single one is needed"
    if (n_seeds := points["seed"].nunique()) < MIN_SEEDS:
        return f"{n_seeds} seeds; {MIN_SEEDS} are needed"
    return None


def welch(a: Array, b: Array, level: float = LEVEL) -> tuple[float, float, float]:
    """Give the difference of two means and the ends of its interval by Welch's t.

    `a` and `b` are `[seeds]`, of at least three each. Where neither scatters, such as a count that
    is the same for every seed, the interval is the difference itself.

    >>> difference, low, high = welch(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    >>> round(difference, 3), round(low, 3), round(high, 3)
    (0.0, -2.267, 2.267)
    """
    difference = float(a.mean() - b.mean())
    errors = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    total = float(errors.sum())
    if total == 0.0:
        return difference, difference, difference
    from scipy.special import stdtrit  # takes a while, and few commands need it

    degrees = total**2 / float((errors**2 / [len(a) - 1, len(b) - 1]).sum())
    half = float(stdtrit(degrees, 0.5 + level / 2)) * math.sqrt(total)
    return difference, difference - half, difference + half


def weak_samples(points: pd.DataFrame, quantity: Quantity) -> tuple[str, ...]:
    """Point out figures that rest on small effective sample sizes."""
    weak = int((points["ess"].astype("float64") < SMALL_ESS).sum())
    if quantity not in _BY_IMPORTANCE or not weak:
        return ()
    return (
        f"{weak} of {len(points)} trials have an effective sample size below {SMALL_ESS:g}, so "
        f"that their {quantity} is too high",
    )


def stored(points: pd.DataFrame, column: str) -> Array:
    """Give the finite values of a column of the rows."""
    return known(points, column).to_numpy()


def known(points: pd.DataFrame, column: str) -> pd.Series:
    """Give the finite values of a column of the rows, by seed."""
    values = pd.Series(
        points[column].to_numpy(np.float64, na_value=np.nan), points["seed"].to_numpy()
    )
    return values[np.isfinite(values.to_numpy())]
