"""Fetching against a local server that misbehaves on demand."""

import gzip
import hashlib
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.trainables.data.server import (
    BODY,
    Handler,
    Server,
    Waits,
    redirect,
    remote,
    sound,
    status,
    whole,
)
from trainables.data.fetch import PAUSES, fetch
from trainables.data.files import DataError, git_blob, missing


def test_a_file_arrives_whole_in_its_place(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    path = fetch(server.file, tmp_path, on_progress=lambda *progress: seen.append(progress))

    assert path == tmp_path / "set/file.txt"
    assert path.read_bytes() == BODY
    assert not path.with_name("file.txt.partial").exists()
    assert server.ranges == [None]
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, len(BODY)), (len(BODY), len(BODY)))


@pytest.mark.parametrize("force", [False, True])
def test_a_good_file_is_not_fetched_again_and_nothing_is_written(
    force: bool, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "set/file.txt"
    path.parent.mkdir()
    path.write_bytes(BODY)

    assert fetch(server.file, tmp_path, force=force) == path
    assert server.ranges == []
    assert list(path.parent.iterdir()) == [path]


def test_another_file_is_replaced_only_by_force_and_by_a_whole_one(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "set/file.txt"
    path.parent.mkdir()
    path.write_bytes(b"mine")

    with pytest.raises(DataError, match=r"file\.txt is not the published file.*--force"):
        fetch(server.file, tmp_path)
    assert server.ranges == []

    server.replies = [status(404)]
    with pytest.raises(DataError, match="404"):
        fetch(server.file, tmp_path, force=True)
    assert path.read_bytes() == b"mine"

    fetch(server.file, tmp_path, force=True)
    assert path.read_bytes() == BODY


def test_a_wrong_checksum_leaves_nothing_behind(server: Server, tmp_path: Path) -> None:
    wrong = BODY[::-1]
    server.replies = [whole(wrong)]
    found = hashlib.sha256(wrong).hexdigest()

    with pytest.raises(
        DataError, match=rf"expected sha256 {server.file.sha256}, got sha256 {found}"
    ):
        fetch(server.file, tmp_path)
    assert [path.name for path in (tmp_path / "set").iterdir()] == [".lock"]
    assert len(server.ranges) == 1


def test_a_body_of_another_length_is_refused_unread(server: Server, tmp_path: Path) -> None:
    server.replies = [whole(BODY + b"!")]

    with pytest.raises(DataError, match="has 256001 bytes, not 256000"):
        fetch(server.file, tmp_path)
    assert missing([server.file], tmp_path)


def test_a_body_without_end_is_not_read_to_its_end(server: Server, tmp_path: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(ConnectionError):  # it is hung up on
            handler.wfile.write(BODY * 100)

    server.replies = [endless]
    seen: list[int] = []

    with pytest.raises(DataError, match="wrong checksum"):
        fetch(server.file, tmp_path, on_progress=lambda done, _: seen.append(done))
    assert max(seen) <= len(BODY)
    assert missing([server.file], tmp_path)


def test_a_file_of_unknown_size_is_fetched_and_checked_by_its_git_blob_id(
    server: Server, tmp_path: Path
) -> None:
    file = server.file._replace(size=None, sha256="", git_blob=git_blob(BODY))
    totals: list[int] = []
    server.replies = [whole(BODY[::-1]), whole(BODY)]

    with pytest.raises(DataError, match=f"expected git blob id {git_blob(BODY)}, got git blob id"):
        fetch(file, tmp_path)
    fetch(file, tmp_path, on_progress=lambda _, total: totals.append(total))
    assert set(totals) == {len(BODY)}
    assert (tmp_path / file.name).read_bytes() == BODY


def test_a_body_whose_length_nobody_tells_is_refused_unread(
    server: Server, tmp_path: Path
) -> None:
    def unbounded(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()

    server.replies = [unbounded]
    with pytest.raises(DataError, match=r"file\.txt does not tell its length: put these files"):
        fetch(server.file._replace(size=None), tmp_path)
    assert missing([server.file], tmp_path)


def test_a_gzip_file_is_checked_by_what_it_holds(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    file = server.file._replace(name="set/file.gz", size=len(packed))
    server.replies = [whole(packed)]

    assert fetch(file, tmp_path).read_bytes() == packed
    assert fetch(file, tmp_path)  # found to be good
    assert len(server.ranges) == 1


@pytest.mark.parametrize(
    ("code", "requests", "advice"),
    [
        (403, 1, "put these"),
        (404, 1, "put these"),
        (503, 3, "run the command again to resume, or"),
    ],
)
def test_a_refusal_is_named_and_only_one_that_may_pass_is_tried_again(
    code: int, requests: int, advice: str, server: Server, tmp_path: Path, waits: Waits
) -> None:
    server.replies = [status(code)] * 9

    with pytest.raises(DataError, match=rf"{server.file.url} answered {code} [\w ]+: {advice}"):
        fetch(server.file, tmp_path, wait=waits.append)
    assert len(server.ranges) == requests


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_fault_that_passes_is_waited_out(
    code: int, server: Server, tmp_path: Path, waits: Waits
) -> None:
    server.replies = [status(code), status(code)]

    assert fetch(server.file, tmp_path, wait=waits.append).read_bytes() == BODY
    assert waits == list(PAUSES)


def test_a_server_that_says_nothing_times_out(
    server: Server, tmp_path: Path, waits: Waits
) -> None:
    given_up = threading.Event()
    server.replies = [lambda handler: given_up.wait(10)] * 3

    with pytest.raises(DataError, match=r"could not reach .*timed out"):
        fetch(server.file, tmp_path, timeout=0.05, wait=waits.append)
    given_up.set()
    assert waits == list(PAUSES)


def test_without_network_the_message_says_which_files_to_put_where(
    tmp_path: Path, waits: Waits
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/b.txt").write_bytes(BODY)
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file.txt"
        files = [remote(url, name=f"set/{name}.txt") for name in "abc"]
        with pytest.raises(DataError) as error:
            fetch(files[0], tmp_path, siblings=files, wait=waits.append)

    assert str(error.value).startswith(f"could not reach {url} (")
    assert str(error.value).endswith(f"put these files below {tmp_path}: set/a.txt, set/c.txt.")
    assert "refused" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_directory_that_cannot_be_made_is_one_line(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.write_text("a file where the directory should be")

    with pytest.raises(DataError, match=r"cannot write .*root.*SWEEPER_DATA_DIR") as error:
        fetch(server.file, root)
    assert "\n" not in str(error.value)
    assert server.ranges == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.txt.partial").symlink_to("/dev/full")

    with pytest.raises(DataError, match=r"cannot write .*No space left on device.*free space"):
        fetch(server.file, tmp_path)
    assert missing([server.file], tmp_path)


def test_two_fetchers_of_one_file_take_turns(server: Server, tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(handler: Handler) -> None:
        go_on.wait(10)
        sound(handler)

    def run() -> None:
        paths.append(fetch(server.file, tmp_path))

    server.replies = [slow]
    paths: list[Path] = []
    fetchers = [threading.Thread(target=run) for _ in range(2)]
    for fetcher in fetchers:
        fetcher.start()
    # Without turns one would send its own request while the other is held up.
    for fetcher in fetchers:
        fetcher.join(0.2)
    go_on.set()
    for fetcher in fetchers:
        fetcher.join()

    assert paths == [tmp_path / "set/file.txt"] * 2
    assert paths[0].read_bytes() == BODY
    assert server.ranges == [None]


def test_a_name_that_leaves_the_directory_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would leave"):
        fetch(remote(server.file.url, name="../file.txt"), tmp_path)
    assert server.ranges == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/file.txt",
        "http://127.0.0.1.example.org/file.txt",
        "http://127.0.0.1@example.org/file.txt",
        "file:///etc/passwd",
    ],
)
def test_only_https_is_fetched(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="use an https:// URL"):
        fetch(remote(url), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.replies = [redirect("/elsewhere.txt")]

    assert fetch(server.file, tmp_path).read_bytes() == BODY
    assert len(server.ranges) == 2


def test_a_redirect_to_what_may_not_be_fetched_is_refused(server: Server, tmp_path: Path) -> None:
    server.replies = [redirect("http://example.org/file.txt")]

    with pytest.raises(DataError, match=r"example\.org/file\.txt .* use an https://"):
        fetch(server.file, tmp_path)
