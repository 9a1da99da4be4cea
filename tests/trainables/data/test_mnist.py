"""MNIST and Fashion-MNIST: idx files written by hand, and the real ones."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.data.corpus import Corpus, RemoteFile
from trainables.data.files import DataError, sha256
from trainables.data.mnist import FashionMnist, IdxImages, Mnist, read_idx

HERE = Path("mnist/images.gz")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 28, 28), np.uint8)


@pytest.fixture
def tiny(tmp_path: Path, grey: np.ndarray) -> type[IdxImages]:
    """A data set like MNIST with six training and three test images; the labels count them."""
    labels = np.arange(9, dtype=np.uint8)
    arrays = {"ti": grey[:6], "tl": labels[:6], "i": grey[6:], "l": labels[6:]}
    for name, array in arrays.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))

    class Tiny(Mnist):
        files = tuple(
            RemoteFile(f"{name}.gz", "", None, sha256(idx(array)))
            for name, array in arrays.items()
        )
        n_validation = 2

    return Tiny


def test_the_last_training_images_are_the_validation_split(
    tiny: type[IdxImages], grey: np.ndarray, tmp_path: Path
) -> None:
    corpus = tiny(name="mnist").load(tmp_path)

    assert corpus.labels is not None
    assert corpus.grey is not None
    assert {split: labels.tolist() for split, labels in corpus.labels.items()} == {
        "train": [0, 1, 2, 3],
        "validation": [4, 5],
        "test": [6, 7, 8],
    }
    np.testing.assert_array_equal(corpus.grey.numpy(), grey[:4])
    assert (corpus.splits["validation"].numpy()[grey[4:6] == 255] == 1).all()
    assert (corpus.splits["test"].numpy()[grey[6:] == 0] == 0).all()


def test_too_few_images_to_validate_on_are_refused(tiny: type[IdxImages], tmp_path: Path) -> None:
    tiny.n_validation = 6

    with pytest.raises(DataError, match="too few images: none for train"):
        tiny(name="mnist").load(tmp_path)


def test_missing_labels_are_told(tiny: type[IdxImages], tmp_path: Path) -> None:
    short = idx(np.arange(5, dtype=np.uint8))
    (tmp_path / "tl.gz").write_bytes(gzip.compress(short))
    files = list(tiny.files)
    files[1] = files[1]._replace(sha256=sha256(short))
    tiny.files = tuple(files)

    with pytest.raises(DataError, match=r"ti\.gz: expected .* label for each of 6 images; got"):
        tiny(name="mnist").load(tmp_path)


def test_an_idx_file_is_read_as_it_was_written(grey: np.ndarray) -> None:
    np.testing.assert_array_equal(read_idx(idx(grey), HERE, 3), grey)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "idx file of bytes with 3 dimensions; it begins with ''"),
        (b"\0\0\x08\x03\0\0\0\x01", "idx file of bytes with 3 dimensions"),
        (idx(np.zeros(4, np.uint8)), "idx file of bytes with 3 dimensions; .* '00000801'"),
        (b"\0\0\x0d\x03" + b"\0" * 12, "idx file of bytes with 3 dimensions; .* '00000d03'"),
        (idx(np.zeros((1, 28, 28), np.uint8))[:-1], r"784 bytes for .* \[1, 28, 28\]; got 783"),
        (idx(np.zeros((1, 28, 28), np.uint8)) + b"\0", r"784 bytes for .*; got 785"),
    ],
)
def test_an_idx_file_of_another_form_is_told(content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=rf"^mnist/images\.gz: expected .*{told}") as error:
        read_idx(content, HERE, 3)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module", params=[Mnist, FashionMnist])
def published(request: pytest.FixtureRequest) -> Corpus:
    data = request.param(name=request.param.model_fields["name"].annotation.__args__[0])
    if "SWEEPER_DATA_DIR" not in os.environ:
        pytest.skip(f"SWEEPER_DATA_DIR does not say where the files of {data.name} are")
    corpus = data.load(Path(os.environ["SWEEPER_DATA_DIR"]))
    assert isinstance(corpus, Corpus)
    return corpus


def test_the_published_numbers_of_images(published: Corpus) -> None:
    assert {split: len(x) for split, x in published.splits.items()} == {
        "train": 50_000,
        "validation": 10_000,
        "test": 10_000,
    }
    assert published.labels is not None
    for labels in published.labels.values():
        assert torch.unique(labels).tolist() == list(range(10))


def test_ink_in_a_split_is_as_much_as_its_grey_values_say(published: Corpus) -> None:
    assert published.grey is not None
    p = published.grey.double() / 255
    standard_error = (p * (1 - p)).sum().sqrt()

    assert (published.splits["train"].sum() - p.sum()).abs() < 4 * standard_error
