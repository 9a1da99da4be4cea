"""The data directory: where it is, what it lacks, and names that would leave it."""

import hashlib
from pathlib import Path

import pytest

from trainables.data.corpus import Corpus, DataConfig, RemoteFile
from trainables.data.files import (
    DataError,
    data_root,
    digest,
    missing,
    path_of,
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


def test_the_digest_depends_on_content_and_order_and_not_on_names() -> None:
    a, b = remote("a", b"a"), remote("b", b"b")

    assert digest([a, b]) == digest([a._replace(name="c"), b._replace(url="https://d")])
    assert len({digest([a, b]), digest([b, a]), digest([a]), digest([])}) == 4


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
