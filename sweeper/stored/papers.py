"""A paper's table and claims, ours beside the published (`sweeper paper`).

Needs neither torch nor Ray, so it works wherever results can be read.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.papers import PAPERS
from analysis.papers.paper import Paper, best_figures
from analysis.plots.files import write_all, writers
from analysis.tables import to_text
from sweeper.errors import SweeperError
from sweeper.located import unknown
from sweeper.runs import RunDirectory, runs_root
from sweeper.stored.answers import Group, answer_all, claim_lines, claim_rows, group_runs
from sweeper.stored.choices import writable
from sweeper.stored.protocols import Recognised, recognise, recognise_all


def listing() -> str:
    """List the papers."""
    width = max(map(len, PAPERS))
    lines = [f"  {paper.name:{width}}  {paper.title}" for paper in PAPERS.values()]
    return "\n".join(["papers:", *lines])


def describe(
    name: str,
    runs: Sequence[RunDirectory] = (),
    *,
    storage: Path | None = None,
    output: Path | None = None,
    damaged: list[str] | None = None,
) -> str:
    """Set stored runs beside a paper: its table, its claims, and what is missing.

    `runs` are by default all in the storage that are of an experiment the paper needs. With
    `output`, `table.csv` and `claims.csv` are written there. `damaged` is as for
    `sweeper.stored.reading.frontier`. Raises `SweeperError` for an unknown
    paper, for named runs that are damaged or of no such experiment, and where `output` cannot be
    written.
    """
    if name not in PAPERS:
        raise SweeperError(unknown("paper", name, PAPERS))
    paper = PAPERS[name]
    problems: list[str] = []
    if runs:
        found = [_named(run, paper, damaged) for run in runs]
    else:
        found, problems = recognise_all(paper.experiments, storage, damaged)
    groups = group_runs(found)
    answers = answer_all(paper, groups)
    table = table_rows(paper, groups)
    sections = [
        [paper.title],
        ["runs", *(_runs(found) or [f"  none in {runs_root(storage)}"])],
        [f"warning: {problem}" for problem in problems],
        [
            f"{paper.table.number}: {paper.table.title}",
            "",
            to_text(_layout(paper, table)),
            *_table_notes(paper, groups),
        ],
        claim_lines(answers),
        ["not covered yet"] + [f"  [{c.number}] {c.text}: {c.why}" for c in paper.not_covered],
        _missing(paper, found, storage),
    ]
    if output is not None:
        sections.append(_save(output, {"table": table, "claims": claim_rows(answers)}))
    return "\n\n".join("\n".join(section) for section in sections if section)


def _named(run: RunDirectory, paper: Paper, damaged: list[str] | None) -> Recognised:
    if (found := recognise(run, paper.experiments, damaged)) is None:
        raise SweeperError(
            f"{run.path} holds no ended trial of an experiment that {paper.name} needs; name runs "
            f"of {', '.join(paper.experiments)}"
        )
    return found


def _runs(found: Sequence[Recognised]) -> list[str]:
    return [
        f"  {r.run.path}: {r.experiment}, {r.protocol.split} split, {len(r.rows)} ended trials"
        f" of {r.n_trials}; {r.protocol}"
        for r in sorted(found, key=lambda r: str(r.run.path))
    ]


def table_rows(paper: Paper, groups: Sequence[Group]) -> pd.DataFrame:
    """Give the table's figures, published and ours, a row for each.

    Columns: `source` ("published", or how the runs were made), `comparable`, `column`, `figure`,
    `value`, and `configurations` and `runs` behind ours.
    """
    rows: list[tuple[str, bool, str, str, float, int | None, str]] = [
        ("published", True, column.name, figure, value, None, "")
        for column in paper.table.columns
        for figure, value in column.published.items()
    ]
    experiments = {column.arm.experiment for column in paper.table.columns}
    for group in groups:
        comparable = _compares(paper, group)
        runs = ", ".join(str(r.run.path) for r in group.runs if r.experiment in experiments)
        for column in paper.table.columns:
            if (points := group.points.get(column.arm)) is None or points.empty:
                continue
            n = points["config_hash"].nunique()
            for figure, value in best_figures(points).items():
                rows.append((group.text, comparable, column.name, figure, value, n, runs))
    names = ["source", "comparable", "column", "figure", "value", "configurations", "runs"]
    return pd.DataFrame(rows, columns=names).astype({"configurations": "Int64"})


def _compares(paper: Paper, group: Group) -> bool:
    return group.protocol.split == paper.table.split and group.protocol.as_shipped


def _layout(paper: Paper, table: pd.DataFrame) -> pd.DataFrame:
    """Lay the figures out as the paper does, below a line that says whose they are."""
    columns = [column.name for column in paper.table.columns]
    lines: list[dict[str, str]] = []
    for number, (source, of_source) in enumerate(table.groupby("source", sort=False)):
        values = of_source.set_index(["figure", "column"])["value"]
        name = f"ours ({number})" if number else str(source)
        lines.append({"": name, **dict.fromkeys(columns, "")})
        for figure in paper.table.rows:
            decimals = 1 if figure == "perplexity" else 3
            cells = {
                column: f"{values[figure, column]:.{decimals}f}"
                if (figure, column) in values.index
                else "–"
                for column in columns
            }
            lines.append({"": f"  {figure}", **cells})
        if number:
            n = of_source.drop_duplicates("column").set_index("column")["configurations"]
            counts = {column: str(n[column]) if column in n.index else "–" for column in columns}
            lines.append({"": "  configurations", **counts})
    return pd.DataFrame(lines, columns=["", *columns])


def _table_notes(paper: Paper, groups: Sequence[Group]) -> list[str]:
    arms = {column.arm for column in paper.table.columns}
    used = [group for group in groups if arms & group.points.keys()]
    notes = []
    for number, group in enumerate(used, start=1):
        causes = ["training fit"] * (group.protocol.split != paper.table.split)
        causes += ["another protocol"] * (not group.protocol.as_shipped)
        caution = "" if _compares(paper, group) else f" ({', '.join(causes)}: not comparable)"
        notes.append(f"ours ({number}): {group.text}{caution}")
    return notes or [f"ours: no run with the {paper.table.split} split"]


def _missing(paper: Paper, found: Sequence[Recognised], storage: Path | None) -> list[str]:
    """Name the runs at the shipped protocol that the paper needs and that are not complete."""
    needed: dict[tuple[str, str], list[str]] = {}
    for claim in paper.claims:
        for arm in claim.arms:
            needed.setdefault((arm.experiment, claim.split), []).append(claim.number)
    for column in paper.table.columns:
        needed.setdefault((column.arm.experiment, paper.table.split), []).append(
            paper.table.number
        )
    lines = []
    for (experiment, split), why in needed.items():
        alike = [
            r
            for r in found
            if (r.experiment, r.protocol.split) == (experiment, split) and r.protocol.as_shipped
        ]
        most = max(alike, key=lambda r: len(r.rows), default=None)
        if most is not None and len(most.rows) >= most.n_trials:
            continue
        if most is None:
            command = _command(experiment, split, storage)
        else:
            command = f"sweeper resume {shlex.quote(str(most.run.path))}"
        lines.append(f"  {command}\n    for {', '.join(dict.fromkeys(why))}")
    return ["missing", *lines] if lines else []


def _command(experiment: str, split: str, storage: Path | None) -> str:
    name = experiment if split == "train" else f"{experiment}-{split}"
    root = runs_root(storage)
    while (root / name).exists():
        name += "-as-shipped"
    options = [] if split == "train" else ["--set", f"trial.evaluation.split={split}"]
    options += ["--name", name] if name != experiment else []
    options += ["--storage", str(storage)] if storage is not None else []
    return shlex.join(["sweeper", "run", f"{experiment}.yaml", *options])


def _save(output: Path, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    files = {k: w for name, table in tables.items() for k, w in writers(name, table).items()}
    with writable(output):
        return [str(path) for path in write_all(files, output)]
