"""The result store: rows come back as they were stored, and what is no trial is refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from analysis.frontier import COLUMNS as FRONTIER_COLUMNS
from analysis.frontier import frontier_points
from sweeper.columns import COLUMNS, SCHEMA, SCHEMA_VERSION
from sweeper.errors import SweeperError
from sweeper.results import ResultStore, read_runs
from tests.sweeper.parts import files, trial

VALUES = {
    pa.string(): st.text(),
    pa.float64(): st.floats(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.bool_(): st.booleans(),
}


@st.composite
def trials(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Finished trials with any values in every column that is free to vary."""
    fixed = {"trial_id", "step", "final", "created_at", "schema_version"}
    free = [column for column in COLUMNS if column.name not in fixed]
    drawn = []
    for index in range(draw(st.integers(1, 3))):
        rows = trial(f"t{index}", draw(st.integers(1, 3)))
        for row in rows:
            for column in free:
                value = VALUES[column.type]
                row[column.name] = draw(value if column.required else st.none() | value)
            row["training.steps"] = draw(st.none() | VALUES[pa.int64()])
            row["training.learning_rate"] = draw(st.none() | st.floats(allow_nan=False))
            row["model.name"] = draw(st.none() | st.text())
        drawn.append(rows)
    return drawn


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(trials(), st.booleans())
def test_rows_come_back_as_they_were_stored(
    tmp_path_factory: pytest.TempPathFactory, stored: list[list[dict[str, Any]]], compacted: bool
) -> None:
    store = ResultStore(tmp_path_factory.mktemp("store"))
    for rows in stored:
        store.append(rows)
    if compacted:
        assert store.compact(threshold=1) is not None
    expected = [{**row, "schema_version": SCHEMA_VERSION} for rows in stored for row in rows]
    knobs = [n for n in expected[0] if "." in n and any(row[n] is not None for row in expected)]
    names = [*SCHEMA.names, *knobs]

    read = store.read(names)

    assert list(read.columns) == names
    for row, record in zip(expected, read.to_dict("records"), strict=True):
        for name in names:
            value = row.get(name)
            if value is None or value != value:  # pandas knows one kind of missing float
                assert pd.isna(record[name])
            else:
                assert record[name] == value


def test_every_column_is_described_once() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS) == len(SCHEMA)
    assert all(column.description for column in COLUMNS)


def test_the_schema_alone_says_the_types_even_where_nothing_is_stored(store: ResultStore) -> None:
    empty = store.read()
    store.append(trial("t"))
    pd.testing.assert_series_equal(empty.dtypes, store.read().dtypes)
    assert store.read()["final"].dtype == bool
    assert str(store.read()["created_at"].dtype) == "datetime64[us, UTC]"


def test_the_long_column_is_read_only_when_asked_for(store: ResultStore) -> None:
    store.append(trial("t"))
    assert "trial" not in store.read()
    assert list(store.read(["trial", "nll"]).columns) == ["trial", "nll"]


def test_final_rows_are_one_per_trial(store: ResultStore) -> None:
    store.append(trial("t", evaluations=3))
    store.append(trial("u", evaluations=2, status="diverged", reason="loss is nan"))
    assert len(store.read()) == 5
    final = store.read(["trial_id", "step", "reason"], final_only=True)
    assert final["trial_id"].tolist() == ["t", "u"]
    assert final["step"].tolist() == [2, 1]
    assert final["reason"].tolist()[1] == "loss is nan"


def test_a_missing_creation_time_is_now(store: ResultStore) -> None:
    rows = trial("t")
    del rows[0]["created_at"]
    before = datetime.now(UTC)
    store.append(rows)
    assert before <= store.read()["created_at"][0] <= datetime.now(UTC)


def test_a_trial_is_recorded_once_and_the_first_record_stands(store: ResultStore) -> None:
    part = store.append(trial("t", nll=1.0))
    assert store.append(trial("t", nll=2.0)) == part
    compacted = store.compact(threshold=1)
    assert store.append(trial("t", nll=3.0)) == compacted
    assert ResultStore(store.directory).append(trial("t", nll=4.0)) == compacted
    assert store.read()["nll"].tolist() == [1.0]


def test_finished_trials_are_known_from_parts_and_compacted_files(store: ResultStore) -> None:
    assert store.finished() == set()
    store.append(trial("t"))
    store.append(trial("u", status="failed"))
    store.compact(threshold=2)
    store.append(trial("v"))
    assert store.finished() == {"t", "u", "v"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0.5], [1.0, 0.5]),
        ([2**60 + 1, 0.5], [2.0**60, 0.5]),
        ([1, "auto"], ["1", "auto"]),
        ([True, "auto"], ["true", "auto"]),
        ([True, 2], ["true", "2"]),
        ([{"name": "sgd", "betas": [0, 1]}, "adam"], ['{"betas": [0, 1], "name": "sgd"}', "adam"]),
        ([2**70, 1], [str(2**70), "1"]),
    ],
)
@pytest.mark.parametrize("compact", [False, True])
def test_knobs_of_different_types_meet_in_one_column(
    store: ResultStore, values: list[object], expected: list[object], compact: bool
) -> None:
    for index, value in enumerate(values):
        store.append(trial(f"t{index}", **{"model.knob": value}))
    if compact:
        store.compact(threshold=1)
    assert store.read()["model.knob"].tolist() == expected


def test_a_knob_that_some_arms_lack_is_null_there_and_keeps_its_type(store: ResultStore) -> None:
    store.append(trial("t", **{"model.hidden": 64}))
    store.append(trial("u"))
    store.append(trial("v", **{"model.hidden": None}))
    hidden = store.read()["model.hidden"]
    assert hidden.dtype == pd.Int64Dtype()
    assert hidden.isna().tolist() == [False, True, True]


def test_a_knob_is_not_taken_for_one_whose_path_it_begins(store: ResultStore) -> None:
    store.append(trial("t", **{"model.latents": "none", "model.latents.categories": 8}))
    assert store.read(["model.latents"]).to_dict("list") == {"model.latents": ["none"]}


def test_parts_from_before_a_column_was_added_are_read_without_it(store: ResultStore) -> None:
    old = store.append(trial("old", nll=1.0))
    added = ["mi_q", "mi_q_se", "mi_q_ceiling", "mi_q_batch", "active_units", "updates", "epochs"]
    added += ["kl_weight", "critic", "critic_bound", "critic_ceiling", "critic_temperature"]
    added += ["train_kl", "kl_set_point", "kl_integral"]
    added += ["gradient_evaluations", "encoder_passes", "decoder_passes"]
    table = pq.read_table(old)
    pq.write_table(table.drop_columns(added), old)  # which keeps the schema's version
    store.append(trial("new", nll=2.0, mi_q=0.5, active_units=3, updates=7, epochs=0.5))

    rows = store.read().set_index("trial_id")

    assert rows.loc["old", added].isna().all()
    assert rows.loc["old", "nll"] == 1.0
    assert rows.loc["new", ["mi_q", "active_units", "updates", "epochs"]].tolist() == [
        *(0.5, 3, 7, 0.5)
    ]
    assert (rows["schema_version"] == SCHEMA_VERSION).all()
    assert store.compact(threshold=2) is not None
    assert store.read().set_index("trial_id").loc["old", added].isna().all()


def test_runs_are_read_together_under_their_names(tmp_path: Path) -> None:
    for run, knob in (("one", 1), ("two", "many")):
        ResultStore(tmp_path / run / "results").append(trial("t", **{"model.knob": knob}))
    (tmp_path / "empty").mkdir()

    runs = read_runs([tmp_path / name for name in ("one", "two", "empty", "one")])

    assert runs.columns[0] == "run"
    assert runs["run"].tolist() == ["one", "two"]
    assert runs["model.knob"].tolist() == ["1", "many"]
    assert list(read_runs([tmp_path / "one"], ["nll"]).columns) == ["run", "nll"]
    assert len(read_runs([tmp_path / "empty"])) == 0


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    runs = [tmp_path / parent / "run" for parent in ("here", "there")]
    for run in runs:
        ResultStore(run / "results").append(trial("t"))
    assert read_runs(runs)["run"].tolist() == [str(run) for run in runs]


def test_a_frontier_is_drawn_from_what_is_stored(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "run" / "results")
    store.append(trial("t", evaluations=2, nll=5.0, mi=1.0))
    store.append(trial("u", nll=6.0, mi=0.5, nll_exact=4.5, mi_exact=0.6, samples=100))
    store.append(trial("v", nll=6.0, mi=0.9))
    store.append(trial("w", status="diverged", nll=None, mi=None))
    frontier = frontier_points(read_runs([tmp_path / "run"], FRONTIER_COLUMNS))
    assert frontier.points["trial_id"].tolist() == ["t", "u", "v"]
    assert frontier.points["nll_value"].tolist() == [5.0, 4.5, 6.0]
    assert frontier.points["on_frontier"].tolist() == [True, True, False]
    assert frontier.left_out == {"diverged": 1}


def test_a_run_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="nowhere is not a run"):
        read_runs([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one"),
        ([*trial("t"), *trial("u")], "rows of one trial"),
        ([*trial("t"), *trial("t")], "last row of a finished trial is final"),
        (trial("t", final=False), "last row of a finished trial is final"),
        (trial("t", seed=None), "no `seed`"),
        (trial("t", nll_sd=0.1), "`nll_sd` is not a column.*`nll_se`"),
    ],
)
def test_rows_that_are_not_one_finished_trial_are_refused(
    store: ResultStore, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.append(rows)
    assert not store.directory.exists()


def test_a_column_that_nobody_stored_is_named_with_the_nearest(store: ResultStore) -> None:
    store.append(trial("t"))
    with pytest.raises(SweeperError, match=r"`nll_exat`\. Did you mean `nll_exact`\?"):
        store.read(["nll_exat"])
    with pytest.raises(SweeperError, match=r"`model\.hidden`"):
        store.read(["model.hidden"])


@pytest.mark.parametrize("compacted", [False, True])
def test_one_trial_is_read_with_all_its_columns(store: ResultStore, compacted: bool) -> None:
    store.append(trial("t", evaluations=2, **{"training.learning_rate": 0.5}))
    store.append(trial("u"))
    if compacted:
        store.compact(threshold=2)
    rows = store.trial("t")

    assert rows["trial_id"].tolist() == ["t", "t"]
    assert rows["final"].tolist() == [False, True]
    assert rows["trial"].tolist() == ["{}", "{}"]
    assert rows["training.learning_rate"].tolist()[1] == 0.5
    assert store.trial("v").empty


def test_one_trial_is_read_whatever_state_the_other_parts_are_in(store: ResultStore) -> None:
    store.append(trial("t"))
    store.append(trial("u")).write_bytes(b"")

    assert len(store.trial("t")) == 1
    with pytest.raises(SweeperError, match=r"u\.parquet cannot be read"):
        store.trial("u")


def test_trials_of_other_stores_are_added_with_all_their_columns(
    store: ResultStore, tmp_path: Path
) -> None:
    other = ResultStore(tmp_path / "other")
    other.append(trial("t", **{"model.hidden": 2}))
    store.append(trial("u", **{"model.hidden": 0.5}))
    together = ResultStore(tmp_path / "together")
    together.add([store.table(), other.table()])

    assert together.finished() == {"t", "u"}
    assert together.read()["model.hidden"].tolist() == [0.5, 2.0]
    assert together.table()["trial"].to_pylist() == ["{}", "{}"]
    assert together.append(trial("t")) in together.directory.iterdir()
    assert len(files(together)) == 1
