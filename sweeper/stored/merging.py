"""`sweeper merge`: the trials of several runs of one experiment as one run.

A trial is what its id says, its configuration and its seed, so the union has it once, wherever it
was trained. Needs neither torch nor Ray, so experiments are compared as they are written.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from sweeper.artefacts import Artefacts
from sweeper.columns import COLUMNS
from sweeper.errors import SweeperError
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.sections import Name
from sweeper.source import dump, flow

# Fields in which runs of one experiment may differ.
FREE = ("name", "description", "search.trials", "search.sampler.seed")
ROUNDING = 1e-6  # relative difference of figures that are the same but for rounding
SHOWN = 10

_COST = ("train_seconds", "eval_seconds", "steps_per_second")
_FIGURES = [c.name for c in COLUMNS if c.type == pa.float64() and c.name not in _COST]

Document = dict[str, Any]


def merge(
    runs: Sequence[RunDirectory],
    target: Path,
    *,
    force: bool = False,
    damaged: list[str] | None = None,
) -> str:
    """Make a new run at `target` that holds every trial of `runs` once; say what it holds.

    The first of several equal trials counts, one that was pruned after all that were not. `force`
    takes runs of different experiments, and trials that ended differently. What is wrong with
    parts that cannot be read goes to `damaged`; without it, they are an error. The runs themselves
    stay as they are.

    Raises `SweeperError` where `target` exists, cannot be written or cannot name an experiment,
    where there are fewer than two runs or no trials, and without `force` where runs or trials
    differ.
    """
    runs = list({run.path.resolve(): run for run in runs}.values())
    if len(runs) < 2:
        raise SweeperError("a union needs two runs or more; name them")
    _refuse_place(target)
    documents = [_document(run) for run in runs]
    if their_own := all(map(_is_its_own_arm, documents)):
        documents = [{**d, "arms": {target.name: d["arms"][d["name"]]}} for d in documents]
    warnings = _differences(runs, documents)
    if warnings and not force:
        hint = "--force merges them nevertheless, under the experiment of the first"
        raise SweeperError("\n".join([*warnings, hint]))
    tables = [ResultStore(run.results, damaged).table() for run in runs]
    if not any(map(len, tables)):
        names = ", ".join(run.location for run in runs)
        raise SweeperError(f"no trial has ended in {names}, so there is nothing to merge")
    conflicts = _conflicts(runs, tables)
    if conflicts and not force:
        hint = "--force keeps those of the run that is named first"
        raise SweeperError("\n".join([*conflicts, hint]))
    if not warnings:  # one experiment, which has a new name now
        tables = [_with_all(table, "experiment", target.name) for table in tables]
    if their_own:
        tables = [_with_all(table, "arm", target.name) for table in tables]
    parts = list(_each_once(tables))
    union = pa.concat_tables([part.select(["trial_id", "arm", "config_hash"]) for part in parts])
    _write(target, _united(target.name, documents, union), parts, runs)
    told = [f"{target}: {_n_trials(union)} trials", *_shares(runs, tables, parts)]
    return "\n".join([*told, *warnings, *conflicts])


def _refuse_place(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise SweeperError(f"{target} exists; choose another --output, or move it away")
    try:
        TypeAdapter(Name).validate_python(target.name)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SweeperError(f"--output {target}: {reason}") from None


def _shares(
    runs: Sequence[RunDirectory], tables: Sequence[pa.Table], parts: Sequence[pa.Table]
) -> Iterator[str]:
    """Tell what each run gave to the union."""
    for run, table, part in zip(runs, tables, parts, strict=True):
        n_known = _n_trials(table) - _n_trials(part)
        known = f", {n_known} more were there already" if n_known else ""
        driven = "; it is being driven, so there will be more" if run.is_driven() else ""
        yield f"  {_n_trials(part)} of {run.location}{known}{driven}"


def _n_trials(table: pa.Table) -> int:
    return len(table["trial_id"].unique())


def changes(a: object, b: object, path: str = "") -> Iterator[str]:
    """Tell what `b` has otherwise than `a`, a line for each dotted path that is not `FREE`."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from changes(a.get(key), b.get(key), f"{path}.{key}" if path else key)
    elif path not in FREE and (a != b or isinstance(a, bool) != isinstance(b, bool)):
        yield f"{path}: {_shown(a)} -> {_shown(b)}"


def _shown(value: object) -> str:
    return "not set" if value is None else flow(value)


def _document(run: RunDirectory) -> Document:
    _ = run.n_trials  # raises where the file lacks what is needed of it
    return run.document()


def _differences(runs: Sequence[RunDirectory], documents: Sequence[Document]) -> list[str]:
    first, *others = documents
    lines = []
    for run, other in zip(runs[1:], others, strict=True):
        if found := list(changes(first, other)):
            lines += [
                f"  {runs[0].location} -> {run.location}:",
                *(f"    {line}" for line in found),
            ]
    return ["these are runs of different experiments:", *lines] if lines else []


def _is_its_own_arm(document: Document) -> bool:
    """Say whether an experiment without arms was stored: then it is an arm of its own name."""
    return list(document["arms"]) == [document["name"]]


def _with_all(table: pa.Table, column: str, value: str) -> pa.Table:
    index = table.schema.get_field_index(column)
    return table.set_column(
        index, table.schema.field(index), pa.array([value] * len(table), pa.string())
    )


def _conflicts(runs: Sequence[RunDirectory], tables: Sequence[pa.Table]) -> list[str]:
    """Tell which trials ended otherwise, or with other figures, in another run."""
    lines = []
    seen: dict[str, pd.Series[Any]] = {}
    for run, table in zip(runs, tables, strict=True):
        columns = ["trial_id", "status", "step", *_FIGURES]
        ends = table.filter(table["final"]).select(columns).to_pandas().set_index("trial_id")
        ends["run"] = run.location
        both = [trial for trial in ends.index if trial in seen]
        for trial in both:
            a, b = seen[trial], ends.loc[trial]
            if "pruned" in (a["status"], b["status"]):  # one of them just went further
                continue
            if name := _first_difference(a, b):
                what = "" if name == "status" else f"{name} "
                lines.append(f"  {trial}: {what}{a[name]} in {a['run']}, {b[name]} in {b['run']}")
        seen |= {str(trial): row for trial, row in ends.drop(both).iterrows()}
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"  and {len(lines) - SHOWN} more"]
    return ["some trials have other figures in another run:", *lines] if lines else []


def _first_difference(a: "pd.Series[Any]", b: "pd.Series[Any]") -> str | None:
    """Name what two endings of a trial do not share, but for rounding."""
    for name in ("status", "step"):
        if a[name] != b[name]:
            return name
    for name in _FIGURES:
        # What only one of them has was added to the figures since the other was trained.
        if abs(a[name] - b[name]) > ROUNDING * abs(b[name]):
            return name
    return None


def _each_once(tables: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """Give the tables without the trials of those before, or that were only pruned there."""
    pruned = [_with_status(table, "pruned") for table in tables]
    whole = [set(t["trial_id"].to_pylist()) - p for t, p in zip(tables, pruned, strict=True)]
    seen: set[str] = set()
    for table, without_end in zip(tables, pruned, strict=True):
        left_out = seen | (without_end & set().union(*whole))
        trials = table["trial_id"].to_pylist()
        yield table.filter(pa.array([trial not in left_out for trial in trials], pa.bool_()))
        seen.update(set(trials) - left_out)


def _with_status(table: pa.Table, status: str) -> set[str]:
    rows = zip(table["trial_id"].to_pylist(), table["status"].to_pylist(), strict=True)
    return {trial for trial, its_status in rows if its_status == status}


def _united(name: str, documents: Sequence[Document], union: pa.Table) -> Document:
    """Give the first experiment with the arms and the numbers of trials that the union has."""
    rows = union.to_pandas().drop_duplicates()
    arms: dict[str, Any] = {}
    for document in documents:
        arms = {**document["arms"], **arms}
    trials = rows.groupby("arm")["config_hash"].nunique().max()
    seeds = rows.groupby(["arm", "config_hash"])["trial_id"].nunique().max()
    search = {**documents[0]["search"], "trials": int(trials), "seeds": int(seeds)}
    return {**documents[0], "name": name, "arms": arms, "search": search}


def _write(
    target: Path, document: Document, parts: Sequence[pa.Table], runs: Sequence[RunDirectory]
) -> None:
    """Build the run beside its place and move it there: it is there whole or not at all."""
    building = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        made = RunDirectory(building)
        made.create(dump(document))
        ResultStore(made.results).add(parts)
        for run, part in zip(runs, parts, strict=True):
            Artefacts(run.path).copy(part["trial_id"].unique().to_pylist(), building)
        made.merge(
            [run.location if run.mirror else run.path.resolve() for run in runs],
            sum(map(_n_trials, parts)),
        )
        building.rename(target)
    except OSError as error:
        raise SweeperError(
            f"cannot write {target}: {error.strerror or error}; free space or choose another "
            "--output"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
