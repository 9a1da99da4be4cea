"""What a trial leaves that is no row: curves and embeddings, a Parquet table each, by its id.

A table appears whole or not at all, before the rows of its trial do, and counts only beside them.
It names its trial and step and nothing else that the rows say, so it moves between runs as it is.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sweeper.errors import SweeperError
from sweeper.parts import WITHDRAWN, DamagedError, NewerSchemaError, load, set_aside, write

_TRIAL = (("trial_id", pa.string()), ("step", pa.int64()))

# By the directory that they lie in, beside the rows.
SCHEMAS: Mapping[str, pa.Schema] = {
    # A row for each dimension of z, by rising `epsilon`.
    "curves": pa.schema(
        [
            *_TRIAL,
            ("epsilon", pa.float64()),  # the dimension is collapsed above it, in nats
            ("share", pa.float64()),  # of all dimensions, collapsed just above `epsilon`
            ("delta", pa.float64()),  # share of the observations that may have a larger KL
            ("dimension", pa.int64()),
            ("kl", pa.float64()),  # mean KL(q(z_i|x) || p(z_i)), in nats
            ("mean_variance", pa.float64()),  # of the posterior means; null without means
            ("observations", pa.int64()),  # N, that all of this is about
        ]
    ),
    # A row for each observation on the map.
    "embeddings": pa.schema(
        [
            *_TRIAL,
            ("observation", pa.int64()),  # its number in the split that is evaluated
            ("class", pa.int64()),  # its label, null where the data have none
            ("x", pa.float64()),
            ("y", pa.float64()),
            ("perplexity", pa.float64()),
        ]
    ),
}


class Artefacts:
    """The tables of the trials of a run, in directories below its own at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, trial_id: str, evaluations: Sequence[Mapping[str, Any]]) -> None:
        """Write the tables that the evaluations of a trial have, in place of earlier ones.

        Raises `SweeperError` where that cannot be done.
        """
        for kind, schema in SCHEMAS.items():
            found = [
                _table(schema, trial_id, evaluation["step"], columns)
                for evaluation in evaluations
                if (columns := evaluation.get("tables", {}).get(kind)) is not None
            ]
            if found:
                write(pa.concat_tables(found), self._at(kind, trial_id))

    def read(
        self, kind: str, trials: Iterable[str], damaged: list[str] | None = None
    ) -> pd.DataFrame:
        """Read the tables of one kind of some trials, of those that have one.

        What is wrong with files that cannot be read goes to `damaged`; without it, or where a
        newer version wrote them, `SweeperError` is raised.
        """
        tables = [SCHEMAS[kind].empty_table()]
        for trial in trials:
            path = self._at(kind, trial)
            try:
                tables.append(load(path, SCHEMAS[kind].names).select(SCHEMAS[kind].names))
            except FileNotFoundError:
                continue
            except (SweeperError, KeyError) as error:
                problem = error
                if isinstance(error, KeyError | DamagedError):
                    reason = getattr(error, "reason", "it lacks a column")
                    problem = SweeperError(
                        f"{path} cannot be read ({reason}). It is damaged; resume the run, which "
                        "sets it aside: the rows are intact, and figures do without it."
                    )
                if damaged is None or isinstance(error, NewerSchemaError):
                    raise problem from None
                damaged.append(str(problem))
        frame = pa.concat_tables([t.replace_schema_metadata() for t in tables]).to_pandas(
            types_mapper={pa.int64(): pd.Int64Dtype()}.get
        )
        return frame.astype({"step": "int64"})

    def withdraw(self, trials: Iterable[str]) -> None:
        """Put the tables of trials that count no more where the rows of such go.

        Raises `SweeperError` where that cannot be done.
        """
        for trial in trials:
            for kind in SCHEMAS:
                if (path := self._at(kind, trial)).exists():
                    set_aside(path, WITHDRAWN)

    def set_aside_damaged(self) -> list[str]:
        """Move damaged tables to `damaged/` beside them; gives a line for each of them.

        Raises `SweeperError` where one cannot be moved.
        """
        lines = []
        for kind in SCHEMAS:
            for path in sorted((self.path / kind).glob("*.parquet")):
                try:
                    load(path)
                except DamagedError as error:
                    aside = set_aside(path)
                    lines.append(
                        f"{path} is damaged ({error.reason}) and lies in {aside} now; the rows "
                        f"of its trial are intact, but figures do without these {kind}"
                    )
                except (SweeperError, FileNotFoundError):
                    continue
        return lines

    def copy(self, trials: Sequence[str], target: Path) -> None:
        """Copy the tables of some trials, as they are, to the run at `target`.

        Raises `OSError` where that cannot be done.
        """
        into = Artefacts(target)
        for kind in SCHEMAS:
            for trial in trials:
                if (path := self._at(kind, trial)).exists():
                    (target / kind).mkdir(exist_ok=True)
                    shutil.copyfile(path, into._at(kind, trial))

    def _at(self, kind: str, trial_id: str) -> Path:
        return self.path / kind / f"{trial_id}.parquet"


def _table(
    schema: pa.Schema, trial_id: str, step: int, columns: Mapping[str, Sequence[Any]]
) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table({"trial_id": [trial_id] * n, "step": [step] * n, **columns}, schema)
