"""The Parquet result store: one flat row per evaluation, one part per finished trial.

Only this module knows the layout. A part appears whole or not at all and never changes, so
writers share nothing and need no lock. The rows of a trial always come from one file, which is
what makes recording a trial twice, and merging parts while others read, harmless.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sweeper.columns import COLUMNS, SCHEMA, SCHEMA_VERSION, nearest_column
from sweeper.errors import SweeperError
from sweeper.parts import WITHDRAWN, DamagedError, NewerSchemaError, load, set_aside, write

RESULTS = "results"  # where a run directory keeps its store

_COMPACTED = "compacted-"
# `trial` is as long as all other columns together; who wants it asks for it.
_ALL_BUT_TRIAL = tuple(name for name in SCHEMA.names if name != "trial")
_TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ResultStore:
    """The rows of a run, below `directory`, which the first `append` creates.

    A part that cannot be read is an error; with a list `damaged`, it is passed over instead and
    what is wrong with it goes there, once. Rows of a newer schema are an error in any case.
    """

    def __init__(self, directory: Path, damaged: list[str] | None = None) -> None:
        self.directory, self.damaged = directory, damaged
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
        for compacted in self._compacted_files():
            if trial_id in self._compacted_ids(compacted):
                return compacted
        return write(table, path)

    def stamp(self) -> frozenset[tuple[str, int]]:
        """Give what is another whenever the stored rows are; no part is opened."""
        stamps = set()
        for path in self.directory.glob("*.parquet"):
            with contextlib.suppress(FileNotFoundError):  # merged since it was listed
                stamps.add((path.name, path.stat().st_mtime_ns))
        return frozenset(stamps)

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

    def table(self, *, final_only: bool = False) -> pa.Table:
        """Read the rows as `read` does, with the column `trial`, in Arrow's types."""
        return self._table(None, final_only, SCHEMA.names)

    def trial(self, trial_id: str) -> pd.DataFrame:
        """Read the rows of one trial with all columns; none where it is not stored.

        Raises `SweeperError` where its part cannot be read.
        """
        compacted, parts = self._files()
        for path in [*compacted, *parts]:
            if path.stem == trial_id or (
                path in compacted and trial_id in self._compacted_ids(path)
            ):
                table = load(path)
                mine = pa.array([stored == trial_id for stored in table["trial_id"].to_pylist()])
                return _frame(_unify([table.filter(mine)]))
        return _frame(SCHEMA.empty_table())

    def add(self, tables: Sequence[pa.Table]) -> Path:
        """Store whole trials of other stores, as `table` gives them, none twice; as one file.

        Raises `SweeperError` where it cannot be written.
        """
        whole = _unify(tables)
        return write(whole, self._compacted(whole["trial_id"].unique().to_pylist()))

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
                whole[part] = load(part)
        if not whole:
            return None
        path = self._compacted([part.stem for part in whole])
        write(_unify(list(whole.values())), path)
        for part in whole:
            part.unlink(missing_ok=True)
        return path

    def set_aside_damaged(self) -> list[str]:
        """Move damaged files to `damaged/` below it, so that the trials they held are missing.

        Gives a line for each of them. The caller holds the run's lock. Raises `SweeperError`
        where one cannot be moved; files of another program or a newer sweeper stay, for `read`.
        """
        lines = []
        for path in sorted(self.directory.glob("*.parquet")):
            try:
                load(path)
            except DamagedError as error:
                aside = set_aside(path)
                self._ids.pop(path, None)
                lines.append(f"{path} is damaged ({error.reason}) and lies in {aside} now")
            except (SweeperError, FileNotFoundError):
                continue
        return lines

    def withdraw(self, status: str) -> list[str]:
        """Take the trials that ended with a status out of the store, so that they are missing.

        Their files go to `withdrawn/` below it. Gives their ids. The caller holds the run's lock.
        Raises `SweeperError` where a file cannot be moved, or cannot be read.
        """
        withdrawn: list[str] = []
        compacted, parts = self._files()
        for path in [*compacted, *parts]:
            table = load(path)
            endings = zip(*(table[n].to_pylist() for n in ("trial_id", "status")), strict=True)
            ids = {trial for trial, ended in endings if ended == status}
            if not ids:
                continue
            rest = table.filter(pa.array([t not in ids for t in table["trial_id"].to_pylist()]))
            if len(rest):
                self.add([rest])
            set_aside(path, WITHDRAWN)
            self._ids.pop(path, None)
            withdrawn += sorted(ids)
        return withdrawn

    def _compacted(self, trials: Sequence[str]) -> Path:
        digest = hashlib.sha256("\n".join(trials).encode()).hexdigest()
        return self.directory / f"{_COMPACTED}{digest[:16]}.parquet"

    def _table(
        self,
        columns: Sequence[str] | None,
        final_only: bool,
        default: Sequence[str] = _ALL_BUT_TRIAL,
    ) -> pa.Table:
        for _ in range(10):
            compacted, parts = self._files()
            try:
                tables = self._load_all([*compacted, *parts], columns, default)
            except FileNotFoundError:  # merged into a compacted file since it was listed
                continue
            return _of_whole_trials(tables, columns, final_only)
        raise SweeperError(f"{self.directory} changes faster than it can be read; try again.")

    def _files(self) -> tuple[list[Path], list[Path]]:
        """List the compacted files and the parts, neither more nor less than exists."""
        while True:
            compacted = self._compacted_files()
            files = sorted(self.directory.glob("*.parquet"))
            # Parts are deleted only after the file they went into has appeared.
            if compacted == self._compacted_files():
                return compacted, [file for file in files if file not in compacted]

    def _compacted_files(self) -> list[Path]:
        """List the compacted files, without a look at the parts beside them.

        Every finished trial asks, so that a long sweep would feel anything slower.
        """
        try:
            with os.scandir(self.directory) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(_COMPACTED)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [self.directory / name for name in sorted(names) if name.endswith(".parquet")]

    def _compacted_ids(self, path: Path) -> frozenset[str]:
        if path not in self._ids:
            tables = self._load_all([path], ["trial_id"], ())
            self._ids[path] = frozenset(i for t in tables for i in t["trial_id"].to_pylist())
        return self._ids[path]

    def _load_all(
        self, paths: Sequence[Path], columns: Sequence[str] | None, default: Sequence[str]
    ) -> list[pa.Table]:
        """Load what the `columns` need, or the `default` ones and the knobs, of several files."""
        needed = default if columns is None else [*columns, "trial_id", "final"]
        tables, problems = [], []
        for path in paths:
            try:
                tables.append(load(path, needed, knobs=columns is None))
            except SweeperError as error:
                if self.damaged is None or isinstance(error, NewerSchemaError):
                    problems.append(str(error))
                elif str(error) not in self.damaged:
                    self.damaged.append(str(error))
        if problems:
            raise SweeperError("\n".join(problems))
        return tables


def read_runs(
    runs: Sequence[Path],
    columns: Sequence[str] | None = None,
    *,
    final_only: bool = False,
    damaged: list[str] | None = None,
) -> pd.DataFrame:
    """Read several run directories as `ResultStore.read` does, with a first column `run`.

    `run` is the directory's name, or its whole path where two runs share a name. A run without
    a finished trial has no rows. `damaged` is as in a `ResultStore`.

    Raises `SweeperError` where a directory does not exist, and as `ResultStore.read` does.
    """
    named = {run.resolve(): run for run in reversed(runs)}  # as they are named in errors
    paths = list(dict.fromkeys(run.resolve() for run in runs))
    names = [path.name for path in paths]
    tables = []
    for path in paths:
        if not path.is_dir():
            raise SweeperError(f"{path} is not a run; name a directory that `sweeper run` wrote.")
        tables.append(ResultStore(named[path] / RESULTS, damaged)._table(columns, final_only))
    labels = [path.name if names.count(path.name) == 1 else str(path) for path in paths]
    frame = _frame(_unify(tables, columns))
    frame.insert(0, "run", pd.Series(np.repeat(labels, [len(t) for t in tables]), dtype="str"))
    return frame


def _trial_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """One finished trial as a table, checked."""
    now = datetime.now(UTC)
    rows = [{"created_at": now, **row, "schema_version": SCHEMA_VERSION} for row in rows]
    names = sorted({name for row in rows for name in row})
    for name in names:
        if "." not in name and name not in SCHEMA.names:
            raise ValueError(
                f"`{name}` is not a column of the result store.{nearest_column(name)}"
            )
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


def _of_whole_trials(
    tables: Sequence[pa.Table], columns: Sequence[str] | None, final_only: bool
) -> pa.Table:
    """Rows of the files of one store. Of a trial that lies in two files, the first one counts."""
    needed = None if columns is None else list(dict.fromkeys([*columns, "trial_id", "final"]))
    table = _unify(tables, needed)
    trials, _ = pd.factorize(table["trial_id"].to_pandas())
    files = np.repeat(np.arange(len(tables)), [len(part) for part in tables])
    _, first_row = np.unique(trials, return_index=True)
    keep = files == files[first_row][trials]
    if final_only:
        keep &= table["final"].to_numpy()
    table = table if keep.all() else table.filter(pa.array(keep))
    return table if columns is None else table.select(list(columns))


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
            raise SweeperError(
                f"no stored row has a column `{field.name}`.{nearest_column(field.name)}"
            )
    optional = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame = table.to_pandas(types_mapper=optional.get)
    plain = {"seed": "int64", "step": "int64", "final": "bool"}  # these are never missing
    return frame.astype({name: kind for name, kind in plain.items() if name in frame})
