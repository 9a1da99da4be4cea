"""What `sweeper compare` says of more than two sides: each against one baseline, and all at once.

Needs neither torch nor Ray, so it works wherever results can be read.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import frontier as pareto
from analysis.axes import axis_lines, long_name
from analysis.comparison import FEWEST, Comparison, compare
from analysis.indicators import (
    BUDGETS,
    MARGIN,
    Reference,
    at_budget,
    budget_curve,
    common_budgets,
    hypervolume_table,
    reference,
)
from analysis.levels import at_levels, round_levels
from analysis.plots.difference import budget_figure
from analysis.plots.differences import differences_figure
from analysis.plots.files import write_all, writers
from analysis.resampling import N_REPLICATES, Side, side
from analysis.tables import MARKS, levels_table, to_text
from sweeper.errors import SweeperError
from sweeper.stored.choices import unit_of, writable
from sweeper.stored.sides import (
    Arm,
    cautions,
    file_name,
    kinds,
    pooled,
    provenance,
    trials_of,
    unlike_kinds,
)
from sweeper.stored.verdicts import kind_of, percent, verdict_lines

_LONG = 100  # characters of the names of sides that a directory is named for


def comparison(
    arms: Sequence[Arm],
    labels: Sequence[str],
    without_trials: Sequence[str],
    *,
    whole: bool,
    baseline: int | None,
    output: Path | None,
    per: str | None,
    hull: bool,
    level: float,
) -> str:
    """Compare every side with one at equal MI, write the curves and pictures, say what they say.

    `whole` tells whether they are all sides of one run, and `baseline` is the number of that
    side, by default the first that has a model. Sides without one, and the arms
    `without_trials`, are said and left out. The other arguments are as for
    `sweeper.stored.comparing.comparison`. Raises `SweeperError` where the baseline that was
    chosen has no model, and where the result cannot be written.
    """
    rows = pooled(arms, labels)
    found = pareto.frontier_points(rows, unit_of(rows, per))
    points = {label: found.points[found.points["label"] == label] for label in labels}
    known = [label for label in labels if len(points[label])]
    left_out = [f"left out: {label}: no trial has ended" for label in without_trials]
    for label, of in zip(labels, arms, strict=True):
        if label not in known:
            counts = of.rows["status"].value_counts().items()
            told = ", ".join(f"{n} {status}" for status, n in counts)
            left_out.append(f"left out: {label}: without a model ({told})")
    if len(known) < 2:
        return "\n".join(["nothing to compare: fewer than two sides have a model", *left_out])
    base = known[0] if baseline is None else labels[baseline]
    if base not in known:
        raise SweeperError(
            f"{base} has no model, so nothing can be compared with it; name another side by "
            f"--against: {', '.join(known)}"
        )

    sides = [side(points[label], label) for label in known]
    one = sides[known.index(base)]
    resampled: dict[str, Any] = {"level": level, "n_replicates": N_REPLICATES}
    # Frontiers of many kinds need not overlap: where one begins, another may have ended.
    compared = [
        compare(of, one, hull=hull, below=True, **resampled) for of in sides if of is not one
    ]
    levels = at_levels(sides, round_levels(sides), hull=hull, **resampled)
    volumes = hypervolume_table(sides, base, **resampled)
    common = reference(*sides)
    budgets = {
        label: budget_curve(trials_of(of.rows, points[label]), common)
        for of, label in zip(arms, labels, strict=True)
        if label in known
    }
    shown = [of for of, label in zip(arms, labels, strict=True) if label in known]
    unlike = unlike_kinds(shown, known)

    lines = [f"{len(known)} sides, each against {base}, nats per {found.unit}"]
    lines += axis_lines(rows)
    lines += left_out
    lines += ["", *_levels(levels, sides, shown if unlike else (), level, hull)]
    lines += ["", *_differences(compared, one)]
    lines += ["", *_hypervolumes(volumes, budgets, common, base, level)]
    lines += [""] * bool(found.left_out)
    lines += [f"left out: {count} {reason}" for reason, count in found.left_out.items()]
    notes = [*unlike, *_few(sides), *cautions(shown, found.points), *found.warnings]
    lines += ["", *(f"warning: {note}" for note in notes)] if notes else []
    footer = [*provenance(shown, found), *(f"warning: {note}" for note in unlike)]
    directory = output or arms[0].run.comparison / _name(known, base, whole)
    paths = _save(compared, levels, volumes, budgets, found, footer, directory)
    return "\n".join([*lines, "", *map(str, paths)])


def _few(sides: Sequence[Side]) -> list[str]:
    """Say which sides have so few configurations that nothing is known of other searches."""
    few = [of.name for of in sides if of.n_configurations < FEWEST]
    if not few:
        return []
    told = ", ".join(few) if len(few) < len(sides) else "all sides"
    return [
        f"fewer than {FEWEST} configurations, seeds apart: {told}; nothing tells what another "
        "search would find, so there is no interval"
    ]


def _name(known: Sequence[str], baseline: str, whole: bool) -> str:
    """Name the directory of a comparison."""
    others = "-".join(label for label in known if label != baseline)
    if len(others) > _LONG:
        others = f"{len(known) - 1}-sides"
    return file_name(f"{'all' if whole else others}-against-{baseline}")


def _levels(
    levels: pd.DataFrame, sides: Sequence[Side], arms: Sequence[Arm], level: float, hull: bool
) -> list[str]:
    """Show the NLL of all sides at equal MI; `arms` where how their figures were found differs."""
    table = levels_table(levels)
    table.insert(1, "n", [str(of.n_configurations) for of in sides])
    if arms:
        ways = [[way.removeprefix("estimates with ") for way in kinds(of)] for of in arms]
        table.insert(2, "figures", [" and ".join(some) for some in ways])
    what = "on lower convex hulls" if hull else "of trials with at least that MI"
    how = percent(level)
    return [
        f"NLL at equal MI: the lowest {what}; n: configurations",
        *(line.rstrip() for line in to_text(table).splitlines()),
        f"±: {how} interval of what searches of n configurations find on average, from searches "
        "of half as many; none where",
        f"  fewer than {FEWEST} have so much MI. {MARKS['best']} lowest of its column, "
        f"{MARKS['undecided']} not decided from it at {how}, {MARKS['too few']} too few to tell",
        f"  {how}: for each side, or each pair with the lowest, and each MI by itself; no "
        "correction for how many there are,",
        "  nor for the lowest having been picked by these figures: among eleven alike, most such "
        "tables tell some pair apart",
    ]


def _differences(compared: Sequence[Comparison], baseline: Side) -> list[str]:
    """Give the verdicts of every side against the baseline."""
    first = compared[0]
    low, high = first.covers[1]
    lines = [
        f"each side against {baseline.name}, whose frontier covers {low:.3g} to {high:.3g} nats, "
        f"at equal MI ({kind_of(first)};",
        "  below its frontier that is the one of lowest NLL)",
    ]
    for one in compared:
        low, high = one.covers[0]
        lines.append(f"  {one.a} covers {low:.3g} to {high:.3g} nats")
        if one.curve.empty:
            lines.append("    no MI at which both have a model")
        elif (one.curve["difference"] == 0).all():
            lines.append(f"    attains the same NLL as {one.b} at every MI of both")
        lines += verdict_lines(one, indent="    ")
    return [
        *lines,
        f"{percent(first.level)}: for all MI of a pair together, of the difference between what "
        "searches of as many configurations as each has find on",
        "  average; from searches of half as many, resampled by configuration, seed and Monte "
        "Carlo error. Each pair by itself:",
        f"  of {len(compared)} pairs without any difference, some may be decided by chance"
        if len(compared) > 1
        else "  no correction for others",
    ]


def _hypervolumes(
    volumes: pd.DataFrame,
    curves: Mapping[str, pd.DataFrame],
    against: Reference,
    baseline: str,
    level: float,
) -> list[str]:
    """Show the hypervolume of each side, all it spent and at equal budgets."""
    shown = {"hypervolume": list(volumes["label"])}
    for column, name, sign in (
        ("hypervolume", "all trials", ""),
        ("difference", f"less that of {baseline}", "+"),
    ):
        ends = (volumes[column], volumes[f"{column}_lower"], volumes[f"{column}_upper"])
        shown[name] = [
            ""
            if pd.isna(value)
            else f"{value:{sign}.4g}"
            + ("" if pd.isna(low) else f" [{low:{sign}.4g}, {high:{sign}.4g}]")
            for value, low, high in zip(*ends, strict=True)
        ]
    told = []
    for budget in common_budgets(curves.values()):
        name = f"equal {budget.partition('_')[0]}"
        spent = {label: float(curve[budget].max()) for label, curve in curves.items()}
        least, most = min(spent, key=spent.__getitem__), max(spent, key=spent.__getitem__)
        shown[name] = [
            f"{at_budget(curve, budget, spent[least]):.4g}"
            if (curve[budget] <= spent[least]).any()
            else "none ended"
            for curve in curves.values()
        ]
        told.append(
            f"  {name}: {spent[least]:,.0f} {BUDGETS[budget]}"
            + (
                f", all that {least} spent; {most} spent {spent[most]:,.0f}"
                if spent[least] < spent[most]
                else ", as all spent"
            )
        )
    (worst, _), _ = against.nadir, against.ideal
    return [
        to_text(pd.DataFrame(shown)),
        f"[]: {percent(level)} intervals as above, of each side or pair by itself, against one "
        f"reference: up to NLL {worst:.4g} (the highest on",
        f"  a frontier plus {MARGIN:.0%} of their range) and MI 0; at equal budgets no interval, "
        "trials in the order in which they ended:",
        *told,
    ]


def _save(
    compared: Sequence[Comparison],
    levels: pd.DataFrame,
    volumes: pd.DataFrame,
    budgets: Mapping[str, pd.DataFrame],
    found: pareto.Frontier,
    footer: Sequence[str],
    directory: Path,
) -> list[Path]:
    baseline = compared[0].b
    others = f"{len(compared)} sides" if len(compared) > 1 else compared[0].a
    title = f"{others} against {baseline}"
    panels = differences_figure(compared, found.unit, title, footer, long_name(found.points))
    name = "comparison_hull" if compared[0].hull else "comparison"
    curves = pd.concat(
        [one.curve.assign(label_a=one.a, label_b=one.b) for one in compared], ignore_index=True
    )
    curves = curves.rename(columns={"a": "nll_a", "b": "nll_b"}).assign(unit=found.unit)
    budget = budget_figure(budgets, title, footer)
    files: dict[str, Callable[[Path], object]] = {
        **writers(name, curves, panels, footer),
        f"{name}.parquet": partial(curves.to_parquet, index=False),
        **writers(name.replace("comparison", "levels"), levels.assign(unit=found.unit)),
        **writers("hypervolume", volumes.assign(unit=found.unit)),
        **writers("budget", None, budget, footer),
    }
    with writable(directory):
        return write_all(files, directory)
