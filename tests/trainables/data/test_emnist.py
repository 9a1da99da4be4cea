"""EMNIST: gzip files of idx in a zip archive, every image on its side."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.data.test_mnist import idx
from trainables.data import emnist
from trainables.data.corpus import RemoteFile
from trainables.data.emnist import Emnist
from trainables.data.files import DataError, sha256

GREY = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)
LABELS = np.arange(1, 11, dtype=np.uint8)

Members = dict[str, bytes]
MakeEmnist = Callable[[Members], type[Emnist]]


def members(subset: str = "balanced") -> Members:
    """Seven training and three test images, stored rows for columns."""
    arrays = {
        "train-images-idx3": GREY[:7].transpose(0, 2, 1),
        "train-labels-idx1": LABELS[:7],
        "test-images-idx3": GREY[7:].transpose(0, 2, 1),
        "test-labels-idx1": LABELS[7:],
    }
    return {
        f"gzip/emnist-{subset}-{what}-ubyte.gz": gzip.compress(idx(np.ascontiguousarray(array)))
        for what, array in arrays.items()
    }


@pytest.fixture
def archive(tmp_path: Path) -> MakeEmnist:
    """EMNIST with an archive of choice."""

    def make(holds: Members) -> type[Emnist]:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as packed:
            for name, content in holds.items():
                packed.writestr(name, content)
        (tmp_path / "emnist").mkdir(exist_ok=True)
        (tmp_path / "emnist/gzip.zip").write_bytes(out.getvalue())

        class Tiny(Emnist):
            files = (RemoteFile("emnist/gzip.zip", "", None, sha256(out.getvalue())),)

        return Tiny

    return make


def test_images_stand_upright_with_their_labels(archive: MakeEmnist, tmp_path: Path) -> None:
    splits = archive(members())(name="emnist").read(tmp_path)

    assert {split: len(images.grey) for split, images in splits.items()} == {
        "train": 4,  # as many validate as test
        "validation": 3,
        "test": 3,
    }
    for images in splits.values():
        for image, label in zip(images.grey, images.labels, strict=True):
            np.testing.assert_array_equal(image, GREY[label - 1])
    assert splits["test"].labels.tolist() == [8, 9, 10]
    both = [*splits["train"].labels, *splits["validation"].labels]
    assert sorted(both) == list(range(1, 8))
    assert splits["validation"].labels.tolist() != [5, 6, 7]  # a random choice


def test_a_row_of_the_file_becomes_a_column(archive: MakeEmnist, tmp_path: Path) -> None:
    stored = np.zeros((1, 28, 28), np.uint8)
    stored[0, 2, 25] = 255  # row 2, column 25
    holds = members()
    holds["gzip/emnist-balanced-test-images-idx3-ubyte.gz"] = gzip.compress(idx(stored))
    holds["gzip/emnist-balanced-test-labels-idx1-ubyte.gz"] = gzip.compress(idx(LABELS[:1]))

    test = archive(holds)(name="emnist").read(tmp_path)["test"]

    assert np.argwhere(test.grey[0]).tolist() == [[25, 2]]


def test_a_subset_is_of_its_own_files(archive: MakeEmnist, tmp_path: Path) -> None:
    made = archive({**members("letters"), "gzip/../../escaped.gz": b"x"})

    assert made(name="emnist", subset="letters").load(tmp_path).shape == (28, 28)
    with pytest.raises(DataError, match=r"cannot unpack gzip/emnist-digits-train-images.*no item"):
        made(name="emnist", subset="digits").load(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["emnist", "gzip.zip"]


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"x" * 100)[:-9]],
    ids=["empty", "plain", "cut short"],
)
def test_a_member_that_is_broken_is_told(
    content: bytes, archive: MakeEmnist, tmp_path: Path
) -> None:
    holds = members() | {"gzip/emnist-balanced-train-images-idx3-ubyte.gz": content}

    with pytest.raises(DataError, match=r"gzip\.zip.*emnist-balanced-train-images") as error:
        archive(holds)(name="emnist").load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_archive_is_told(archive: MakeEmnist, tmp_path: Path) -> None:
    made = archive(members())
    (tmp_path / "emnist/gzip.zip").write_bytes(b"not a zip file")

    with pytest.raises(DataError, match=r"cannot unpack .*not a zip file"):
        made(name="emnist").read(tmp_path)
    with pytest.raises(DataError, match=r"wrong of emnist/gzip\.zip: run `sweeper data fetch emn"):
        made(name="emnist").load(tmp_path)


def test_a_member_does_not_unpack_to_more_than_it_may(
    archive: MakeEmnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emnist, "MAX_BYTES", 1_000)

    with pytest.raises(DataError, match="unpacks to more than 1000 bytes"):
        archive(members())(name="emnist").load(tmp_path)
