"""Pictures are decoded once, kept, and decoded again where anything is another."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainables.data.test_image_folder import folder, picture, write
from trainables.data import picture_files
from trainables.data.corpus import Corpus

Load = Callable[..., Corpus]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that were decoded so far."""
    names = []
    read = picture_files.read_picture

    def noted(content: bytes, name: str, side: int, crop: int | None) -> object:
        names.append(name)
        return read(content, name, side, crop)

    monkeypatch.setattr(picture_files, "read_picture", noted)
    return names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, split in enumerate(("train", "val", "test")):
        write(tmp_path / "images", f"{split}/a/{number}.png", picture(number))
    return tmp_path


def same(a: Corpus, b: Corpus) -> bool:
    assert a.labels is not None
    assert b.labels is not None
    return a.sha256 == b.sha256 and all(
        (a.splits[split] == b.splits[split]).all() and (a.labels[split] == b.labels[split]).all()
        for split in a.splits
    )


def test_pictures_are_decoded_once(root: Path, decoded: list[str]) -> None:
    first = folder().load(root)
    assert len(decoded) == 3

    second = folder().load(root)

    assert len(decoded) == 3
    assert same(first, second)
    [kept] = (root / "prepared").glob("*.npz")
    assert kept.name.startswith("image_folder-")
    assert not list((root / "prepared").glob("*.partial"))


def test_another_side_or_another_picture_is_decoded_anew(root: Path, decoded: list[str]) -> None:
    first = folder().load(root)
    folder(side=4).load(root)
    assert len(decoded) == 6

    path = root / "images/train/a/0.png"
    path.write_bytes(picture(77))
    os.utime(path, ns=(1, 1))
    changed = folder().load(root)

    assert len(decoded) == 9
    assert changed.grey is not None
    assert changed.grey[0, 0, 0] == 77
    assert changed.sha256 != first.sha256


def test_a_damaged_copy_is_made_again(root: Path, decoded: list[str]) -> None:
    first = folder().load(root)
    [kept] = (root / "prepared").glob("*.npz")
    whole = kept.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole.replace(b"\2" * 64, b"\3" * 64)):
        assert damaged != whole
        kept.write_bytes(damaged)
        decoded.clear()

        assert same(folder().load(root), first)
        assert len(decoded) == 3
        assert kept.read_bytes() == whole


def test_where_nothing_can_be_written_pictures_are_decoded_each_time(
    root: Path, decoded: list[str]
) -> None:
    (root / "prepared").write_text("a file in the directory's place")

    assert same(folder().load(root), folder().load(root))
    assert len(decoded) == 6
