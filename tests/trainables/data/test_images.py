"""What data sets of images share: one fixed binarisation, grey values, labels, limits."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trainables.data.files import DataError
from trainables.data.images import BINARISATION_SEEDS, ImageData, Images, binarise, checked
from trainables.data.pictures import resize


def images(n: int, seed: int = 0) -> Images:
    grey = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), np.uint8)
    return Images(grey, np.arange(n))


class Tiny(ImageData):
    """Images made in memory."""

    def read(self, root: Path) -> Mapping[str, Images]:
        return {"train": images(20, 0), "validation": images(3, 1), "test": images(4, 2)}


def test_a_corpus_of_images_is_what_its_docstring_says(tmp_path: Path) -> None:
    corpus = Tiny(name="tiny").load(tmp_path)

    assert {split: tuple(x.shape) for split, x in corpus.splits.items()} == {
        "train": (20, 28, 28),
        "validation": (3, 28, 28),
        "test": (4, 28, 28),
    }
    assert all(x.dtype == torch.uint8 and x.max() == 1 for x in corpus.splits.values())
    assert (corpus.vocabulary, corpus.shape, corpus.nll_floor) == (2, (28, 28), None)
    assert corpus.grey is not None
    assert corpus.labels is not None
    np.testing.assert_array_equal(corpus.grey.numpy(), images(20).grey)
    assert corpus.labels["train"].tolist() == list(range(20))
    assert corpus.labels["test"].dtype == torch.int64


def test_every_trial_evaluates_on_the_same_pixels_whatever_torch_has_drawn(tmp_path: Path) -> None:
    first = Tiny(name="tiny").load(tmp_path).splits
    torch.rand(3)
    state = torch.get_rng_state()
    second = Tiny(name="tiny").load(tmp_path).splits

    for split, pixels in first.items():
        torch.testing.assert_close(pixels, second[split], rtol=0, atol=0)
    assert (torch.get_rng_state() == state).all()
    assert len(set(BINARISATION_SEEDS.values())) == 3


def test_grey_is_the_probability_of_ink() -> None:
    # Each level 10,000 times: its frequency is within 5 standard errors of level / 255.
    levels = torch.arange(256, dtype=torch.uint8)
    grey = levels[:, None, None].expand(256, 100, 100)

    frequency = binarise(grey, seed=1).double().mean(dim=(1, 2))

    p = levels.double() / 255
    assert ((frequency - p).abs() <= 5 * (p * (1 - p) / 10_000).sqrt()).all()
    assert (frequency[0], frequency[255]) == (0, 1)


def test_another_seed_gives_other_pixels() -> None:
    grey = torch.full((1, 28, 28), 128, dtype=torch.uint8)

    assert (binarise(grey, 1) != binarise(grey, 2)).any()
    torch.testing.assert_close(binarise(grey, 1), binarise(grey, 1), rtol=0, atol=0)


def test_fewer_training_images_are_a_fixed_part_with_their_labels(tmp_path: Path) -> None:
    corpus = Tiny(name="tiny", train_limit=5).load(tmp_path)

    assert corpus.grey is not None
    assert corpus.labels is not None
    kept = corpus.labels["train"]
    assert len(kept) == len(corpus.grey) == len(corpus.splits["train"]) == 5
    np.testing.assert_array_equal(corpus.grey.numpy(), images(20).grey[kept.numpy()])
    assert kept.tolist() != list(range(5))
    assert len(corpus.splits["validation"]) == 3


def test_a_smaller_side_is_of_the_same_images(tmp_path: Path) -> None:
    whole = Tiny(name="tiny").load(tmp_path)
    small = Tiny(name="tiny", side=14).load(tmp_path)

    assert Tiny(name="tiny", side=14).shape == small.shape == (14, 14)
    assert small.splits["train"].shape == (20, 14, 14)
    assert small.grey is not None
    np.testing.assert_array_equal(small.grey.numpy(), resize(images(20).grey, 14))
    assert small.labels is not None
    assert whole.labels is not None
    assert small.labels["test"].tolist() == whole.labels["test"].tolist()
    torch.testing.assert_close(
        Tiny(name="tiny", side=28).load(tmp_path).splits["test"],
        whole.splits["test"],
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize(("side", "told"), [(3, "equal to 4"), (29, "28 pixels .* got 29")])
def test_a_side_that_cannot_be_had_is_told(side: int, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Tiny(name="tiny", side=side)


def test_a_side_that_is_not_set_is_not_there() -> None:
    """Else the trials of all stored results would have other names than before."""
    assert Tiny(name="tiny").model_dump(mode="json") == {"name": "tiny", "train_limit": None}
    assert Tiny(name="tiny", side=14).model_dump(mode="json")["side"] == 14


def test_a_split_without_images_is_refused(tmp_path: Path) -> None:
    class Empty(Tiny):
        def read(self, root: Path) -> Mapping[str, Images]:
            return {"train": images(2), "validation": images(0), "test": images(2)}

    with pytest.raises(DataError, match="too few images: none for validation"):
        Empty(name="tiny").load(tmp_path)


@pytest.mark.parametrize(
    ("grey", "labels", "told"),
    [
        (np.zeros((2, 28, 28)), np.zeros(2, int), r"uint8 \[N, 28, 28\]; got float64"),
        (np.zeros((2, 784), np.uint8), np.zeros(2, int), r"got uint8 \[2, 784\]"),
        (np.zeros((2, 28, 27), np.uint8), np.zeros(2, int), r"got uint8 \[2, 28, 27\]"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, int), r"2 images; got int64 \[3\]"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros((2, 1), int), r"got int64 \[2, 1\]"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(2), r"whole number as label .* got float64"),
    ],
)
def test_arrays_of_another_form_are_told(grey: np.ndarray, labels: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=rf"^set/images: expected .*{told}") as error:
        checked(grey, labels, Path("set/images"))
    assert "\n" not in str(error.value)
