"""Bytes by name: what is written is read, here and in an object store, whole or not at all."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.object_store import BUCKET, ObjectStore
from trainables import storage
from trainables.checkpoint import Checkpoints
from trainables.storage import StorageError, below


@pytest.fixture(params=["path", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "path":
        return str(tmp_path / "root")
    store: ObjectStore = request.getfixturevalue("server")
    store.fail_rate, store.is_down = 0.0, False
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def remote(server: ObjectStore, tmp_path: Path) -> Iterator[str]:
    yield f"s3://{BUCKET}/{tmp_path.name}"
    server.fail_rate, server.is_down = 0.0, False


def test_what_is_written_is_read_and_listed(root: str) -> None:
    contents = {"b": b"2", "a/deep/one": b"1" * 100_000, "a/two": b""}
    for name, content in contents.items():
        storage.write(below(root, name), content)

    assert {name: storage.read(below(root, name)) for name in contents} == contents
    assert [(f.name, f.size) for f in storage.files(root)] == [
        *(("a/deep/one", 100_000), ("a/two", 0), ("b", 1))
    ]
    assert [file.name for file in storage.files(below(root, "a"))] == ["deep/one", "two"]
    assert storage.directories(root) == ["a"]
    assert storage.exists(below(root, "b"))
    assert not storage.exists(below(root, "a"))


def test_what_is_written_again_is_replaced_and_seen_to_be_another(root: str) -> None:
    storage.write(below(root, "a"), b"1")
    [before] = storage.files(root)
    time.sleep(1.1)  # object stores count whole seconds
    storage.write(below(root, "a"), b"2")
    [after] = storage.files(root)

    assert storage.read(below(root, "a")) == b"2"
    assert before.stamp != after.stamp


def test_what_is_not_there(root: str) -> None:
    for nothing in (below(root, "a"), root):
        with pytest.raises(FileNotFoundError):
            storage.read(nothing)
        storage.remove(nothing)
        assert storage.files(nothing) == storage.directories(nothing) == []
        assert not storage.exists(nothing)


def test_what_is_removed_or_moved_is_gone(root: str) -> None:
    for name in ("a", "b"):
        storage.write(below(root, name), name.encode())
    storage.remove(below(root, "a"))
    assert storage.move(below(root, "b"), "c") == below(root, "c")

    assert [file.name for file in storage.files(root)] == ["c"]
    assert storage.read(below(root, "c")) == b"b"


def test_states_of_a_trial_can_lie_in_an_object_store(remote: str) -> None:
    from tests.trainables.test_checkpoint import advance, metrics, new

    states, run = Checkpoints(below(remote, "t-0")), new()
    for _ in range(3):
        states.save(advance(run, 1))
    assert [f.name for f in storage.files(remote)] == [
        *("t-0/000000000004.pt", "t-0/000000000006.pt")
    ]
    storage.write(below(remote, "t-0", "000000000006.pt"), b"damaged")
    continued = Checkpoints(below(remote, "t-0")).restore(new)

    assert continued.step == 4
    assert metrics(advance(continued, 2)) == metrics(advance(new(), 4))
    states.remove()
    assert [f.name for f in storage.files(remote)] == ["t-0/000000000006.pt.damaged"]


def test_a_store_that_fails_now_and_then_is_asked_again(server: ObjectStore, remote: str) -> None:
    server.fail_rate, before = 0.1, server.failed
    for name in map(str, range(20)):
        storage.write(below(remote, name), name.encode())
    found = [storage.read(below(remote, file.name)) for file in storage.files(remote)]

    assert sorted(map(int, found)) == list(range(20))
    assert server.failed > before


def test_a_store_that_is_down_for_a_while_is_waited_for(
    server: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.is_down = True

    def back() -> None:
        server.is_down = False

    timer = threading.Timer(2.0, back)
    timer.start()
    storage.write(below(remote, "a"), b"1")
    timer.join()

    assert storage.read(below(remote, "a")) == b"1"


def test_a_store_that_stays_down_is_an_error_of_one_line(
    server: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 1.0)
    server.is_down = True
    with pytest.raises(StorageError, match=rf"^{remote}/a has been out of reach for 1 s: .+$"):
        storage.read(below(remote, "a"))


@pytest.mark.usefixtures("server")
def test_what_will_never_work_is_not_tried_again() -> None:
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"^s3://nobodys-bucket/a cannot be used: .*BUCKET"):
        storage.write("s3://nobodys-bucket/a", b"1")

    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://bucket/a", "http:// is not supported; name a path, or one of s3://, gs://"),
        ("s3://key:secret@bucket/a", "credentials and endpoints come from the environment"),
        ("s3://bucket/a?endpoint_override=x", "credentials and endpoints come from"),
        ("s3:///a", "names no bucket"),
        ("s3://bucket/a/../b", "an address has no empty part, '.' or '..'"),
        ("s3://bucket//a", "an address has no empty part, '.' or '..'"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        storage.check(address)

    assert "secret" not in str(caught.value)


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    storage.write(str(path), b"1")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.write(str(path), b"2")

    assert path.read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [path]
