"""MedMNIST: npz files of grey or coloured images and columns of labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError
from trainables.data.medmnist import MedMnist
from trainables.data.pictures import luminance

Arrays = dict[str, np.ndarray]
MakeMedMnist = Callable[[Arrays], MedMnist]
COUNTS = {"train": 5, "val": 2, "test": 3}


def arrays(*colours: int, n_labels: int = 1) -> Arrays:
    made = {}
    for seed, (part, n) in enumerate(COUNTS.items()):
        generator = np.random.default_rng(seed)
        made[f"{part}_images"] = generator.integers(0, 256, (n, 28, 28, *colours), np.uint8)
        made[f"{part}_labels"] = generator.integers(0, 2, (n, n_labels), np.uint8)
    return made


@pytest.fixture
def medmnist(tmp_path: Path) -> MakeMedMnist:
    """MedMNIST with a file of choice for its default subset."""

    def make(holds: Arrays) -> MedMnist:
        path = tmp_path / "medmnist/pneumoniamnist.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez_compressed(path, allow_pickle=True, **holds)

        class Tiny(MedMnist):
            files = (RemoteFile("medmnist/pneumoniamnist.npz", "", None),)

        return Tiny(name="medmnist")

    return make


def test_the_published_splits_are_used(medmnist: MakeMedMnist, tmp_path: Path) -> None:
    holds = arrays()
    corpus = medmnist(holds).load(tmp_path)

    assert {split: len(x) for split, x in corpus.splits.items()} == {
        "train": 5,
        "validation": 2,
        "test": 3,
    }
    assert corpus.grey is not None
    assert corpus.labels is not None
    np.testing.assert_array_equal(corpus.grey.numpy(), holds["train_images"])
    for split, part in (("train", "train"), ("validation", "val"), ("test", "test")):
        assert corpus.labels[split].tolist() == holds[f"{part}_labels"][:, 0].tolist()


def test_coloured_images_are_their_luminance(medmnist: MakeMedMnist, tmp_path: Path) -> None:
    holds = arrays(3)
    holds["train_images"][0] = 200, 100, 50

    splits = medmnist(holds).read(tmp_path)

    assert (splits["train"].grey[0] == 124).all()
    planes = holds["test_images"].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(splits["test"].grey, luminance(planes))


def test_several_findings_are_one_label(medmnist: MakeMedMnist, tmp_path: Path) -> None:
    holds = arrays(n_labels=14)
    holds["train_labels"] = np.zeros((5, 14), np.uint8)
    holds["train_labels"][1, 13] = holds["train_labels"][4, :2] = 1

    assert medmnist(holds).read(tmp_path)["train"].labels.tolist() == [0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"val_images": None}, "arrays train_images, .*; got KeyError"),
        ({"test_images": np.zeros((3, 28, 28, 28), np.uint8)}, r"got uint8 \[3, 28, 28, 28\]"),
        ({"test_images": np.zeros((3, 64, 64), np.uint8)}, r"got uint8 \[3, 64, 64\]"),
        ({"test_images": np.zeros((3, 28, 28, 3))}, r"got float64 \[3, 28, 28, 3\]"),
        ({"test_labels": np.zeros(3, int)}, r"\[N, classes\] as labels; got int64 \[3\]"),
        ({"test_labels": np.zeros((3, 1))}, "as labels; got float64"),
        ({"test_labels": np.zeros((2, 1), int)}, r"label for each of 3 images; got int64 \[2\]"),
        # An array of objects is a pickle, which could run any code.
        ({"test_labels": np.array([[None]] * 3)}, "got ValueError: .*allow_pickle"),
    ],
)
def test_arrays_of_another_form_are_told(
    change: dict[str, Any], told: str, medmnist: MakeMedMnist, tmp_path: Path
) -> None:
    holds = {name: x for name, x in {**arrays(), **change}.items() if x is not None}

    with pytest.raises(DataError, match=rf"pneumoniamnist\.npz: expected .*{told}") as error:
        medmnist(holds).load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_subset_needs_its_own_file_only(tmp_path: Path) -> None:
    data = MedMnist(name="medmnist", subset="bloodmnist")

    assert [file.name for file in data.needed] == ["medmnist/bloodmnist.npz"]
    with pytest.raises(
        DataError, match=r"lacks medmnist/bloodmnist\.npz: run `sweeper data fetch "
    ):
        data.load(tmp_path)
    assert data.fetched_as == "medmnist/bloodmnist"


def test_every_subset_has_a_file() -> None:
    subsets = MedMnist.model_fields["subset"].annotation.__args__  # type: ignore[union-attr]

    for subset in subsets:
        assert len(MedMnist(name="medmnist", subset=subset).needed) == 1
    assert len(subsets) == len(MedMnist.files)
