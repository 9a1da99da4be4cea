"""The copy of a run that lies in an object store: what goes there, what comes back, and when."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from soak.object_store import BUCKET, ObjectStore
from sweeper import lease, parts
from sweeper.errors import SweeperError
from sweeper.mirror import RUN_ID, Mirror, mirror
from sweeper.roots import find_run, list_runs, runs_root
from sweeper.runs import RunDirectory
from trainables import storage
from trainables.storage import below


@pytest.fixture
def root(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(lease, "SETTLED_SECONDS", 0.05)
    monkeypatch.setattr(lease, "DEAD_SECONDS", 1.0)
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.1)
    yield f"s3://{BUCKET}/{tmp_path.name}"
    server.fail_rate, server.is_down = 0.0, False


def stored(root: str) -> dict[str, bytes]:
    return {file.name: storage.read(below(root, file.name)) for file in storage.files(root)}


def created(root: str, name: str = "tiny", text: str = "name: tiny\n") -> RunDirectory:
    run = runs_root(root).run(name, to_drive=True)
    assert not run.exists
    run.create(text)
    return run


def test_what_is_written_here_is_there_and_in_every_other_copy(root: str) -> None:
    run = created(root)
    (run.path / "results").mkdir()
    (run.path / "results/a.parquet").write_bytes(b"rows")
    (run.path / "study.journal").write_bytes(b"told")
    run.publish()

    assert set(stored(root)) == {
        *("tiny/run.id", "tiny/experiment.yaml", "tiny/results/a.parquet", "tiny/study.journal"),
    }
    found = find_run("tiny", root)
    assert found.path != run.path
    assert found.location == run.location == f"{root}/tiny"
    assert (found.results / "a.parquet").read_bytes() == b"rows"
    assert found.journal.read_bytes() == b"told"
    assert find_run(f"{root}/tiny").exists
    assert [run.path.name for run in list_runs(root)] == ["tiny"]
    with pytest.raises(SweeperError, match=f"there is no run '{root}/tony' in {root}"):
        find_run(f"{root}/tony")


def test_rows_that_are_gone_there_are_gone_for_who_looks(root: str) -> None:
    run = created(root)
    run.results.mkdir()
    (run.results / "a.parquet").write_bytes(b"rows")
    run.publish()
    seen = find_run("tiny", root)
    own = seen.frontier / "frontier.parquet"
    own.parent.mkdir()
    own.touch()
    (run.results / "a.parquet").unlink()
    (run.results / "b.parquet").write_bytes(b"merged")
    run.publish()
    find_run("tiny", root)

    assert [path.name for path in seen.results.iterdir()] == ["b.parquet"]
    assert own.exists()


def test_what_changes_or_goes_here_does_so_there(root: str) -> None:
    run = created(root)
    for name in ("journal", "part"):
        (run.path / name).write_text("1")
    run.publish()
    (run.path / "journal").write_text("22")
    (run.path / "part").unlink()
    run.publish()

    assert stored(f"{root}/tiny")["journal"] == b"22"
    assert "part" not in stored(f"{root}/tiny")


def test_only_what_changed_is_sent(root: str, server: ObjectStore) -> None:
    run = created(root)
    before = server.requests
    run.publish()
    assert server.requests == before

    (run.path / "a").write_text("1")
    (run.path / "b").write_text("1")
    run.publish("a")
    assert "b" not in stored(f"{root}/tiny")


def test_what_workers_and_this_machine_alone_need_is_not_copied(root: str) -> None:
    run = created(root)
    storage.write(run.shared("checkpoints", "t-0", "000000000002.pt"), b"state")
    for name in ("ray/log", "a.partial", "study.journal.lock"):
        storage.write(str(run.path / name), b"1")
    run.publish()

    assert set(stored(f"{root}/tiny")) == {
        *("run.id", "experiment.yaml", "checkpoints/t-0/000000000002.pt")
    }
    assert not find_run("tiny", root).checkpoints.exists()


def test_what_a_dead_driver_had_not_sent_is_sent_by_the_next_one_here(root: str) -> None:
    run = created(root)
    storage.write(str(run.results / "a.parquet"), b"rows")

    again = runs_root(root).run("tiny", to_drive=True)
    with again.driven():
        assert (again.results / "a.parquet").read_bytes() == b"rows"
    assert stored(f"{root}/tiny")["results/a.parquet"] == b"rows"


def test_the_copy_of_an_earlier_run_of_the_same_name_is_put_away(root: str) -> None:
    run = created(root)
    storage.write(str(run.results / "a.parquet"), b"of the first")
    for name in stored(f"{root}/tiny"):
        storage.remove(f"{root}/tiny/{name}")

    second = created(root)

    assert second.path == run.path
    assert not (second.results / "a.parquet").exists()
    assert len(list(run.path.parent.glob("tiny.*/results/a.parquet"))) == 1


def test_a_run_that_was_copied_there_by_hand_can_be_driven(root: str) -> None:
    storage.write(f"{root}/tiny/experiment.yaml", b"name: tiny\n")
    storage.write(f"{root}/tiny/results/a.parquet", b"rows")

    for _ in range(2):
        run = find_run("tiny", root, to_drive=True)
        with run.driven():
            assert (run.results / "a.parquet").read_bytes() == b"rows"
    assert RUN_ID in stored(f"{root}/tiny")


def test_rows_that_another_driver_withdrew_do_not_come_back(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = created(root)
    for trial in ("a", "b"):
        storage.write(str(first.results / f"{trial}.parquet"), trial.encode())
    first.publish()
    storage.write(str(first.results / "c.parquet"), b"not sent yet")

    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "another machine's"))
        second = runs_root(root).run("tiny", to_drive=True)
        with second.driven():
            (second.results / "a.parquet").unlink()

    again = runs_root(root).run("tiny", to_drive=True)
    with again.driven():
        assert sorted(part.stem for part in again.results.iterdir()) == ["b", "c"]
    assert "results/a.parquet" not in stored(f"{root}/tiny")


def test_a_part_that_is_damaged_here_is_fetched_again(root: str) -> None:
    run = created(root)
    part = parts.write(pa.table({"trial_id": ["a"]}), run.results / "a.parquet")
    run.publish()
    whole = part.read_bytes()
    part.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])

    again = runs_root(root).run("tiny", to_drive=True)
    with again.driven():
        assert part.read_bytes() == whole
    assert stored(f"{root}/tiny")["results/a.parquet"] == whole


def test_a_driver_that_has_lost_the_run_writes_no_more(root: str) -> None:
    run = created(root)
    with run.driven():
        (run.path / "study.journal").write_text("of one that was away too long")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "kill", lambda *_: None)
            run._lost()
    assert "study.journal" not in stored(f"{root}/tiny")


def test_the_last_sign_of_life_is_sent_even_where_a_drive_ends_by_an_error(root: str) -> None:
    run = created(root)

    def ends_by_an_error() -> None:
        with run.driven():
            run.heartbeat.write_text("ended: the disk is full")
            raise SweeperError("the disk is full")

    with pytest.raises(SweeperError, match="is full"):
        ends_by_an_error()
    assert stored(f"{root}/tiny")["driver.json"] == b"ended: the disk is full"


def test_one_driver_at_a_time_on_one_machine(root: str) -> None:
    with created(root).driven():
        second = runs_root(root).run("tiny", to_drive=True)
        with pytest.raises(SweeperError, match=f"^{root}/tiny is being driven by process"):
            second.driven().__enter__()
    assert "driver.lease" not in stored(f"{root}/tiny")


def test_one_driver_at_a_time_on_several_machines(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(lease, "_is_dead_here", lambda _: False)  # for here it is elsewhere
    with created(root).driven():
        monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "another machine's"))
        second = runs_root(root).run("tiny", to_drive=True)
        with pytest.raises(SweeperError, match="is being driven by process"):
            second.driven().__enter__()


def test_a_lease_that_beats_no_more_is_taken_over(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = created(root)
    storage.write(
        f"{root}/tiny/driver.lease", b'{"driver": "x", "beat": 3, "pid": 1, "host": "gone"}'
    )
    with run.driven():
        assert b'"beat": 0' in stored(f"{root}/tiny")["driver.lease"]
    assert "was being driven by process 1 on gone; watching for up to 1 s" in (
        capsys.readouterr().out
    )


def test_a_process_that_is_not_here_is_dead_only_where_it_was_here() -> None:
    gone = 2**22 + 1  # beyond all process ids
    name = os.uname().nodename
    here = {"pid": gone, "host": name, "machine": lease._machine()}

    assert lease._is_dead_here(here)
    assert not lease._is_dead_here({**here, "machine": f"{name} started at another time"})
    assert not lease._is_dead_here({"pid": gone, "host": name})  # of an earlier version


def test_of_two_that_come_at_once_the_last_to_write_has_it(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = lease._write

    def and_another(location: str, driver: str, beat: int) -> None:
        write(location, driver, beat)
        write(location, "another", 0)

    run = created(root)
    monkeypatch.setattr(lease, "_write", and_another)
    with pytest.raises(SweeperError, match="is being driven"):
        run.driven().__enter__()


def test_a_driver_hears_that_another_has_taken_over(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    lost, beats = threading.Event(), threading.Event()
    location = f"{root}/tiny/driver.lease"
    with lease.leased(location, "tiny", beat=beats.set, lost=lost.set, say=print):
        assert beats.wait(10)
        assert not lost.is_set()
        storage.write(location, b'{"driver": "another"}')
        assert lost.wait(10)
    assert b"another" in storage.read(location)  # whose it is now


def test_a_store_out_of_reach_is_one_line(
    root: str, server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 0.5)
    server.is_down = True
    for command in (lambda: find_run("tiny", root), lambda: list_runs(root)):
        with pytest.raises(SweeperError, match=r"^s3://\S+ has been out of reach for 0 s: .+$"):
            command()


def test_a_copy_that_cannot_be_kept_is_one_line(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(root)
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path / "file/below"))
    for to_drive in (True, False):
        with pytest.raises(SweeperError, match=r"let SWEEPER_CACHE_DIR name another directory$"):
            find_run("tiny", root, to_drive=to_drive)


def test_a_store_that_only_lets_us_read_is_one_line(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = created(root)

    def refuse(location: str, content: bytes) -> None:
        raise storage.StorageError(f"{location} cannot be used: ACCESS_DENIED")

    monkeypatch.setattr(storage, "write", refuse)
    with pytest.raises(SweeperError, match=r"driver\.lease cannot be used: ACCESS_DENIED"):
        run.driven().__enter__()


def test_a_beat_that_the_store_refuses_is_not_the_last_one(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    beats, enough = [], threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set()
        raise SweeperError("out of reach")

    location = f"{root}/tiny/driver.lease"
    with lease.leased(location, "tiny", beat=beat, lost=lambda: None, say=print):
        assert enough.wait(10)


def test_names_lead_nowhere_else(root: str) -> None:
    for name in ("../other", "a/../../b", "", "."):
        with pytest.raises(SweeperError):
            find_run(name, root)


def test_copies_lie_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEPER_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for driven, kind in ((True, "driven"), (False, "read")):
        copy: Mirror = mirror("s3://bucket/runs/tiny", driven=driven)
        assert copy.path == tmp_path / "sweeper" / kind / "s3/bucket/runs/tiny"
