"""The Parquet result store: one flat row per evaluation, one part per finished trial.

Only this module knows the layout. A part appears whole or not at all and never changes, so
writers share nothing and need no lock. The rows of a trial always come from one file, which is
what makes recording a trial twice, and merging parts while others read, harmless.
"""

import contextlib
import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.errors import SweeperError

SCHEMA_VERSION = 1
RESULTS = "results"  # where a run directory keeps its store

_VERSION_KEY = b"sweeper_schema_version"
_COMPACTED = "compacted-"
_TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Column(NamedTuple):
    """One column of a stored row; a `required` one is never null."""

    name: str
    type: pa.DataType
    description: str
    required: bool = False


_TEXT, _FLOAT, _INT, _FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

# nll, mi, elbo and kl are nats per observation. `_se` is the Monte Carlo standard error,
# `_sampling_se` the one from evaluating a subset of the split (null for a full split).
COLUMNS = (
    Column("experiment", _TEXT, "name in the experiment file", True),
    Column("arm", _TEXT, "arm of the experiment", True),
    Column("trial_id", _TEXT, "identity: configuration and seed", True),
    Column("config_hash", _TEXT, "hash of the resolved trial and its data", True),
    Column("seed", _INT, "seed of every random generator of the trial", True),
    Column("step", _INT, "optimiser steps taken before this evaluation", True),
    Column("final", _FLAG, "true for the last row of a trial, and only there", True),
    Column("status", _TEXT, "running (not final), done, diverged or failed", True),
    Column("reason", _TEXT, "why the trial diverged or failed"),
    Column("confirms", _TEXT, "trial whose configuration this one repeats, to confirm it"),
    Column("scale", _TEXT, "named scale of the experiment, where one was chosen"),
    Column("split", _TEXT, "split evaluated: train, validation or test"),
    Column("nll", _FLOAT, "estimated negative log-likelihood, nats per observation"),
    Column("nll_se", _FLOAT, "Monte Carlo standard error of nll"),
    Column("nll_sampling_se", _FLOAT, "standard error of nll from evaluating a subset"),
    Column("mi", _FLOAT, "estimated I(x; z) under the model, nats per observation"),
    Column("mi_se", _FLOAT, "Monte Carlo standard error of mi"),
    Column("mi_sampling_se", _FLOAT, "standard error of mi from evaluating a subset"),
    Column("nll_mi_covariance", _FLOAT, "Monte Carlo covariance of nll and mi"),
    Column("nll_exact", _FLOAT, "negative log-likelihood by enumerating the latent space"),
    Column("mi_exact", _FLOAT, "mutual information by enumerating the latent space"),
    Column("elbo", _FLOAT, "evidence lower bound, nats per observation"),
    Column("elbo_se", _FLOAT, "Monte Carlo standard error of elbo"),
    Column("kl", _FLOAT, "mean KL(q(z|x) || p(z)), nats per observation"),
    Column("kl_se", _FLOAT, "Monte Carlo standard error of kl"),
    Column("ess", _FLOAT, "effective sample size of the K weights, mean over observations"),
    Column("ess_min", _FLOAT, "the same, smallest over observations"),
    Column("perplexity", _FLOAT, "exp of nll_per_token"),
    Column("nll_per_token", _FLOAT, "total NLL over total tokens, nats"),
    Column("mi_per_token", _FLOAT, "total MI over total tokens, nats"),
    Column("elbo_per_token", _FLOAT, "total ELBO over total tokens, nats"),
    Column("kl_per_token", _FLOAT, "total KL(q(z|x) || p(z)) over total tokens, nats"),
    Column("tokens", _FLOAT, "mean number of tokens an observation"),
    Column("observations", _INT, "observations evaluated"),
    Column("samples", _INT, "K, latent samples per observation in the evaluation"),
    Column("nll_per_token_sampling_se", _FLOAT, "standard error of nll_per_token from a subset"),
    Column("mi_per_token_sampling_se", _FLOAT, "standard error of mi_per_token from a subset"),
    Column("nll_floor", _FLOAT, "lowest possible nll, the entropy of the data, where known"),
    Column("mi_ceiling", _FLOAT, "highest possible mi, the limit of the latents, where known"),
    Column("train_loss", _FLOAT, "mean training loss since the evaluation before"),
    Column("train_seconds", _FLOAT, "seconds of training so far"),
    Column("eval_seconds", _FLOAT, "seconds of evaluation so far"),
    Column("steps_per_second", _FLOAT, "training steps per second"),
    Column("device", _TEXT, "device trained on"),
    Column("host", _TEXT, "machine trained on"),
    Column("peak_memory_bytes", _INT, "largest memory use of the trial's process or device"),
    Column("code_version", _TEXT, "version of the code that trained"),
    Column("data_sha256", _TEXT, "checksum of the data"),
    Column("created_at", pa.timestamp("us", tz="UTC"), "when the row was made", True),
    Column("schema_version", pa.int32(), "version of these columns", True),
    Column("trial", _TEXT, "the whole resolved trial as JSON with sorted keys"),
)
SCHEMA = pa.schema([pa.field(c.name, c.type, nullable=not c.required) for c in COLUMNS])


class ResultStore:
    """The rows of a run, below `directory`, which the first `append` creates."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ids: dict[Path, frozenset[str]] = {}  # of compacted files, which never change

    def append(self, rows: Sequence[Mapping[str, object]]) -> Path:
        """Record a finished trial: all its rows, the last of them final, as one durable part.

        Keys are the names in `COLUMNS` and, with a dot in them, the swept knobs, e.g.
        `training.learning_rate`; a knob that is no number, flag or text is stored as JSON.
        Missing keys are null; `schema_version` is set here, and `created_at` where it is missing.
        A trial that is already recorded stays as it is. Returns the file that holds the trial.

        Raises `ValueError` for rows that are not one finished trial, and `SweeperError` where
        the part cannot be written; then nothing of it is left.
        """
        table = _trial_table(rows)
        trial_id = table["trial_id"][0].as_py()
        path = self.directory / f"{trial_id}.parquet"
        if path.exists():
            return path
        for compacted in self._files()[0]:
            if trial_id in self._compacted_ids(compacted):
                return compacted
        return _write(table, path)

    def finished(self) -> set[str]:
        """Ids of the recorded trials, from the names of the parts; no part is opened."""
        compacted, parts = self._files()
        return {part.stem for part in parts}.union(*map(self._compacted_ids, compacted))

    def read(
        self, columns: Sequence[str] | None = None, *, final_only: bool = False
    ) -> pd.DataFrame:
        """Read the stored rows, one record per trial and step.

        `columns` defaults to all but `trial`, the long one. A column that a part lacks is null
        there; a knob that is an integer here and a float there is a float, any other mixture is
        text. Integers and flags that may be missing come as pandas' `Int64` and `boolean`.

        Raises `SweeperError` for damaged parts, for rows of a newer schema and for columns that
        nobody stored.
        """
        return _frame(self._table(columns, final_only))

    def compact(self, threshold: int = 500) -> Path | None:
        """Merge the parts into one file once there are `threshold` of them, and return it.

        Stopping at any point loses and repeats nothing: the merged file is complete before the
        first part is deleted. A damaged part is left where it is, for `read` to name.
        """
        compacted, parts = self._files()
        merged = set[str]().union(*map(self._compacted_ids, compacted))
        fresh = [part for part in parts if part.stem not in merged]
        for part in set(parts) - set(fresh):  # left by a compaction that was cut short
            part.unlink(missing_ok=True)
        if len(fresh) < threshold:
            return None
        whole = {}
        for part in fresh:
            with contextlib.suppress(SweeperError):
                whole[part] = _load(part)
        if not whole:
            return None
        digest = hashlib.sha256("\n".join(part.stem for part in whole).encode()).hexdigest()
        path = self.directory / f"{_COMPACTED}{digest[:16]}.parquet"
        _write(_unify(list(whole.values())), path)
        for part in whole:
            part.unlink(missing_ok=True)
        return path

    def _table(self, columns: Sequence[str] | None, final_only: bool) -> pa.Table:
        for _ in range(10):
            compacted, parts = self._files()
            try:
                return _read_files([*compacted, *parts], columns, final_only)
            except FileNotFoundError:  # merged into a compacted file since it was listed
                continue
        raise SweeperError(f"{self.directory} changes faster than it can be read; try again.")

    def _files(self) -> tuple[list[Path], list[Path]]:
        """List the compacted files and the parts, neither more nor less than exists."""
        while True:
            compacted = sorted(self.directory.glob(f"{_COMPACTED}*.parquet"))
            files = sorted(self.directory.glob("*.parquet"))
            # Parts are deleted only after the file they went into has appeared.
            if compacted == sorted(self.directory.glob(f"{_COMPACTED}*.parquet")):
                return compacted, [file for file in files if file not in compacted]

    def _compacted_ids(self, path: Path) -> frozenset[str]:
        if path not in self._ids:
            self._ids[path] = frozenset(_load(path, ["trial_id"])["trial_id"].to_pylist())
        return self._ids[path]


def read_runs(
    runs: Sequence[Path], columns: Sequence[str] | None = None, *, final_only: bool = False
) -> pd.DataFrame:
    """Read several run directories as `ResultStore.read` does, with a first column `run`.

    `run` is the directory's name, or its whole path where two runs share a name. A run without
    a finished trial has no rows.

    Raises `SweeperError` where a directory does not exist, and as `ResultStore.read` does.
    """
    paths = list(dict.fromkeys(run.resolve() for run in runs))
    names = [path.name for path in paths]
    tables = []
    for path in paths:
        if not path.is_dir():
            raise SweeperError(f"{path} is not a run; name a directory that `sweeper run` wrote.")
        tables.append(ResultStore(path / RESULTS)._table(columns, final_only))
    labels = [path.name if names.count(path.name) == 1 else str(path) for path in paths]
    frame = _frame(_unify(tables, columns))
    frame.insert(0, "run", pd.Series(np.repeat(labels, [len(t) for t in tables]), dtype="str"))
    return frame


def _write(table: pa.Table, path: Path) -> Path:
    table = table.replace_schema_metadata({_VERSION_KEY: str(SCHEMA_VERSION)})
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("xb") as file:
                pq.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # or a power cut could undo the renaming
        finally:
            os.close(directory)
    except OSError as error:
        raise SweeperError(
            f"cannot write {path}: {error.strerror or error}. What was stored before is intact; "
            "make room or mend the permissions, then resume the run."
        ) from error
    return path


def _trial_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """One finished trial as a table, checked."""
    now = datetime.now(UTC)
    rows = [{"created_at": now, **row, "schema_version": SCHEMA_VERSION} for row in rows]
    names = sorted({name for row in rows for name in row})
    for name in names:
        if "." not in name and name not in SCHEMA.names:
            raise ValueError(f"`{name}` is not a column of the result store.{_nearest(name)}")
    for column in COLUMNS:
        if column.required and any(row.get(column.name) is None for row in rows):
            raise ValueError(f"a row has no `{column.name}`, which every row needs.")
    if len({row["trial_id"] for row in rows}) != 1:
        raise ValueError("a part holds the rows of one trial, and at least one.")
    if [row["final"] for row in rows] != [False] * (len(rows) - 1) + [True]:
        raise ValueError("the last row of a finished trial is final, and no other.")
    trial_id = str(rows[0]["trial_id"])
    if not _TRIAL_ID.fullmatch(trial_id) or trial_id.startswith(_COMPACTED):
        raise ValueError(f"trial id {trial_id!r} is not a safe file name.")
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    for name in names:
        values = [row.get(name) for row in rows]
        if "." in name and any(value is not None for value in values):
            table = table.append_column(name, _knob(values))
    return table


def _knob(values: list[object]) -> pa.Array:
    """Values of a knob as flags, integers, floats or text; anything else as JSON text."""
    try:
        array = pa.array(values)
        if pa.types.is_integer(array.type):
            return array.cast(pa.int64())
        if pa.types.is_floating(array.type):
            return array.cast(pa.float64())
        if array.type in (pa.bool_(), pa.string()):
            return array
    except (pa.ArrowException, OverflowError):
        pass  # a mixture, or an integer beyond 64 bits
    plain = (str, type(None))
    return pa.array([v if isinstance(v, plain) else json.dumps(v, sort_keys=True) for v in values])


def _read_files(
    paths: Sequence[Path], columns: Sequence[str] | None, final_only: bool
) -> pa.Table:
    """Rows of the files of one store. Of a trial that lies in two files, the first one counts."""
    # `trial` is as long as all other columns together; who wants it asks for it.
    default = [name for name in SCHEMA.names if name != "trial"]
    needed = default if columns is None else list(dict.fromkeys([*columns, "trial_id", "final"]))
    tables, problems = [], []
    for path in paths:
        try:
            tables.append(_load(path, needed, knobs=columns is None))
        except SweeperError as error:
            problems.append(str(error))
    if problems:
        raise SweeperError("\n".join(problems))
    table = _unify(tables, None if columns is None else needed)
    trials, _ = pd.factorize(table["trial_id"].to_pandas())
    files = np.repeat(np.arange(len(tables)), [len(part) for part in tables])
    _, first_row = np.unique(trials, return_index=True)
    keep = files == files[first_row][trials]
    if final_only:
        keep &= table["final"].to_numpy()
    table = table if keep.all() else table.filter(pa.array(keep))
    return table if columns is None else table.select(list(columns))


def _load(path: Path, names: Sequence[str] = SCHEMA.names, knobs: bool = True) -> pa.Table:
    """At least those of the columns that a file has.

    Raises `SweeperError` unless it is a file of ours, whole, and of a schema known here.
    """
    try:
        with pq.ParquetFile(path) as file:
            stored = file.schema_arrow
            version = (stored.metadata or {}).get(_VERSION_KEY)
            if version is None:
                raise SweeperError(f"{path} was not written by sweeper; move it elsewhere.")
            if int(version) > SCHEMA_VERSION:
                raise SweeperError(
                    f"{path} was written by a newer sweeper (schema {int(version)}; this one "
                    f"reads up to {SCHEMA_VERSION}); upgrade sweeper to read it."
                )
            wanted = [n for n in stored.names if n in names or (knobs and "." in n)]
            return file.read(columns=wanted)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise SweeperError(
            f"{path} cannot be read ({str(error).splitlines()[0]}). If it is damaged, move it "
            "away and resume the run, which repeats the trials it held."
        ) from error


def _unify(tables: Sequence[pa.Table], names: Sequence[str] | None = None) -> pa.Table:
    """Concatenate tables whose knobs differ; `names` defaults to the columns of any of them."""
    types: dict[str, set[pa.DataType]] = {}
    for schema in {table.schema.remove_metadata() for table in tables}:
        for field in schema:
            types.setdefault(field.name, set()).add(field.type)
    if names is None:
        core = [name for name in SCHEMA.names if name != "trial" or name in types]
        names = [*core, *sorted(types.keys() - set(core))]
    target = pa.schema(
        SCHEMA.field(name) if name in SCHEMA.names else (name, _common(types.get(name, set())))
        for name in names
    )
    return pa.concat_tables([_conform(t, target) for t in tables] or [target.empty_table()])


def _common(types: set[pa.DataType]) -> pa.DataType:
    """The type that holds them all; null where there is none."""
    types = types - {pa.null()}
    if len(types) <= 1:
        return next(iter(types), pa.null())
    return pa.float64() if types == {pa.int64(), pa.float64()} else pa.string()


def _conform(table: pa.Table, target: pa.Schema) -> pa.Table:
    if table.schema.equals(target):
        return table
    for field in target:
        index = table.schema.get_field_index(field.name)
        if index < 0:
            table = table.append_column(field, pa.nulls(len(table), field.type))
        elif table.schema.field(index).type != field.type:
            # Not `safe`: a large integer becomes the nearest float.
            table = table.set_column(index, field, table[index].cast(field.type, safe=False))
    return table.select(target.names)


def _frame(table: pa.Table) -> pd.DataFrame:
    for field in table.schema:
        if field.type == pa.null() and len(table):
            raise SweeperError(f"no stored row has a column `{field.name}`.{_nearest(field.name)}")
    optional = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame = table.to_pandas(types_mapper=optional.get)
    plain = {"seed": "int64", "step": "int64", "final": "bool"}  # these are never missing
    return frame.astype({name: kind for name, kind in plain.items() if name in frame})


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, SCHEMA.names, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
