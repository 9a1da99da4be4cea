"""Omniglot in both renderings: arrays written by hand, and the real derived file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from trainables.data.corpus import Corpus, RemoteFile
from trainables.data.files import DataError, git_blob, sha256
from trainables.data.omniglot import Omniglot, Omniglot28

N_TRAIN, N_TEST, ALPHABETS = 12, 5, 4


def mat() -> dict[str, np.ndarray]:
    """Image i has grey level i / 255 but for its upper right pixel, and alphabet i mod 4."""
    levels = np.arange(N_TRAIN + N_TEST) / 255
    pixels = np.tile(levels, (784, 1))
    pixels[27 * 28] = 1  # the first row of the last column, columns one after another
    one_hot = np.eye(ALPHABETS)[np.arange(N_TRAIN + N_TEST) % ALPHABETS].T
    return {
        "data": pixels[:, :N_TRAIN],
        "target": one_hot[:, :N_TRAIN],
        "testdata": pixels[:, N_TRAIN:],
        "testtarget": one_hot[:, N_TRAIN:],
    }


MakeOmniglot = Callable[[dict[str, Any]], Omniglot]


@pytest.fixture
def omniglot(tmp_path: Path) -> MakeOmniglot:
    """Data like Omniglot's, from arrays of choice."""

    def make(arrays: dict[str, Any]) -> Omniglot:
        path = tmp_path / "chardata.mat"
        savemat(path, arrays)

        class Tiny(Omniglot):
            files = (RemoteFile("chardata.mat", "", None, git_blob=git_blob(path.read_bytes())),)
            n_validation = 3

        return Tiny(name="omniglot")

    return make


def test_columns_become_images_with_their_alphabets(
    omniglot: MakeOmniglot, tmp_path: Path
) -> None:
    corpus = omniglot(mat()).load(tmp_path)

    assert {split: len(x) for split, x in corpus.splits.items()} == {
        "train": 9,
        "validation": 3,
        "test": 5,
    }
    assert corpus.grey is not None
    assert corpus.labels is not None
    assert (corpus.grey[:, 0, 27] == 255).all()
    level = corpus.grey[:, 1, 0]
    assert (corpus.grey.flatten(1).sum(dim=1) == 783 * level.long() + 255).all()
    assert corpus.labels["train"].tolist() == [int(i) % ALPHABETS for i in level]
    assert corpus.labels["test"].tolist() == [i % ALPHABETS for i in range(12, 17)]


def test_validation_images_are_the_rest_of_the_training_images(
    omniglot: MakeOmniglot, tmp_path: Path
) -> None:
    splits = omniglot(mat()).read(tmp_path)
    levels = {split: images.grey[:, 0, 0].tolist() for split, images in splits.items()}

    assert sorted([*levels["train"], *levels["validation"]]) == list(range(N_TRAIN))
    assert levels["validation"] != [9, 10, 11]  # at random
    assert levels["test"] == list(range(12, 17))
    again = omniglot(mat()).read(tmp_path)
    assert levels["validation"] == again["validation"].grey[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": np.zeros((783, 12))}, r"columns of 784 pixels .* got \[783, 12\] and \[4, 12\]"),
        ({"data": np.zeros((12, 784))}, r"columns of 784 pixels .* got \[12, 784\]"),
        ({"data": np.full((784, 12), 1.5)}, "pixels between 0 and 1"),
        ({"data": np.full((784, 12), -0.1)}, "pixels between 0 and 1"),
        ({"testdata": np.full((784, 5), np.nan)}, "pixels between 0 and 1"),
        ({"data": np.full((784, 12), 1j)}, "pixels between 0 and 1"),
        ({"target": np.eye(4)}, r"label for each of 12 images; got int64 \[4\]"),
        ({"target": None}, "arrays data, target, testdata, testtarget; got KeyError: 'target'"),
    ],
)
def test_arrays_of_another_form_are_told(
    change: dict[str, Any], told: str, omniglot: MakeOmniglot, tmp_path: Path
) -> None:
    arrays = {name: x for name, x in {**mat(), **change}.items() if x is not None}

    with pytest.raises(DataError, match=rf"chardata\.mat: expected .*{told}") as error:
        omniglot(arrays).load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a mat file", b"\0" * 200])
def test_a_file_that_is_not_of_matlab_is_told(
    content: bytes, omniglot: MakeOmniglot, tmp_path: Path
) -> None:
    data = omniglot(mat())
    (tmp_path / "chardata.mat").write_bytes(content)
    type(data).files = (data.files[0]._replace(git_blob=git_blob(content)),)

    with pytest.raises(DataError, match=r"chardata\.mat: expected arrays data, ") as error:
        data.load(tmp_path)
    assert "\n" not in str(error.value)


def test_another_file_than_the_published_one_is_refused(
    omniglot: MakeOmniglot, tmp_path: Path
) -> None:
    data = omniglot(mat())
    savemat(tmp_path / "chardata.mat", {"data": np.zeros(3)})

    with pytest.raises(DataError, match=r"checksum is wrong of chardata\.mat"):
        data.load(tmp_path)


def npz() -> dict[str, np.ndarray]:
    return {
        "images": np.arange(8, dtype=np.uint8).repeat(784).reshape(8, 28, 28),
        "char_id": np.arange(101, 109, dtype=np.int16),
        "split": np.array([2, 0, 3, 1, 0, 0, 3, 2], np.uint8),
    }


MakeOmniglot28 = Callable[[bytes], Omniglot28]


@pytest.fixture
def omniglot28(tmp_path: Path) -> MakeOmniglot28:
    """Data like the derived Omniglot's, from a file of choice."""

    def make(content: bytes) -> Omniglot28:
        (tmp_path / "area.npz").write_bytes(content)

        class Tiny(Omniglot28):
            files = (RemoteFile("area.npz", "", None, sha256(content)),)

        return Tiny(name="omniglot28")

    return make


def packed(root: Path, arrays: dict[str, Any]) -> bytes:
    np.savez_compressed(root / "new.npz", allow_pickle=True, **arrays)
    return (root / "new.npz").read_bytes()


def test_the_stored_split_is_used_and_some_images_are_not(
    omniglot28: MakeOmniglot28, tmp_path: Path
) -> None:
    corpus = omniglot28(packed(tmp_path, npz())).load(tmp_path)

    assert corpus.labels is not None
    assert corpus.grey is not None
    assert {split: labels.tolist() for split, labels in corpus.labels.items()} == {
        "train": [102, 105, 106],
        "validation": [104],
        "test": [101, 108],
    }
    assert corpus.grey[:, 0, 0].tolist() == [1, 4, 5]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"split": None}, "arrays images, char_id, split; got KeyError"),
        ({"split": np.zeros(7, int)}, r"label for each of 8 images; got int64 \[7\]"),
        ({"char_id": np.zeros(8)}, "whole number as label .* got float64"),
        ({"images": np.zeros((8, 105, 105), bool)}, r"got bool \[8, 105, 105\]"),
        # An array of objects is a pickle, which could run any code.
        ({"char_id": np.array([None] * 8)}, "got ValueError: .*allow_pickle"),
    ],
)
def test_npz_arrays_of_another_form_are_told(
    change: dict[str, Any], told: str, omniglot28: MakeOmniglot28, tmp_path: Path
) -> None:
    arrays = {name: x for name, x in {**npz(), **change}.items() if x is not None}

    with pytest.raises(DataError, match=rf"area\.npz: expected .*{told}") as error:
        omniglot28(packed(tmp_path, arrays)).load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut off"])
def test_a_file_that_is_not_of_numpy_is_told(
    content: bytes, omniglot28: MakeOmniglot28, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"area\.npz: expected arrays images, char_id, split; got"):
        omniglot28(content).load(tmp_path)


@pytest.fixture(scope="module")
def derived() -> Corpus:
    if "SWEEPER_DATA_DIR" not in os.environ:
        pytest.skip("SWEEPER_DATA_DIR does not say where the derived Omniglot is")
    return Omniglot28(name="omniglot28").load(Path(os.environ["SWEEPER_DATA_DIR"]))


def test_the_derived_file_has_the_published_numbers_of_images(derived: Corpus) -> None:
    assert {split: len(x) for split, x in derived.splits.items()} == {
        "train": 22_345,
        "validation": 2_000,
        "test": 8_070,
    }
    assert derived.labels is not None
    assert torch.cat(list(derived.labels.values())).unique().tolist() == list(range(1, 1_624))


def test_the_ink_of_the_derived_file_is_as_declared(derived: Corpus) -> None:
    assert derived.grey is not None

    assert round(derived.grey.double().mean().item() / 255, 4) == 0.0805
    for x in derived.splits.values():
        assert 0.079 < x.double().mean() < 0.082
