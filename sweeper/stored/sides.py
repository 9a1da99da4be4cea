"""The sides of a comparison: finding them, naming them, and what forbids to compare them.

Needs neither torch nor Ray, so it works wherever results can be read.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import pandas as pd

from analysis import frontier as pareto
from analysis.axes import COLUMNS as AXIS_COLUMNS
from analysis.axes import axis_of
from analysis.indicators import gradient_evaluations
from analysis.plots.provenance import ways_of
from sweeper.errors import SweeperError
from sweeper.located import nearest
from sweeper.results import read_runs
from sweeper.roots import Storage, find_run
from sweeper.runs import RunDirectory

_NEEDED = (
    *pareto.COLUMNS,
    *("config_hash", "nll_mi_covariance", "created_at", "train_seconds", "eval_seconds", "trial"),
    "nll_is_bound",
    *("updates", "gradient_evaluations", "encoder_passes", "decoder_passes"),
    *AXIS_COLUMNS,
)
_MUST_AGREE = ("data_sha256", "split", "scale")
_INDEPENDENT = ("random", "qmc")  # samplers whose proposals do not depend on earlier trials
EXACT = "exact"  # figures of enumerated models
BOUND = "upper bounds of NLL"  # of models whose codes are too many


class Arm(NamedTuple):
    """One side: the final rows of an arm of a run."""

    run: RunDirectory
    arm: str
    rows: pd.DataFrame


class Sides(NamedTuple):
    """The sides that are named, and the arms among those without a trial that has ended.

    `whole` tells whether they are all of one run.
    """

    arms: list[Arm]
    without_trials: list[str]
    whole: bool


def find_sides(names: Sequence[str], storage: Storage, damaged: list[str] | None) -> Sides:
    """Find the sides that are named by a run, for all its arms, or by `RUN:ARM`.

    They are in the order of the names, and several arms of a run in that of its experiment, but
    where there are two sides in all, by their names. Raises `SweeperError` for names of nothing,
    for fewer than two sides, and for a side that is named twice.
    """
    named: list[tuple[str, Arm]] = []
    without = []
    for name in names:
        run, arm = _found(name, storage)
        rows, arms = _read(run, damaged)
        if arm is not None and arm not in arms:
            hint = nearest(arm, arms) or f"; there are {', '.join(arms)}"
            raise SweeperError(f"{run.location} has no ended trial of an arm {arm!r}{hint}")
        if len(names) == 1 and (arm is not None or len(arms) < 2):
            raise SweeperError(
                f"{name} is one side; name two of {_choices(run, arms)}"
                if len(arms) > 1
                else f"{name} has one arm; name another run to compare it with"
            )
        if arm is None:
            planned = list(run.document().get("arms") or [])
            without += [other for other in planned if other not in arms]
            if len(names) > 1 or len(arms) > 2:
                arms = sorted(arms, key=planned.index) if set(arms) <= set(planned) else arms
        chosen = arms if arm is None else [arm]
        named += [(name, Arm(run, of, rows[rows["arm"] == of])) for of in chosen]
    for (first, one), (second, other) in combinations(named, 2):
        if (one.run.path.resolve(), one.arm) == (other.run.path.resolve(), other.arm):
            raise SweeperError(
                f"{first} and {second} are the same arm; name another one"
                if len(named) == 2
                else f"{first} and {second} both name {one.run.path.name}:{one.arm}; name it once"
            )
    return Sides([side for _, side in named], without, len(names) == 1)


def _found(name: str, storage: Storage) -> tuple[RunDirectory, str | None]:
    """A run by its name, or a run and an arm by `RUN:ARM`; either may hold colons."""
    try:
        return find_run(name, storage), None
    except SweeperError:
        splits = [(name[: colon.start()], name[colon.end() :]) for colon in re.finditer(":", name)]
    for run, arm in splits:
        try:
            return find_run(run, storage), arm
        except SweeperError:
            continue
    return find_run(splits[0][0] if splits else name, storage), None  # which says what is wrong


def _read(run: RunDirectory, damaged: list[str] | None) -> tuple[pd.DataFrame, list[str]]:
    rows = read_runs([run.path], _NEEDED, final_only=True, damaged=damaged)
    if rows.empty:
        raise SweeperError(
            f"{run.location}: no trial has ended yet, so there is nothing to compare"
        )
    return rows, sorted(rows["arm"].unique())


def _choices(run: RunDirectory, arms: Sequence[str]) -> str:
    return ", ".join(f"{run.path.name}:{arm}" for arm in arms)


def label_sides(arms: Sequence[Arm]) -> list[str]:
    """Give the arms, with their runs where that tells them apart."""
    if len({of.arm for of in arms}) == len(arms):
        return [of.arm for of in arms]
    paths = {of.run.path.resolve() for of in arms}
    same_name = len({of.run.path.name for of in arms}) < len(paths)
    return [f"{of.run.path if same_name else of.run.path.name}: {of.arm}" for of in arms]


def find_baseline(name: str, arms: Sequence[Arm], labels: Sequence[str]) -> int:
    """Find which side `--against` means: an arm's name, `RUN:ARM`, or the run of a single side.

    Raises `SweeperError` where that is none of the sides, or several.
    """
    ways = [
        {label, of.arm, of.run.path.name, str(of.run.path), of.run.location}
        | {f"{run}:{of.arm}" for run in (of.run.path.name, str(of.run.path), of.run.location)}
        for of, label in zip(arms, labels, strict=True)
    ]
    # An arm may be called as a run is, which then means the arm.
    chosen = [n for n, of in enumerate(arms) if name in (of.arm, labels[n])]
    chosen = chosen or [n for n, known in enumerate(ways) if name in known]
    if not chosen:
        hint = nearest(name, labels) or f"; there are {', '.join(labels)}"
        raise SweeperError(f"--against {name!r} is none of the sides{hint}")
    if len(chosen) > 1:
        told = ", ".join(f"{arms[n].run.path.name}:{arms[n].arm}" for n in chosen)
        raise SweeperError(f"--against {name!r} is {len(chosen)} of the sides; name one: {told}")
    return chosen[0]


def file_name(text: str) -> str:
    """Make a name for a directory of what sides are called."""
    return re.sub(r"[^\w.-]+", "-", text)


def disagreements(arms: Sequence[Arm], labels: Sequence[str]) -> list[str]:
    """Say what differs between the sides, or within one, that makes them incomparable.

    Exact figures or bounds beside estimates are among it where there are two sides; with more of
    them, that is for `unlike_kinds`.
    """
    problems = []
    for column in _MUST_AGREE:
        values = [
            [str(value)[:12] for value in sorted(of.rows[column].fillna("none").unique())]
            for of in arms
        ]
        known = {str(value) for of in arms for value in of.rows[column].fillna("none").unique()}
        if len(known) > 1:
            problems.append(f"{column} differs: {_told(values, labels)}")
    pools = {int(n) for of in arms for n in of.rows["observations"].dropna()}
    if axis_of(arms[0].rows) == "mi_q" and len(pools) > 1:
        told = ", ".join(map(str, sorted(pools)))
        problems.append(f"MIs of q are by pools of different sizes: {told} observations")
    ways = [kinds(of) for of in arms]
    if len(arms) > 2:
        ways = [[way for way in some if way not in (EXACT, BOUND)] for some in ways]
    if len({way for some in ways for way in some}) > 1:
        problems.append(f"NLL and MI are not alike: {_told(ways, labels)}")
    return problems


def unlike_kinds(arms: Sequence[Arm], labels: Sequence[str]) -> list[str]:
    """Say which sides are exact or bounds beside others that are estimates: bias would show."""
    ways = [kinds(of) for of in arms]
    estimate = "estimate"  # those by different K are for `disagreements`
    alike = {way if way in (EXACT, BOUND) else estimate for some in ways for way in some}
    if len(alike) < 2:
        return []
    return [f"NLL and MI are not alike: {_told(ways, labels)}"]


def kinds(of: Arm) -> list[str]:
    """Give how the figures of one side were found, e.g. "estimates with K = 100"."""
    done = of.rows[of.rows["status"] == "done"]
    exact = done["nll_exact"].notna() & done["mi_exact"].notna()
    bound = ~exact & done["nll_is_bound"].fillna(False).astype(bool)
    samples = sorted(done.loc[~exact & ~bound, "samples"].dropna().unique())
    return [
        *[EXACT] * bool(exact.any()),
        *[BOUND] * bool(bound.any()),
        *(f"estimates with K = {K}" for K in samples),
    ]


def _told(values: Sequence[Sequence[str]], labels: Sequence[str]) -> str:
    """Say what is so for whom, with sides of which the same is so together if they are many."""
    groups: dict[object, tuple[str, list[str]]] = {}
    for some, label in zip(values, labels, strict=True):
        if some:
            key = (*some,) if len(labels) > 2 else label
            groups.setdefault(key, (", ".join(some), []))[1].append(label)
    return " but ".join(f"{told} for {', '.join(of)}" for told, of in groups.values())


def pooled(arms: Sequence[Arm], labels: Sequence[str]) -> pd.DataFrame:
    """Give the rows of all sides, each with its label for an arm."""
    named = [of.rows.assign(arm=label) for of, label in zip(arms, labels, strict=True)]
    return pd.concat(named, ignore_index=True)


def trials_of(rows: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """What `analysis.indicators.budget_curve` takes: every ended trial, with its cost.

    As everywhere in a comparison, more MI than is possible counts as that much.
    """
    counts = points["mi_value"].clip(upper=pareto.possible_information(points))
    points = points[["trial_id", "nll_value"]].assign(mi_value=counts)
    seconds = rows[["train_seconds", "eval_seconds"]].astype(float).sum(axis=1)
    passes = ["encoder_passes", "decoder_passes"]
    trials = rows[["trial_id", "created_at", *passes]].assign(
        seconds=seconds, gradient_evaluations=gradient_evaluations(rows)
    )
    return trials.merge(points, how="left", on="trial_id")


def cautions(arms: Sequence[Arm], points: pd.DataFrame) -> list[str]:
    """What makes the intervals, or the sides, less believable than they look."""
    found = []
    adaptive = sorted({of.run.sampler for of in arms} - set(_INDEPENDENT))
    if adaptive:
        found.append(
            f"the sampler ({', '.join(adaptive)}) learns from earlier trials, but the intervals "
            "treat trials as exchangeable"
        )
    if n_pruned := sum(int((of.rows["status"] == "pruned").sum()) for of in arms):
        found.append(
            f"{n_pruned} trials were pruned early in view of the others, but the intervals are "
            "made of the rest as if they were all there is"
        )
    found += _shared(arms)
    found += _beyond(points)
    errors = points[["nll_error", "mi_error"]].isna().any(axis=1)
    if errors.any():
        found.append(f"{errors.sum()} points have no Monte Carlo error and count as exact here")
    unknown = sum(int(of.rows["train_seconds"].isna().sum()) for of in arms)
    if unknown:
        found.append(f"{unknown} trials have no known seconds and count as none")
    return found


def _shared(arms: Sequence[Arm]) -> list[str]:
    """Say where sides have trials in common."""
    ids = [set(of.rows["trial_id"]) for of in arms]
    counts = Counter(trial for of_side in ids for trial in of_side)
    shared = sum(n > 1 for n in counts.values())
    if len(arms) > 2:
        told = f"{shared} trials are on several sides, but the intervals treat these as unrelated"
        return [told] if shared else []
    if ids[0] == ids[1]:
        return ["both sides are the same trials"]
    told = f"{shared} trials are on both sides, but the intervals treat them as two"
    return [told] if shared else []


def _beyond(points: pd.DataFrame) -> list[str]:
    """Say which sides have trials with more MI than is possible, beyond rounding."""
    told = []
    for label, of in points.groupby("label", sort=False):
        possible = pareto.possible_information(of)
        if n := int((of["mi_value"] > possible + 1e-9).sum()):
            told.append(f"{label}: {n} of {len(of)} beyond {possible:.3g} nats")
    if not told:
        return []
    return [
        "MI beyond what is possible, the entropy of the data or what the latents hold, counts as "
        f"that much: {', '.join(told)}"
    ]


def provenance(arms: Sequence[Arm], found: pareto.Frontier) -> list[str]:
    """Say where the points come from and how many there are, a line each."""
    points = found.points
    estimated = points[~points["exact"]]
    ways = ["by enumeration"] if len(estimated) < len(points) else []
    if len(estimated):
        ways.append(f"by importance sampling, K = {_listed(estimated['samples'])}")
    facts = {
        "run": _listed(pd.Series([of.run.path.name for of in arms])),
        "scale": _listed(points["scale"]),
        "split": _listed(points["split"]),
        **ways_of(points, " or ".join(ways)),
        "code": _listed(points["code_version"]),
    }
    counts = ", ".join(
        f"{label} {len(of_label)}" for label, of_label in points.groupby("label", sort=False)
    )
    left_out = "".join(f", {reason}: {n}" for reason, n in found.left_out.items())
    return [
        " · ".join(f"{name}: {fact}" for name, fact in facts.items() if fact),
        f"trials done: {counts}{left_out}",
    ]


def _listed(values: pd.Series) -> str:
    return ", ".join(str(value) for value in values.dropna().unique())
