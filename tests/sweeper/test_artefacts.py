"""Curves and embeddings as files: whole, told apart from damaged ones, and out of the way."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper.artefacts import SCHEMAS, Artefacts
from sweeper.errors import SweeperError

CURVE = {
    "epsilon": [0.1, 0.25],
    "share": [0.5, 1.0],
    "delta": [0.01, 0.01],
    "dimension": [1, 0],
    "kl": [0.05, 0.2],
    "mean_variance": [0.001, None],
    "observations": [6, 6],
}
MAP = {
    "observation": [0, 3],
    "class": [None, 7],
    "x": [0.5, -1.0],
    "y": [2.0, 0.1],
    "perplexity": [1.0, 1.0],
}


def measured(step: int = 4, **tables: Any) -> dict[str, Any]:
    return {"step": step, "tables": tables or {"curves": CURVE, "embeddings": MAP}}


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    return Artefacts(tmp_path)


def present(path: Path) -> list[str]:
    """The files below the directories of tables."""
    found = (file for kind in SCHEMAS for file in (path / kind).rglob("*") if file.is_file())
    return sorted(file.relative_to(path).as_posix() for file in found)


def test_what_was_written_is_read(artefacts: Artefacts) -> None:
    artefacts.write("t-0", [measured(2), {"step": 3}, measured(4)])
    artefacts.write("u-0", [{"step": 4, "nll": 1.0}])

    for kind, written in (("curves", CURVE), ("embeddings", MAP)):
        read = artefacts.read(kind, ["t-0", "u-0", "v-0"])
        assert list(read) == SCHEMAS[kind].names
        assert read["trial_id"].tolist() == ["t-0"] * 4
        assert read["step"].tolist() == [2, 2, 4, 4]
        last = read[read["step"] == 4]
        for name, values in written.items():
            assert [None if pd.isna(value) else value for value in last[name]] == values
    assert present(artefacts.path) == ["curves/t-0.parquet", "embeddings/t-0.parquet"]


def test_other_tools_read_a_table(artefacts: Artefacts) -> None:
    artefacts.write("t-0", [measured()])
    read = pd.read_parquet(artefacts.path / "curves" / "t-0.parquet")

    assert read["epsilon"].tolist() == [0.1, 0.25]
    assert pd.isna(read["mean_variance"][1])


def test_a_trial_that_is_trained_again_has_its_new_tables(artefacts: Artefacts) -> None:
    artefacts.write("t-0", [measured(4)])
    artefacts.write("t-0", [measured(9)])

    assert set(artefacts.read("curves", ["t-0"])["step"]) == {9}


def test_no_trial_has_an_empty_table(artefacts: Artefacts) -> None:
    assert artefacts.read("curves", []).empty
    assert list(artefacts.read("embeddings", ["t-0"])) == SCHEMAS["embeddings"].names


@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_table_is_told_of_and_set_aside(artefacts: Artefacts, keep: int) -> None:
    artefacts.write("t-0", [measured()])
    path = artefacts.path / "curves" / "t-0.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    damaged: list[str] = []

    with pytest.raises(SweeperError, match=f"{path} cannot be read .*the rows are intact"):
        artefacts.read("curves", ["t-0"])
    assert artefacts.read("curves", ["t-0"], damaged).empty
    assert len(damaged) == 1
    [line] = artefacts.set_aside_damaged()
    assert line.startswith(f"{path} is damaged (")
    assert "\n" not in line
    assert artefacts.read("curves", ["t-0"]).empty
    assert present(artefacts.path) == ["curves/damaged/t-0.parquet", "embeddings/t-0.parquet"]
    assert artefacts.set_aside_damaged() == []


def test_tables_go_where_the_rows_go(artefacts: Artefacts) -> None:
    artefacts.write("t-0", [measured()])
    artefacts.write("u-0", [measured()])
    artefacts.withdraw(["t-0", "v-0"])

    assert set(artefacts.read("curves", ["t-0", "u-0"])["trial_id"]) == {"u-0"}
    assert "curves/withdrawn/t-0.parquet" in present(artefacts.path)
    assert "embeddings/withdrawn/t-0.parquet" in present(artefacts.path)
