"""`sweeper export`: the rows of a run as one flat file, or as Optuna studies.

Only the studies need Optuna; nothing here needs torch or Ray.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet

from sweeper.columns import SCHEMA_VERSION, VERSION_KEY
from sweeper.errors import SweeperError
from sweeper.located import unknown
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory

FILES = {"csv": "rows.csv", "parquet": "rows.parquet", "optuna": "study.journal"}


def export(
    run: RunDirectory,
    to: str,
    *,
    output: Path | None = None,
    final_only: bool = False,
    damaged: list[str] | None = None,
) -> str:
    """Write the rows of a run as `csv`, `parquet` or `optuna` journal; say what lies where.

    A file has all columns, `trial` among them; `final_only` leaves out what was measured before
    the end. A journal has a study for each arm with a trial for each final row. By default they go
    to `export/` in the run's directory. What is there is replaced, whole or not at all.

    Raises `SweeperError` for another format, where no trial has ended, and where it cannot be
    written. `damaged` is as in a `ResultStore`.
    """
    if to not in FILES:
        raise SweeperError(f"--to: {unknown('format', to, FILES)}")
    table = ResultStore(run.results, damaged).table(final_only=final_only or to == "optuna")
    if not len(table):
        raise SweeperError(
            f"{run.location}: no trial has ended yet, so there is nothing to export"
        )
    path = output or run.path / "export" / FILES[to]
    with _replacing(path) as partial:
        if to == "csv":
            pyarrow.csv.write_csv(table, partial)
        elif to == "parquet":
            version = {VERSION_KEY: str(SCHEMA_VERSION)}
            pyarrow.parquet.write_table(table.replace_schema_metadata(version), partial)
        else:
            from sweeper.stored import studies

            n_trials = studies.write(run, table, partial)
            told = ", ".join(f"{arm} with {n} trials" for arm, n in n_trials.items())
            return f"{path}: an Optuna journal; studies: {told}"
    return f"{path}: {len(table)} rows, {len(table.schema)} columns"


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of `path` at the end."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SweeperError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another "
            "--output"
        ) from None
