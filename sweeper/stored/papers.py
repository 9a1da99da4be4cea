"""A paper's tables and claims, ours beside the published (`sweeper paper`).

Needs neither torch nor Ray, so it works wherever results can be read.
"""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.papers import PAPERS
from analysis.papers.paper import Paper
from analysis.plots.files import write_all, writers
from sweeper.errors import SweeperError
from sweeper.located import unknown
from sweeper.roots import Storage, runs_root
from sweeper.runs import RunDirectory
from sweeper.stored.answers import WIDTH, answer_all, claim_lines, claim_rows, group_runs
from sweeper.stored.choices import writable
from sweeper.stored.paper_tables import measure, table_lines, table_rows
from sweeper.stored.protocols import Recognised, Shipped, recognise, recognise_all


def listing() -> str:
    """List the papers."""
    width = max(map(len, PAPERS))
    lines = [f"  {paper.name:{width}}  {paper.title}" for paper in PAPERS.values()]
    return "\n".join(["papers:", *lines])


def describe(
    name: str,
    runs: Sequence[RunDirectory] = (),
    *,
    storage: Storage = None,
    output: Path | None = None,
    only: str | None = None,
    damaged: list[str] | None = None,
) -> str:
    """Set stored runs beside a paper: its tables, its claims, and what is missing.

    `runs` are by default all in the storage that are of an experiment the paper needs. With
    `output`, each table and `claims.csv` are written there. With `only`, nothing is said but what
    is about that shipped experiment. `damaged` is as for
    `sweeper.stored.reading.frontier`. Raises `SweeperError` for an unknown
    paper, for named runs that are damaged or of no such experiment, and where `output` cannot be
    written.
    """
    paper = _paper(name) if only is None else _paper(name).only(only)
    problems: list[str] = []
    if runs:
        found = [_named(run, paper, damaged, only) for run in runs]
    else:
        found, problems = recognise_all(paper.experiments, storage, damaged)
    groups = group_runs(found)
    answers = answer_all(paper, groups)
    tables = [(table, measure(table, groups)) for table in paper.tables]
    sections = [
        [paper.title],
        [line for note in paper.notes for line in textwrap.wrap(note, WIDTH)],
        ["runs", *(_runs(found) or [f"  none in {runs_root(storage)}"])],
        [f"warning: {problem}" for problem in problems],
        *(table_lines(table, ours) for table, ours in tables),
        _pictures(paper, found),
        claim_lines(answers) if answers else ["no claim about these runs can be checked"],
        _not_covered(paper),
        _missing(paper, found, storage) if only is None else [],
    ]
    if output is not None:
        written = {table.file: table_rows(table, ours) for table, ours in tables}
        sections.append(_save(output, {**written, "claims": claim_rows(answers)}))
    return "\n\n".join("\n".join(section) for section in sections if section)


def experiment_of(name: str, figure: int) -> str:
    """Give the shipped experiment of a paper's figure.

    Raises `SweeperError` for an unknown paper, and for a figure that it has not.
    """
    paper = _paper(name)
    if not paper.figures:
        raise SweeperError(f"no figure of {name} has an experiment of its own; leave --figure out")
    if figure not in paper.figures:
        there = f"{min(paper.figures)} to {max(paper.figures)}"
        raise SweeperError(f"{name} has no figure {figure} with an experiment; there are {there}")
    return paper.figures[figure]


def compared_with(name: str, experiment: str) -> dict[str, int | None]:
    """Give the other shipped experiments that claims about this one compare it with.

    Each has the number of its figure, none where it is no figure's.
    """
    paper = _paper(name)
    numbers = {of_figure: number for number, of_figure in paper.figures.items()}
    others = (e for e in paper.only(experiment).experiments if e != experiment)
    return {other: numbers.get(other) for other in others}


def _paper(name: str) -> Paper:
    if name not in PAPERS:
        raise SweeperError(unknown("paper", name, PAPERS))
    return PAPERS[name]


def _not_covered(paper: Paper) -> list[str]:
    lines = [f"  [{c.number}] {c.text}: {c.why}" for c in paper.not_covered]
    return ["not covered yet", *lines] if lines else []


def _named(
    run: RunDirectory, paper: Paper, damaged: list[str] | None, only: str | None
) -> Recognised:
    experiments = dict.fromkeys([*paper.experiments, *([only] if only else [])])
    if (found := recognise(run, experiments, damaged)) is None:
        raise SweeperError(
            f"{run.location} holds no ended trial of an experiment that {paper.name} needs; name "
            f"runs of {', '.join(experiments)}"
        )
    return found


def _runs(found: Sequence[Recognised]) -> list[str]:
    return [
        f"  {r.run.location}: {r.experiment}, {r.protocol.split} split, {len(r.rows)} ended trials"
        f" of {r.n_trials}; {r.protocol}"
        for r in sorted(found, key=lambda r: r.run.location)
    ]


def _pictures(paper: Paper, found: Sequence[Recognised]) -> list[str]:
    """Say how the paper's pictures are drawn from the runs that there are."""
    lines = []
    for picture in paper.pictures:
        lines.append(f"  [{picture.number}] {picture.title}")
        runs = [r.run.location for r in found if r.experiment == picture.experiment]
        drawn = [f"    {shlex.join(['sweeper', 'frontier', r, *picture.options])}" for r in runs]
        lines += sorted(drawn) or [f"    no run of {picture.experiment}"]
    return ["pictures", *lines] if lines else []


def _missing(paper: Paper, found: Sequence[Recognised], storage: Storage) -> list[str]:
    """Name the runs at the shipped protocol that the paper needs and that are not complete."""
    needed: dict[tuple[str, str], list[str]] = {}
    for claim in paper.claims:
        for arm in claim.arms:
            needed.setdefault((arm.experiment, claim.split), []).append(claim.number)
    for table in paper.tables:
        for arm in table.arms:
            needed.setdefault((arm.experiment, table.split), []).append(table.number)
    for picture in paper.pictures:
        split = Shipped(picture.experiment).split
        needed.setdefault((picture.experiment, split), []).append(picture.title)
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
            command = f"sweeper resume {shlex.quote(most.run.location)}"
        lines.append(f"  {command}\n    for {', '.join(dict.fromkeys(why))}")
    if lines and paper.figures:
        lines.append(f"  and at small scale sweeper paper {paper.name} --figure N --scale small")
    return ["missing", *lines] if lines else []


def _command(experiment: str, split: str, storage: Storage) -> str:
    shipped = Shipped(experiment)
    name = shipped.title if split == shipped.split else f"{shipped.title}-{split}"
    root = runs_root(storage)
    taken = set(root.names())
    while name in taken:
        name += "-as-shipped"
    options = ["--set", f"trial.evaluation.split={split}"] * (split != shipped.split)
    options += ["--name", name] if name != shipped.title else []
    options += ["--storage", str(storage)] if storage is not None else []
    return shlex.join(["sweeper", "run", f"{experiment}.yaml", *options])


def _save(output: Path, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    files = {k: w for name, table in tables.items() for k, w in writers(name, table).items()}
    with writable(output):
        return [str(path) for path in write_all(files, output)]
