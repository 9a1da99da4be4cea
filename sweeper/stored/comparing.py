"""What `sweeper compare` says: which of several arms fits better at equal information, how sure.

Here are two sides and what any number of them have in common; `sweeper.stored.comparing_many`
has more than two. Needs neither torch nor Ray, so it works wherever results can be read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis import frontier as pareto
from analysis.axes import AXES, MODEL, axis_lines, long_name, on_axis
from analysis.comparison import Comparison, compare
from analysis.indicators import (
    BUDGETS,
    MARGIN,
    Reference,
    at_budget,
    budget_curve,
    common_budgets,
    indicator_table,
    reference,
)
from analysis.plots.difference import (
    budget_figure,
    difference_figure,
)
from analysis.plots.files import write_all, writers
from analysis.resampling import N_REPLICATES, side
from analysis.tables import to_text
from sweeper.errors import SweeperError
from sweeper.roots import Storage
from sweeper.stored import comparing_many
from sweeper.stored.choices import chosen_axis, lacks, unit_of, writable
from sweeper.stored.sides import (
    cautions,
    disagreements,
    file_name,
    find_baseline,
    find_sides,
    label_sides,
    pooled,
    provenance,
    trials_of,
)
from sweeper.stored.verdicts import kind_of, percent, verdict_lines


def comparison(
    names: Sequence[str],
    *,
    against: str | None = None,
    storage: Storage = None,
    output: Path | None = None,
    per: str | None = None,
    hull: bool = False,
    level: float = 0.9,
    mi: str | None = None,
    force: bool = False,
    damaged: list[str] | None = None,
) -> str:
    """Compare sides at equal MI, write the curves and pictures, and say what they say.

    `names` are runs, for all their arms, or `RUN:ARM`. `against` names the side that every other
    is compared with, as `sweeper.stored.sides.find_baseline` has it: by default the second of
    two, or the first of more that has a model. `per` is "observation" or "token", by default
    token where observations have several. `mi` and `damaged` are as for
    `sweeper.stored.reading.frontier`. Raises `SweeperError` for sides that cannot be found or do
    not compare, and where the result cannot be written.
    """
    if not 0.5 <= level < 1:
        raise SweeperError(f"--level is a probability from 0.5 to below 1, e.g. 0.9; got {level}")
    arms, without_trials, whole = find_sides(names, storage, damaged)
    axis = chosen_axis(list({of.run.path: of.run for of in arms}.values()), mi)
    labels = label_sides(arms)
    if lacking := [label for of, label in zip(arms, labels, strict=True) if lacks(of.rows, axis)]:
        raise SweeperError(
            f"no trial of {', '.join(lacking)} has a value of {axis}, {AXES[axis].absent}; name "
            f"sides that have it, or compare at equal information of the model with --mi {MODEL}"
        )
    arms = [of._replace(rows=on_axis(of.rows, axis)) for of in arms]
    baseline = None if against is None else find_baseline(against, arms, labels)
    problems = disagreements(arms, labels)
    if problems and not force:
        raise SweeperError(f"{'; '.join(problems)}; compare them all the same with --force")
    if output is None and len({of.run.path for of in arms}) > 1:
        raise SweeperError("sides of two runs need a directory for the comparison; use --output")
    if len(arms) > 2:
        return comparing_many.comparison(
            arms,
            labels,
            without_trials,
            whole=whole,
            baseline=baseline,
            output=output,
            per=per,
            hull=hull,
            level=level,
        )
    if baseline == 0:
        arms, labels = arms[::-1], labels[::-1]
    directory = output or arms[0].run.comparison / file_name("-against-".join(labels))

    rows = pooled(arms, labels)
    found = pareto.frontier_points(rows, unit_of(rows, per))
    points = {label: found.points[found.points["label"] == label] for label in labels}
    without = [label for label in labels if points[label].empty]
    lines = [f"{labels[0]} against {labels[1]}, nats per {found.unit}"]
    lines += axis_lines(rows)
    if without:
        left_out = ", ".join(f"{n} {reason}" for reason, n in found.left_out.items())
        return "\n".join(
            [*lines, f"nothing to compare: {' and '.join(without)} without a model ({left_out})"]
        )
    a, b = (side(points[label], label) for label in labels)
    compared = compare(a, b, hull=hull, level=level, n_replicates=N_REPLICATES)
    common = reference(a, b)
    table = indicator_table(a, b, level=level, n_replicates=N_REPLICATES)
    budgets = {
        label: budget_curve(trials_of(of.rows, points[label]), common)
        for of, label in zip(arms, labels, strict=True)
    }
    lines += ["", *_difference(compared, a.n_configurations, b.n_configurations)]
    lines += ["", *_indicators(table, common, labels, level)]
    lines += ["", *_budgets(budgets)]
    lines += [""] * bool(found.left_out)
    lines += [f"left out: {count} {reason}" for reason, count in found.left_out.items()]
    notes = [*cautions(arms, found.points), *found.warnings]
    lines += ["", *(f"warning: {note}" for note in notes)] if notes else []
    paths = _save(compared, budgets, found, provenance(arms, found), directory)
    return "\n".join([*lines, "", *map(str, paths)])


def _difference(compared: Comparison, n_a: int, n_b: int) -> list[str]:
    a, b = compared.a, compared.b
    (a_low, a_high), (b_low, b_high) = compared.covers
    ranges = f"{a} covers {a_low:.3g} to {a_high:.3g}, {b} covers {b_low:.3g} to {b_high:.3g}"
    if compared.curve.empty:
        return [f"no MI at which both have a model: {ranges} nats"]
    lines = [f"NLL at equal MI ({kind_of(compared)}); MI: {ranges} nats"]
    if (compared.curve["difference"] == 0).all():
        lines.append(f"  {a} and {b} attain the same NLL at every MI of both")
    lines += verdict_lines(compared)
    return [
        *lines,
        f"{percent(compared.level)}: for all MI together, of the difference between what searches "
        f"of {n_a} and {n_b} configurations find on average;",
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


def _save(
    compared: Comparison,
    budgets: Mapping[str, pd.DataFrame],
    found: pareto.Frontier,
    notes: Sequence[str],
    directory: Path,
) -> list[Path]:
    title = f"{compared.a} against {compared.b}"
    mi = long_name(found.points)
    difference = difference_figure(compared, found.unit, title, notes, mi)
    name = "comparison_hull" if compared.hull else "comparison"
    table = compared.curve.rename(columns={"a": "nll_a", "b": "nll_b"})
    table = table.assign(label_a=compared.a, label_b=compared.b, unit=found.unit)
    budget = budget_figure(budgets, title, notes)
    with writable(directory):
        return write_all(
            {
                **writers(name, table, difference, notes),
                **writers("budget", None, budget, notes),
            },
            directory,
        )
