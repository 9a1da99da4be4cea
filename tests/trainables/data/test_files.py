"""The data directory: where it is, what it lacks, and names that would leave it."""

import gzip
import hashlib
from pathlib import Path

import pytest

from trainables.data.corpus import Corpus, DataConfig, RemoteFile
from trainables.data.files import (
    DataError,
    data_root,
    digest,
    git_blob,
    missing,
    path_of,
    read_content,
    require,
    verify,
)

CONTENT = b"the cat sat"


def remote(name: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(name, "", len(content), hashlib.sha256(content).hexdigest())


def test_files_are_missing_wrong_or_ok(tmp_path: Path) -> None:
    files = [remote(name) for name in ("absent", "wrong", "good")]
    (tmp_path / "wrong").write_bytes(b"mine")
    (tmp_path / "good").write_bytes(CONTENT)

    assert [verify(file, tmp_path) for file in files] == ["missing", "wrong checksum", "ok"]
    assert missing(files, tmp_path) == files[:1]


class OneFile(DataConfig):
    kind = "symbols"
    files = (remote("set/a.txt"),)

    def load(self, root: Path) -> Corpus:
        raise NotImplementedError


def test_a_data_set_is_required_whole_and_right(tmp_path: Path) -> None:
    data, path = OneFile(name="set"), tmp_path / "set/a.txt"
    path.parent.mkdir()

    with pytest.raises(DataError, match=r"lacks set/a\.txt: run `sweeper data fetch set`"):
        require(data, tmp_path)
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"wrong of set/a\.txt: run .* set --force`"):
        require(data, tmp_path)
    path.write_bytes(CONTENT)
    require(data, tmp_path)


def test_a_file_is_known_by_its_git_blob_id_where_its_sha256_is_not(tmp_path: Path) -> None:
    file = RemoteFile("a", "", None, git_blob="ce013625030ba8dba906f756967f9e9ca394464a")
    (tmp_path / "a").write_bytes(b"hello\n")  # the id that `git hash-object` prints

    assert verify(file, tmp_path) == "ok"
    (tmp_path / "a").write_bytes(b"hello")
    assert verify(file, tmp_path) == "wrong checksum"


def test_a_gzip_file_is_known_by_what_it_holds_however_it_is_packed(tmp_path: Path) -> None:
    file = remote("a.gz")
    for level in (1, 9):
        (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT, level, mtime=level))
        assert verify(file, tmp_path) == "ok"
        assert read_content(file, tmp_path / "a.gz") == CONTENT
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"mine"))
    assert verify(file, tmp_path) == "wrong checksum"


@pytest.mark.parametrize(
    "broken", [CONTENT, gzip.compress(CONTENT)[:-9], b""], ids=["plain", "cut short", "empty"]
)
def test_a_broken_gzip_file_is_a_wrong_one_and_is_not_read(broken: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(broken)

    assert verify(remote("a.gz"), tmp_path) == "wrong checksum"
    if broken:  # nothing at all is what no gzip members hold
        with pytest.raises(DataError, match=r"cannot unpack .*a\.gz") as error:
            read_content(remote("a.gz"), path)
        assert "\n" not in str(error.value)


def test_a_file_is_known_by_its_md5_where_its_sha256_is_not(tmp_path: Path) -> None:
    file = RemoteFile("a", "", None, md5="b1946ac92492d2347c6235b4d2611184")
    (tmp_path / "a").write_bytes(b"hello\n")  # what `md5sum` prints

    assert verify(file, tmp_path) == "ok"
    assert verify(file._replace(sha256="0" * 64), tmp_path) == "wrong checksum"
    (tmp_path / "a").write_bytes(b"hello")
    assert verify(file, tmp_path) == "wrong checksum"


def test_an_archive_is_known_by_its_own_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    (tmp_path / "a.tar.gz").write_bytes(packed)

    assert verify(remote("a.tar.gz", packed), tmp_path) == "ok"
    assert verify(remote("a.tar.gz", CONTENT), tmp_path) == "wrong checksum"
    assert read_content(remote("a.tar.gz"), tmp_path / "a.tar.gz") == packed


def test_a_directory_may_stand_in_for_an_archive(tmp_path: Path) -> None:
    file = remote("set/a.zip")._replace(directory="set/a")
    assert verify(file, tmp_path) == "missing"
    assert missing([file], tmp_path) == [file]

    (tmp_path / "set/a").mkdir(parents=True)
    assert verify(file, tmp_path) == "unchecked"
    assert missing([file], tmp_path) == []
    (tmp_path / "set/a.zip").write_bytes(b"mine")
    assert verify(file, tmp_path) == "wrong checksum"
    with pytest.raises(DataError, match="would leave"):
        verify(file._replace(name="b", directory="../a"), tmp_path)


def test_only_what_is_needed_is_required(tmp_path: Path) -> None:
    class Part(OneFile):
        files = (remote("set/a.txt"), remote("set/b.txt"))

        @property
        def needed(self) -> tuple[RemoteFile, ...]:
            return self.files[1:]

        @property
        def fetched_as(self) -> str:
            return "set/b"

    with pytest.raises(DataError, match=r"lacks set/b\.txt: run `sweeper data fetch set/b`"):
        require(Part(name="set"), tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/b.txt").write_bytes(CONTENT)
    require(Part(name="set"), tmp_path)


class Supplied(OneFile):
    files = (RemoteFile("set/a.txt", "", None),)
    source = "the library"


def test_a_file_that_nothing_is_known_of_is_taken_as_it_lies(tmp_path: Path) -> None:
    data, path = Supplied(name="set"), tmp_path / "set/a.txt"
    path.parent.mkdir()

    with pytest.raises(
        DataError, match=r"lacks set/a\.txt: get them from the library and put them"
    ):
        require(data, tmp_path)
    path.write_bytes(b"anything")
    assert verify(data.files[0], tmp_path) == "unchecked"
    require(data, tmp_path)


def test_a_wrong_file_without_a_home_is_told_with_its_source(tmp_path: Path) -> None:
    class Known(Supplied):
        files = (remote("a.txt"),)

    (tmp_path / "a.txt").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"wrong of a\.txt: get it from the library\."):
        require(Known(name="set"), tmp_path)


def test_the_digest_depends_on_content_and_order_and_not_on_names(tmp_path: Path) -> None:
    a, b = remote("a", b"a"), remote("b", b"b")

    assert digest([a, b], tmp_path) == digest(
        [a._replace(name="c"), b._replace(url="https://d")], tmp_path
    )
    assert len({digest(files, tmp_path) for files in ([a, b], [b, a], [a], [])}) == 4


@pytest.mark.parametrize("known", [{}, {"git_blob": git_blob(b"a")}])
def test_the_digest_is_the_same_before_and_after_a_sha256_is_known(
    known: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a")

    file = RemoteFile("a", "", None, **known)
    assert digest([file], tmp_path) == digest([remote("a", b"a")], tmp_path)


def test_the_data_directory_is_the_one_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    monkeypatch.setenv("SWEEPER_DATA_DIR", "chosen")
    assert data_root() == tmp_path / "chosen"
    monkeypatch.setenv("SWEEPER_DATA_DIR", "~/chosen")
    assert data_root() == tmp_path / "home/chosen"


@pytest.mark.parametrize("unset", ["", None])
def test_the_data_directory_is_a_cache_by_default(
    unset: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if unset is None:
        monkeypatch.delenv("SWEEPER_DATA_DIR", raising=False)
    else:
        monkeypatch.setenv("SWEEPER_DATA_DIR", unset)

    assert data_root() == tmp_path / ".cache/sweeper"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert data_root() == tmp_path / ".cache/sweeper"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_root() == tmp_path / "xdg/sweeper"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../file.txt",
        "set/../../file.txt",
        "..\\file.txt",
        "C:\\file.txt",
        "C:file.txt",
        "",
        ".",
    ],
)
def test_no_name_leaves_the_data_directory(name: str, tmp_path: Path) -> None:
    for use in (path_of, verify, lambda file, root: missing([file], root)):
        with pytest.raises(DataError, match="would leave"):
            use(remote(name), tmp_path)


def test_a_name_may_lie_in_a_directory_and_hold_dots(tmp_path: Path) -> None:
    assert path_of(remote("set/..a.b..txt"), tmp_path) == tmp_path / "set/..a.b..txt"
