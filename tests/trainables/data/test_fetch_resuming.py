"""Fetching what an earlier attempt has left a part of, or of something else."""

from pathlib import Path

import pytest

from tests.trainables.data.server import BODY, HALF, Reply, Server, Waits, cut_after, status, whole
from trainables.data.fetch import PAUSES, fetch
from trainables.data.files import DataError


def test_a_file_of_unknown_size_is_resumed(server: Server, tmp_path: Path, waits: Waits) -> None:
    server.replies = [cut_after(1_000)]

    path = fetch(server.file._replace(size=None), tmp_path, wait=waits.append)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=1000-"]


def test_a_truncated_body_is_kept_and_resumed_by_the_next_run(
    server: Server, tmp_path: Path, waits: Waits
) -> None:
    server.replies = [cut_after(1_000)] * 3
    partial = tmp_path / "set/file.txt.partial"

    with pytest.raises(DataError, match="broke off after 3000 of 256000 bytes: run the command"):
        fetch(server.file, tmp_path, wait=waits.append)
    assert partial.read_bytes() == BODY[:3_000]
    assert not (tmp_path / "set/file.txt").exists()
    assert server.ranges == [None, "bytes=1000-", "bytes=2000-"]  # resumed within the run too
    assert waits == list(PAUSES)

    assert fetch(server.file, tmp_path).read_bytes() == BODY
    assert server.ranges[3:] == ["bytes=3000-"]
    assert not partial.exists()


def test_an_interrupted_download_is_resumed(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.file, tmp_path, on_progress=interrupt)
    kept = (tmp_path / "set/file.txt.partial").stat().st_size

    assert fetch(server.file, tmp_path).read_bytes() == BODY
    assert kept >= HALF
    assert server.ranges == [None, f"bytes={kept}-"]


def leave_partial(root: Path, content: bytes) -> None:
    (root / "set").mkdir()
    (root / "set/file.txt.partial").write_bytes(content)


@pytest.mark.parametrize(("reply", "more"), [(whole(BODY), []), (status(416), [None])])
def test_a_server_that_gives_no_range_makes_it_start_over(
    reply: Reply, more: list[None], server: Server, tmp_path: Path
) -> None:
    leave_partial(tmp_path, BODY[:HALF])
    server.replies = [reply]

    assert fetch(server.file, tmp_path).read_bytes() == BODY
    assert server.ranges == [f"bytes={HALF}-", *more]


@pytest.mark.parametrize(
    ("leftover", "ranges"),
    [
        (BODY, [None]),
        (BODY + b"!", [None]),
        (b"?" * len(BODY), [None]),
        (b"?" * HALF, [f"bytes={HALF}-", None]),
    ],
)
def test_a_partial_file_of_something_else_is_replaced(
    leftover: bytes, ranges: list[str | None], server: Server, tmp_path: Path, waits: Waits
) -> None:
    leave_partial(tmp_path, leftover)

    assert fetch(server.file, tmp_path, wait=waits.append).read_bytes() == BODY
    assert server.ranges == ranges
