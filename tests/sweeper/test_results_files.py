"""The files of the result store: damage, other programs, compaction, and full disks."""

import os
import resource
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from sweeper.columns import SCHEMA
from sweeper.errors import SweeperError
from sweeper.results import ResultStore, read_runs
from tests.sweeper.parts import files, trial


@pytest.mark.parametrize(
    "trial_id", ["", ".", "../t", "a/b", "/etc/t", ".hidden", "a\n", "é", "x" * 129, "compacted-1"]
)
def test_a_trial_id_cannot_leave_the_store(store: ResultStore, trial_id: str) -> None:
    with pytest.raises(ValueError, match="not a safe file name"):
        store.append(trial(trial_id))
    assert not store.directory.exists()


def test_what_a_crash_leaves_behind_is_not_read(store: ResultStore) -> None:
    store.append(trial("t"))
    for name in ("u.parquet.0.partial", "v.parquet.tmp"):
        (store.directory / name).write_bytes(b"half a part")
    assert store.read()["trial_id"].tolist() == ["t"]
    assert store.finished() == {"t"}


def test_damaged_parts_are_all_named_one_a_line(store: ResultStore) -> None:
    truncated, emptied = store.append(trial("t")), store.append(trial("u"))
    store.append(trial("v"))
    truncated.write_bytes(truncated.read_bytes()[:-100])
    emptied.write_bytes(b"")
    with pytest.raises(SweeperError) as error:
        store.read()
    lines = str(error.value).splitlines()
    assert [line.split(" cannot be read")[0] for line in lines] == [str(truncated), str(emptied)]


def test_a_reader_is_told_of_every_byte_that_was_changed(store: ResultStore) -> None:
    """The names of columns, say, are where Parquet's own checksums do not reach."""
    part = store.append(trial("t"))
    whole, content = store.table(), part.read_bytes()
    noticed = 0
    for position in range(0, len(content), 3):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        part.write_bytes(changed)
        try:
            assert store.table().equals(whole), position  # in the checksum's own mark
        except SweeperError:
            noticed += 1
    assert noticed >= len(range(0, len(content), 3)) - 3


def test_a_part_of_an_earlier_version_has_no_checksum_and_is_read(store: ResultStore) -> None:
    part = store.append(trial("t"))
    whole = store.table()
    pq.write_table(pq.read_table(part), part)

    assert store.table().equals(whole)
    assert store.set_aside_damaged() == []


def test_what_is_damaged_is_set_aside_and_kept(store: ResultStore) -> None:
    for name in ("t", "u", "v"):
        store.append(trial(name))
    compacted = store.compact(threshold=3)
    assert compacted is not None
    truncated = store.append(trial("w"))
    for _ in range(2):
        store.append(trial("w"))
        truncated.write_bytes(truncated.read_bytes()[:-100])
        [line] = store.set_aside_damaged()
        assert line.startswith(f"{truncated} is damaged (")
    compacted.write_bytes(b"PAR1")
    [line] = store.set_aside_damaged()
    aside = store.directory / "damaged"
    assert line.endswith(f" and lies in {aside / compacted.name} now")

    assert store.finished() == set()
    assert store.read().empty
    assert sorted(path.name for path in aside.iterdir()) == [
        compacted.name,
        "w.parquet",
        "w.parquet.2",
    ]
    store.append(trial("t", nll=3.0))
    assert store.read()["nll"].tolist() == [3.0]


def test_what_is_not_damaged_stays_where_it_is(store: ResultStore) -> None:
    part = store.append(trial("t"))
    newer = pq.read_table(part).replace_schema_metadata({"sweeper_schema_version": "99"})
    pq.write_table(newer, part)
    pd.DataFrame({"a": [1]}).to_parquet(store.directory / "other.parquet")

    assert store.set_aside_damaged() == []
    assert files(store) == ["other.parquet", "t.parquet"]


@pytest.mark.parametrize("compacted", [False, True])
def test_withdrawn_trials_are_missing_and_kept(store: ResultStore, compacted: bool) -> None:
    store.append(trial("t", evaluations=2))
    store.append(trial("u", status="failed", evaluations=2))
    if compacted:
        store.compact(threshold=2)
    store.append(trial("v", status="failed"))
    before = store.read().query("trial_id == 't'")

    assert store.withdraw("failed") == ["u", "v"]

    pd.testing.assert_frame_equal(store.read(), before.reset_index(drop=True))
    assert store.finished() == ResultStore(store.directory).finished() == {"t"}
    kept = store.directory / "withdrawn"
    assert ResultStore(kept).finished() == ({"t", "u", "v"} if compacted else {"u", "v"})
    assert store.withdraw("failed") == []


def test_a_damaged_file_that_cannot_be_moved_is_one_error(store: ResultStore) -> None:
    store.append(trial("t")).write_bytes(b"")
    (store.directory / "damaged").write_text("in the way")
    with pytest.raises(SweeperError, match=r"cannot move .*t\.parquet") as error:
        store.set_aside_damaged()
    assert "\n" not in str(error.value)


def test_damaged_parts_are_passed_over_where_somebody_listens(store: ResultStore) -> None:
    truncated, emptied = store.append(trial("t")), store.append(trial("u"))
    store.append(trial("v"))
    truncated.write_bytes(truncated.read_bytes()[:-100])
    emptied.write_bytes(b"")
    damaged: list[str] = []
    listening = ResultStore(store.directory, damaged)

    assert listening.read()["trial_id"].tolist() == ["v"]
    assert listening.table()["trial_id"].to_pylist() == ["v"]
    assert [problem.split(" cannot be read")[0] for problem in damaged] == [
        str(truncated),
        str(emptied),
    ]
    of_runs: list[str] = []
    assert len(read_runs([store.directory.parent], damaged=of_runs)) == 1
    assert of_runs == damaged


def test_a_damaged_compacted_file_is_named_once(store: ResultStore) -> None:
    store.append(trial("t"))
    compacted = store.compact(threshold=1)
    assert compacted is not None
    store.append(trial("u"))
    compacted.write_bytes(b"PAR1")
    damaged: list[str] = []
    listening = ResultStore(store.directory, damaged)

    assert listening.finished() == {"u"}
    assert listening.read()["trial_id"].tolist() == ["u"]
    assert len(damaged) == 1


def test_rows_of_a_newer_schema_are_refused_whoever_listens(store: ResultStore) -> None:
    part = store.append(trial("t"))
    newer = pq.read_table(part).replace_schema_metadata({"sweeper_schema_version": "99"})
    pq.write_table(newer, part)
    damaged: list[str] = []
    with pytest.raises(SweeperError, match="was written by a newer sweeper"):
        ResultStore(store.directory, damaged).read()
    assert damaged == []


def test_a_file_of_another_program_is_named(store: ResultStore) -> None:
    store.append(trial("t"))
    pd.DataFrame({"a": [1]}).to_parquet(store.directory / "other.parquet")
    with pytest.raises(SweeperError, match=r"other\.parquet was not written by sweeper"):
        store.read()


def test_rows_of_a_newer_schema_are_refused_by_name(store: ResultStore) -> None:
    part = store.append(trial("t"))
    newer = pq.read_table(part).replace_schema_metadata({"sweeper_schema_version": "99"})
    pq.write_table(newer, part)
    with pytest.raises(SweeperError, match=r"t\.parquet was written by a newer sweeper .*99"):
        store.read()


def test_compaction_waits_for_enough_parts_and_merges_all_of_them(store: ResultStore) -> None:
    for index in range(3):
        store.append(trial(f"t{index}", evaluations=2))
    columns = [*SCHEMA.names]
    before = store.read(columns)
    assert store.compact(threshold=4) is None
    assert len(files(store)) == 3
    compacted = store.compact(threshold=3)
    assert compacted is not None
    assert files(store) == [compacted.name]
    pd.testing.assert_frame_equal(store.read(columns), before)
    assert store.compact(threshold=1) is None


@pytest.mark.parametrize("stopped_at", range(4))
def test_stopping_a_compaction_anywhere_loses_and_repeats_nothing(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    """Stopped before the merged file is renamed, and before each deletion of a part."""
    for index in range(3):
        store.append(trial(f"t{index}", evaluations=2))
    before = store.read()
    calls = 0

    def stop(real: Any) -> Any:
        def stopping(path: Path, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if path.suffix == ".parquet" or args:  # a part, or the merged file's rename
                calls += 1
                if calls > stopped_at:
                    raise KeyboardInterrupt
            return real(path, *args, **kwargs)

        return stopping

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop(Path.replace))
        patch.setattr(Path, "unlink", stop(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            store.compact(threshold=3)

    assert len(files(store)) == [3, 4, 3, 2][stopped_at]
    again = ResultStore(store.directory)
    pd.testing.assert_frame_equal(again.read(), before)
    assert again.finished() == {"t0", "t1", "t2"}
    again.compact(threshold=1)
    pd.testing.assert_frame_equal(again.read(), before)
    assert len(files(store)) == 1


def test_a_trial_that_lies_in_two_files_comes_from_one_of_them(store: ResultStore) -> None:
    """A part written late by a worker that was thought lost may hold other rows."""
    store.append(trial("t", evaluations=2))
    store.append(trial("u"))
    store.compact(threshold=2)
    late = ResultStore(store.directory / "elsewhere")
    late.append(trial("t", evaluations=3, status="failed")).rename(store.directory / "t.parquet")
    rows = store.read()
    assert rows["trial_id"].tolist() == ["t", "t", "u"]
    assert rows["status"].tolist() == ["running", "done", "done"]


def test_compaction_leaves_a_damaged_part_for_the_reader_to_name(store: ResultStore) -> None:
    damaged = store.append(trial("t"))
    store.append(trial("u"))
    damaged.write_bytes(b"PAR1")
    compacted = store.compact(threshold=2)
    assert compacted is not None
    assert files(store) == sorted([compacted.name, "t.parquet"])
    assert pq.read_table(compacted)["trial_id"].to_pylist() == ["u"]


def test_reading_survives_a_compaction_by_another_process(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        store.append(trial(f"t{index}"))
    listed = store._files

    def list_then_compact() -> tuple[list[Path], list[Path]]:
        answer = listed()
        ResultStore(store.directory).compact(threshold=3)
        return answer

    monkeypatch.setattr(store, "_files", list_then_compact)
    assert store.read()["trial_id"].tolist() == ["t0", "t1", "t2"]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing_behind(store: ResultStore) -> None:
    """The kernel refuses to let the file grow, as it would on a full disk."""
    store.append(trial("t"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(SweeperError, match=r"cannot write .*u\.parquet: File too large") as e:
            store.append(trial("u"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(e.value)
    assert files(store) == ["t.parquet"]
    store.append(trial("u"))
    assert store.finished() == {"t", "u"}


def test_a_store_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(SweeperError, match=r"cannot write .*t\.parquet"):
        ResultStore(tmp_path / "results").append(trial("t"))


def test_parts_can_be_read_by_whoever_may_read_the_directory(store: ResultStore) -> None:
    part = store.append(trial("t"))
    umask = os.umask(0)
    os.umask(umask)
    assert part.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_stamp_changes_with_the_rows_and_only_then(store: ResultStore) -> None:
    stamps = [store.stamp()]
    path = store.append(trial("t"))
    stamps.append(store.stamp())
    store.read()
    assert store.stamp() == stamps[-1]
    store.append(trial("u"))
    stamps.append(store.stamp())
    path.unlink()
    store.append(trial("t", nll=3.0))
    stamps.append(store.stamp())
    store.compact(threshold=1)
    stamps.append(store.stamp())

    assert len(set(stamps)) == len(stamps)
