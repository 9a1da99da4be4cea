"""A run's rows in other formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored.exporting import export

MakeExperiment = Callable[..., Experiment]
TrainRun = Callable[..., RunDirectory]


@pytest.fixture
def run(experiment: MakeExperiment, train_run: TrainRun) -> RunDirectory:
    """A run of three trials with two evaluations each."""
    return train_run(experiment(trial={"evaluation": {"every": 2}}))


def test_a_parquet_file_has_all_rows_and_can_be_a_store(run: RunDirectory, tmp_path: Path) -> None:
    path = tmp_path / "store" / "rows.parquet"
    told = export(run, "parquet", output=path)

    table = ResultStore(run.results).table()
    assert told == f"{path}: 6 rows, {len(table.schema)} columns"
    assert pq.read_table(path).equals(table)
    assert pq.read_schema(path).metadata[b"sweeper_schema_version"] == b"1"
    assert ResultStore(path.parent).table().equals(table)


def test_a_csv_file_has_the_same_numbers_to_the_last_digit(
    run: RunDirectory, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    export(run, "csv", output=path)

    stored = ResultStore(run.results).table()
    options = csv.ConvertOptions(
        column_types=stored.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    assert csv.read_csv(path, convert_options=options).to_pylist() == stored.to_pylist()
    pd.testing.assert_series_equal(
        pd.read_csv(path)["nll"], stored["nll"].to_pandas(), check_names=False
    )


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_only_the_ends_are_written_where_that_is_wanted(run: RunDirectory, to: str) -> None:
    told = export(run, to, final_only=True)

    assert told.startswith(f"{run.path}/export/rows.{to}: 3 rows, ")


def test_what_was_exported_before_is_replaced_whole(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("before")

    def full(table: Any, where: Path) -> None:
        Path(where).write_text("half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.csv.write_csv", full)
        with pytest.raises(SweeperError, match=r"cannot write .*rows\.csv: No space left"):
            export(run, "csv", output=path)
    assert path.read_text() == "before"
    export(run, "csv", output=path)
    assert path.read_text().startswith('"experiment"')
    assert not list(tmp_path.glob(".rows*"))


def test_a_place_that_cannot_be_written_is_one_line(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match=r"cannot write .*; free space or choose another"):
        export(run, "csv", output=run.experiment_file / "rows.csv")
    with pytest.raises(SweeperError, match=r"cannot write .*: Is a directory"):
        export(run, "optuna", output=run.results)


def test_another_format_is_refused_with_the_nearest(run: RunDirectory) -> None:
    with pytest.raises(SweeperError, match=r"--to: unknown format 'parket'; did you mean 'parq"):
        export(run, "parket")


def test_where_nothing_has_ended_there_is_nothing_to_export(
    experiment: MakeExperiment, train_run: TrainRun
) -> None:
    run = train_run(experiment(), 0)

    with pytest.raises(SweeperError, match=r"runs/tiny: no trial has ended yet"):
        export(run, "csv")
    assert not (run.path / "export").exists()
