"""Pictures of one's own: splits by directory or by a seeded share, labels in the names' order."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from trainables.data.files import DataError
from trainables.data.image_folder import ImageFolder
from trainables.data.picture_files import Listed


def picture(level: int, size: tuple[int, int] = (8, 8), format: str = "PNG") -> bytes:  # noqa: A002
    out = io.BytesIO()
    Image.new("L", size, level).save(out, format)
    return out.getvalue()


def write(top: Path, name: str, content: bytes) -> None:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def by_directory(tmp_path: Path) -> Path:
    """A folder with splits; the grey level of each picture is its number."""
    names = {
        "train/cat/b.png": 1,
        "train/cat/a.png": 0,
        "train/Dog/x.jpg": 2,
        "train/10/deep/er.png": 3,
        "val/2/x.PNG": 4,
        "test/cat/x.png": 5,
        "test/2/y.bmp": 6,
    }
    for name, level in names.items():
        kind = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP"}[name.rpartition(".")[2].lower()]
        write(tmp_path / "images", name, picture(level, format=kind))
    return tmp_path


@pytest.fixture
def by_share(tmp_path: Path) -> Path:
    """A folder of thirty pictures in two classes, without splits."""
    for level in range(30):
        name = f"{'ab'[level % 2]}/{level:02}.png"
        write(tmp_path / "mine/all", name, picture(level))
    return tmp_path


def folder(**settings: Any) -> ImageFolder:
    return ImageFolder.model_validate({"name": "image_folder", "side": 8, **settings})


def test_directories_are_the_splits_and_names_in_order_the_labels(by_directory: Path) -> None:
    corpus = folder().load(by_directory)

    # 10, 2, Dog and cat, as characters are ordered; each split has some of them.
    assert corpus.labels is not None
    assert {split: labels.tolist() for split, labels in corpus.labels.items()} == {
        "train": [0, 2, 3, 3],
        "validation": [1],
        "test": [1, 3],
    }
    assert corpus.grey is not None
    assert corpus.grey[:, 0, 0].tolist() == [3, 2, 0, 1]
    assert corpus.shape == (8, 8)
    assert corpus.splits["test"].shape == (2, 8, 8)


def test_what_is_no_picture_by_its_name_is_left_out(by_directory: Path) -> None:
    before = folder().load(by_directory)
    for name in (
        "train/cat/Thumbs.db",
        "train/cat/.hidden.png",
        "train/.cache/x.png",
        "train/cat/.cache/x.png",
        "test/notes.txt",
        "readme.md",
        "other/fox/x.png",
    ):
        write(by_directory / "images", name, b"x")

    after = folder().load(by_directory)

    assert after.sha256 == before.sha256
    assert after.grey is not None
    assert before.grey is not None
    np.testing.assert_array_equal(after.grey.numpy(), before.grey.numpy())


def drawn(root: Path, **shares: Any) -> dict[str, list[int]]:
    data = folder(folder="mine/all", shares=shares)
    return {split: images.grey[:, 0, 0].tolist() for split, images in data.read(root).items()}


def test_shares_are_drawn_for_good(by_share: Path) -> None:
    levels = drawn(by_share, validation=0.1, test=0.2)

    assert {split: len(some) for split, some in levels.items()} == {
        "train": 21,
        "validation": 3,
        "test": 6,
    }
    assert sorted(level for some in levels.values() for level in some) == list(range(30))
    # The order is written down, since a stored result is only good for one split.
    names = [f"{'ab'[i % 2]}/{i:02}" for i in range(30)]
    in_order = [int(name[2:]) for name in sorted(names)]
    permutation = np.random.default_rng(0).permutation(30)
    assert levels["test"] == [in_order[i] for i in sorted(permutation[:6])]
    assert drawn(by_share, validation=0.1, test=0.2) == levels
    assert drawn(by_share, validation=0.1, test=0.2, seed=1) != levels


def test_labels_go_with_their_pictures(by_share: Path) -> None:
    splits = folder(folder="mine/all", shares={}).read(by_share)

    for images in splits.values():
        assert images.labels.tolist() == [int(level) % 2 for level in images.grey[:, 0, 0]]


def test_the_checksum_is_of_what_is_used(by_share: Path) -> None:
    few = folder(folder="mine/all", shares={}, train_limit=3)
    first = few.load(by_share)
    assert first.labels is not None
    assert len(first.labels["train"]) == 3

    all_of_them = folder(folder="mine/all", shares={}).load(by_share)
    assert all_of_them.sha256 != first.sha256
    # By hand, for the same few pictures.
    summed = hashlib.sha256()
    listed = few.list_files(by_share)
    kept = sorted(np.random.default_rng(0).permutation(24)[:3])
    listed = {**listed, "train": Listed(*listed["train"]).select(np.array(kept))}
    for split, some in listed.items():
        for name, label in zip(some.names, some.labels, strict=True):
            own = hashlib.sha256((by_share / "mine/all" / name).read_bytes()).hexdigest()
            summed.update(f"{split}\t{name}\t{label}\t{own}\n".encode())
    assert first.sha256 == summed.hexdigest()


def test_pictures_that_are_not_used_are_not_opened(by_share: Path) -> None:
    few = folder(folder="mine/all", shares={}, train_limit=1)
    used = few.load(by_share)
    names = list(few.list_files(by_share)["train"].names)
    assert used.labels is not None
    kept = int(np.random.default_rng(0).permutation(24)[0])
    for name in names[:kept] + names[kept + 1 :]:
        (by_share / "mine/all" / name).write_bytes(b"broken")

    again = few.load(by_share)

    assert again.sha256 == used.sha256
    with pytest.raises(DataError, match="cannot be read as a picture"):
        folder(folder="mine/all", shares={}).load(by_share)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("train/cat/c.png", b"broken", r"^images/train/cat/c\.png: cannot be read as a picture"),
        ("train/cat/c.png", picture(1, (7, 9)), r"^images/train/cat/c\.png: has 7 x 9 pixels"),
        ("train/loose.png", picture(1), r"train/loose\.png is in no class"),
        ("train/fox/notes.txt", b"", "train/fox has no pictures"),
    ],
)
def test_what_is_wrong_in_a_folder_is_told_in_one_line(
    name: str, content: bytes, told: str, by_directory: Path
) -> None:
    write(by_directory / "images", name, content)

    with pytest.raises(DataError, match=told) as error:
        folder().load(by_directory)
    assert "\n" not in str(error.value)


def test_splits_are_not_taken_for_classes(by_directory: Path) -> None:
    with pytest.raises(DataError, match=r"for each split, not for each class: leave data\.shares"):
        folder(shares={}).load(by_directory)


def test_a_folder_without_what_it_needs_is_told(by_share: Path) -> None:
    with pytest.raises(DataError, match=r"mine/all has no directory train or training: .*shares"):
        folder(folder="mine/all").load(by_share)
    with pytest.raises(DataError, match="lacks images: get them from any collection of pictures"):
        folder().load(by_share)
    with pytest.raises(DataError, match="too few images: none for validation"):
        folder(folder="mine/all", shares={"validation": 0.01}).load(by_share)
    (by_share / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no directories"):
        folder(folder="empty", shares={}).load(by_share)


@pytest.mark.parametrize("name", ["/etc", "../mine", "a/../../b", "C:\\x", "..\\x", "", "."])
def test_no_folder_leaves_the_data_directory(name: str) -> None:
    with pytest.raises(ValidationError, match="within the data directory"):
        folder(folder=name)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"shares": {"test": 0.6, "validation": 0.4}}, "leave nothing to train on"),
        ({"shares": {"test": 0.0}}, "greater than 0"),
        ({"side": 3}, "greater than or equal to 4"),
        ({"side": 2000}, "less than or equal to 1024"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        folder(**settings)
