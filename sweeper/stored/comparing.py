"""What `sweeper compare` says: which of two arms fits better at equal information, and how sure.

Needs neither torch nor Ray, so it works wherever results can be read.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis import frontier as pareto
from analysis.axes import COLUMNS as AXIS_COLUMNS
from analysis.axes import MODEL, axis_of, long_name
from analysis.comparison import FEWEST, Comparison, compare
from analysis.indicators import (
    BUDGETS,
    MARGIN,
    Reference,
    at_budget,
    budget_curve,
    common_budgets,
    gradient_evaluations,
    indicator_table,
    reference,
)
from analysis.plots.difference import (
    budget_figure,
    difference_figure,
)
from analysis.plots.files import write_all, writers
from analysis.plots.provenance import ways_of
from analysis.resampling import N_REPLICATES, side
from analysis.tables import to_text
from sweeper.errors import SweeperError
from sweeper.located import nearest
from sweeper.results import read_runs
from sweeper.roots import Storage, find_run
from sweeper.runs import RunDirectory
from sweeper.stored.choices import chosen_axis, placed, unit_of, writable

_NEEDED = (
    *pareto.COLUMNS,
    *("config_hash", "nll_mi_covariance", "created_at", "train_seconds", "eval_seconds", "trial"),
    *("updates", "gradient_evaluations", "encoder_passes", "decoder_passes"),
    *AXIS_COLUMNS,
)
_MUST_AGREE = ("data_sha256", "split", "scale")
_INDEPENDENT = ("random", "qmc")  # samplers whose proposals do not depend on earlier trials


class Arm(NamedTuple):
    """One side: the final rows of an arm of a run."""

    run: RunDirectory
    arm: str
    rows: pd.DataFrame


def comparison(
    names: Sequence[str],
    *,
    storage: Storage = None,
    output: Path | None = None,
    per: str | None = None,
    hull: bool = False,
    level: float = 0.9,
    mi: str | None = None,
    force: bool = False,
    damaged: list[str] | None = None,
) -> str:
    """Compare two sides at equal MI, write the curve and pictures, and say what they say.

    `names` are two of a run with a single arm or `RUN:ARM`, or one run with two arms. `per` is
    "observation" or "token", by default token where observations have several.
    `mi` and `damaged` are as for `sweeper.stored.reading.frontier`. Raises
    `SweeperError` for sides that cannot be found or do not compare, and where the result cannot
    be written.
    """
    if not 0.5 <= level < 1:
        raise SweeperError(f"--level is a probability from 0.5 to below 1, e.g. 0.9; got {level}")
    arms = _sides(names, storage, damaged)
    axis = chosen_axis([of.run for of in arms], mi)
    arms = [of._replace(rows=placed(of.rows, [of.run], axis)) for of in arms]
    labels = _labels(arms)
    problems = _disagreements(arms, labels)
    if problems and not force:
        raise SweeperError(f"{'; '.join(problems)}; compare them all the same with --force")
    if output is None and arms[0].run.path != arms[1].run.path:
        raise SweeperError("sides of two runs need a directory for the comparison; use --output")
    directory = output or arms[0].run.comparison / _file_name("-against-".join(labels))

    rows = pd.concat(
        [of.rows.assign(arm=label) for of, label in zip(arms, labels, strict=True)],
        ignore_index=True,
    )
    found = pareto.frontier_points(rows, unit_of(rows, per))
    points = {label: found.points[found.points["label"] == label] for label in labels}
    without = [label for label in labels if points[label].empty]
    lines = [f"{labels[0]} against {labels[1]}, nats per {found.unit}"]
    lines += [f"MI: {long_name(rows)}"] * (axis != MODEL)
    if without:
        left_out = ", ".join(f"{n} {reason}" for reason, n in found.left_out.items())
        return "\n".join(
            [*lines, f"nothing to compare: {' and '.join(without)} without a model ({left_out})"]
        )
    a, b = (side(points[label], label) for label in labels)
    compared = compare(a, b, hull=hull, level=level, n_replicates=N_REPLICATES)
    against = reference(a, b)
    table = indicator_table(a, b, level=level, n_replicates=N_REPLICATES)
    budgets = {
        label: budget_curve(_trials(of.rows, points[label]), against)
        for of, label in zip(arms, labels, strict=True)
    }
    lines += ["", *_difference(compared, a.n_configurations, b.n_configurations)]
    lines += ["", *_indicators(table, against, labels, level)]
    lines += ["", *_budgets(budgets)]
    lines += [""] * bool(found.left_out)
    lines += [f"left out: {count} {reason}" for reason, count in found.left_out.items()]
    notes = [*_cautions(arms, found.points), *found.warnings]
    lines += ["", *(f"warning: {note}" for note in notes)] if notes else []
    paths = _save(compared, budgets, found, _provenance(arms, found), directory)
    return "\n".join([*lines, "", *map(str, paths)])


def _sides(names: Sequence[str], storage: Storage, damaged: list[str] | None) -> list[Arm]:
    if len(names) > 2:
        raise SweeperError(f"two sides can be compared; got {len(names)}")
    if len(names) == 1:
        run, arm = _found(names[0], storage)
        rows, arms = _read(run, damaged)
        if arm is not None or len(arms) != 2:
            raise SweeperError(
                f"{names[0]} is one side; name two of {_choices(run, arms)}"
                if len(arms) > 1
                else f"{names[0]} has one arm; name another run to compare it with"
            )
        return [Arm(run, arm, rows[rows["arm"] == arm]) for arm in arms]
    sides = [_side(name, storage, damaged) for name in names]
    one, two = ((of.run.path.resolve(), of.arm) for of in sides)
    if one == two:
        raise SweeperError(f"{names[0]} and {names[1]} are the same arm; name another one")
    return sides


def _side(name: str, storage: Storage, damaged: list[str] | None) -> Arm:
    run, arm = _found(name, storage)
    rows, arms = _read(run, damaged)
    if arm is None:
        if len(arms) > 1:
            raise SweeperError(f"{name} has {len(arms)} arms; name one: {_choices(run, arms)}")
        arm = arms[0]
    if arm not in arms:
        hint = nearest(arm, arms) or f"; there are {', '.join(arms)}"
        raise SweeperError(f"{run.location} has no ended trial of an arm {arm!r}{hint}")
    return Arm(run, arm, rows[rows["arm"] == arm])


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


def _labels(arms: Sequence[Arm]) -> list[str]:
    """The arms, with their runs where that tells them apart."""
    if arms[0].arm != arms[1].arm:
        return [of.arm for of in arms]
    same_name = arms[0].run.path.name == arms[1].run.path.name
    return [f"{of.run.path if same_name else of.run.path.name}: {of.arm}" for of in arms]


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)


def _disagreements(arms: Sequence[Arm], labels: Sequence[str]) -> list[str]:
    """Say what differs between the sides, or within one, that makes them incomparable."""
    problems = []
    for column in _MUST_AGREE:
        values = [of.rows[column].fillna("none").unique() for of in arms]
        if len({value for some in values for value in some}) > 1:
            told = " but ".join(
                f"{', '.join(str(value)[:12] for value in sorted(some))} for {label}"
                for some, label in zip(values, labels, strict=True)
            )
            problems.append(f"{column} differs: {told}")
    pools = {int(n) for of in arms for n in of.rows["observations"].dropna()}
    if axis_of(arms[0].rows) == "mi_q" and len(pools) > 1:
        told = ", ".join(map(str, sorted(pools)))
        problems.append(f"MIs of q are by pools of different sizes: {told} observations")
    return [*problems, *_unlike_figures(arms, labels)]


def _unlike_figures(arms: Sequence[Arm], labels: Sequence[str]) -> list[str]:
    """Say where one side is exact and the other not, or where their K differ: bias would show."""
    ways = []
    for of in arms:
        done = of.rows[of.rows["status"] == "done"]
        exact = done["nll_exact"].notna() & done["mi_exact"].notna()
        samples = sorted(done.loc[~exact, "samples"].dropna().unique())
        ways.append(["exact"] * bool(exact.any()) + [f"estimates with K = {K}" for K in samples])
    if len({way for some in ways for way in some}) < 2:
        return []
    told = " but ".join(
        f"{', '.join(some)} for {label}" for some, label in zip(ways, labels, strict=True) if some
    )
    return [f"NLL and MI are not alike: {told}"]


def _trials(rows: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """What `analysis.indicators.budget_curve` takes: every ended trial, with its cost."""
    seconds = rows[["train_seconds", "eval_seconds"]].astype(float).sum(axis=1)
    passes = ["encoder_passes", "decoder_passes"]
    trials = rows[["trial_id", "created_at", *passes]].assign(
        seconds=seconds, gradient_evaluations=gradient_evaluations(rows)
    )
    return trials.merge(points[["trial_id", "nll_value", "mi_value"]], how="left", on="trial_id")


def _difference(compared: Comparison, n_a: int, n_b: int) -> list[str]:
    a, b = compared.a, compared.b
    kind = (
        "lower convex hulls, which interpolate between trained models"
        if compared.hull
        else "staircases: the best model with at least so much MI"
    )
    (a_low, a_high), (b_low, b_high) = compared.covers
    ranges = f"{a} covers {a_low:.3g} to {a_high:.3g}, {b} covers {b_low:.3g} to {b_high:.3g}"
    if compared.curve.empty:
        return [f"no MI at which both have a model: {ranges} nats"]
    confidence = f"{compared.level * 100:g} %"
    lines = [f"NLL at equal MI ({kind}); MI: {ranges} nats"]
    if (compared.curve["difference"] == 0).all():
        lines.append(f"  {a} and {b} attain the same NLL at every MI of both")
    for verdict in compared.verdicts:
        low, high = verdict.mi
        where = f"  {low:.3g}–{high:.3g} nats: " if low < high else f"  at {low:.3g} nats: "
        least, most = verdict.difference
        if verdict.outcome in ("a", "b"):
            small, large = sorted((abs(least), abs(most)))
            lines.append(
                f"{where}{a if verdict.outcome == 'a' else b} fits better by {small:.3f} to "
                f"{large:.3f} nats (at least {verdict.at_least:.2g} at {confidence})"
            )
        else:
            why = (
                f"fewer than {FEWEST} configurations of a side have so much MI"
                if verdict.outcome == "too few"
                else f"not decided at {confidence}"
            )
            lines.append(f"{where}{why} (difference {least:+.3f} to {most:+.3f})")
    return [
        *lines,
        f"{confidence}: for all MI together, of the difference between what searches of {n_a} and "
        f"{n_b} configurations find on average;",
        "  from searches of half as many, resampled by configuration, seed and Monte Carlo error",
    ]


def _indicators(
    table: pd.DataFrame, against: Reference, labels: Sequence[str], level: float
) -> list[str]:
    shown: dict[str, Sequence[str]] = {name: list(table[name]) for name in ("indicator", "better")}
    for column, name in (*zip("ab", labels, strict=True), ("difference", "difference")):
        sign = "+" if column == "difference" else ""
        shown[name] = [
            f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"
            for value, low, high in zip(
                table[column], table[f"{column}_lower"], table[f"{column}_upper"], strict=True
            )
        ]
    (worst, _), (best, most) = against.nadir, against.ideal
    return [
        to_text(pd.DataFrame(shown)),
        f"[]: {level * 100:g} % intervals as above, against one reference: hypervolume up to NLL "
        f"{worst:.4g} (the highest on",
        f"  a frontier plus {MARGIN:.0%} of their range) and MI 0; IGD+ and additive epsilon from "
        f"the frontier of both; R2 from NLL {best:.4g}, MI {most:.4g}",
    ]


def _budgets(curves: Mapping[str, pd.DataFrame]) -> list[str]:
    table = []
    for budget in common_budgets(curves.values()):
        common = min(curve[budget].max() for curve in curves.values())
        reached = {
            name: f"{at_budget(curve, budget, common):.4f}"
            if (curve[budget] <= common).any()
            else f"none ended; one: {curve[budget].min():,.0f}"
            for name, curve in curves.items()
        }
        table.append(
            {"hypervolume at equal budget": f"{common:,.0f} {BUDGETS[budget]}", **reached}
        )
    return [to_text(pd.DataFrame(table)), "  trials in the order in which they ended; no interval"]


def _cautions(arms: Sequence[Arm], points: pd.DataFrame) -> list[str]:
    """What makes the intervals, or the sides, less believable than they look."""
    cautions = []
    adaptive = sorted({of.run.sampler for of in arms} - set(_INDEPENDENT))
    if adaptive:
        cautions.append(
            f"the sampler ({', '.join(adaptive)}) learns from earlier trials, but the intervals "
            "treat trials as exchangeable"
        )
    if n_pruned := sum(int((of.rows["status"] == "pruned").sum()) for of in arms):
        cautions.append(
            f"{n_pruned} trials were pruned early in view of the others, but the intervals are "
            "made of the rest as if they were all there is"
        )
    ids = [set(of.rows["trial_id"]) for of in arms]
    if ids[0] == ids[1]:
        cautions.append("both sides are the same trials")
    elif shared := len(ids[0] & ids[1]):
        cautions.append(f"{shared} trials are on both sides, but the intervals treat them as two")
    errors = points[["nll_error", "mi_error"]].isna().any(axis=1)
    if errors.any():
        cautions.append(f"{errors.sum()} points have no Monte Carlo error and count as exact here")
    unknown = sum(int(of.rows["train_seconds"].isna().sum()) for of in arms)
    if unknown:
        cautions.append(f"{unknown} trials have no known seconds and count as none")
    return cautions


def _provenance(arms: Sequence[Arm], found: pareto.Frontier) -> list[str]:
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


def _save(
    compared: Comparison,
    budgets: Mapping[str, pd.DataFrame],
    found: pareto.Frontier,
    provenance: Sequence[str],
    directory: Path,
) -> list[Path]:
    title = f"{compared.a} against {compared.b}"
    mi = long_name(found.points)
    difference = difference_figure(compared, found.unit, title, provenance, mi)
    name = "comparison_hull" if compared.hull else "comparison"
    table = compared.curve.rename(columns={"a": "nll_a", "b": "nll_b"})
    table = table.assign(label_a=compared.a, label_b=compared.b, unit=found.unit)
    budget = budget_figure(budgets, title, provenance)
    with writable(directory):
        return write_all(
            {
                **writers(name, table, difference, provenance),
                **writers("budget", None, budget, provenance),
            },
            directory,
        )
