"""What all augmentations share, and views: whom they change, their range, the draw at the end."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from trainables.augmentation import AUGMENTATIONS, DEFAULT, AnyAugmentation, Augmentation, view

# As far from the identity as each goes.
STRONG: dict[str, dict[str, Any]] = {
    "crop": {"scale": [0.01, 1.0], "ratio": [0.1, 10.0]},
    "affine": {"rotation": 180, "translation": 1, "scale": [0.1, 10.0]},
    "blur": {"sigma": [0.1, 20.0], "probability": 1},
    "jitter": {"brightness": 1, "contrast": 1, "probability": 1},
    "flip": {"probability": 1},
    "erase": {"scale": [0.1, 1.0], "value": 1},
    "noise": {"sigma": 1},
}
NOTHING: dict[str, dict[str, Any]] = {
    "crop": {"scale": [1, 1], "ratio": [1, 1]},
    "affine": {"rotation": 0, "translation": 0, "scale": [1, 1]},
    "blur": {"sigma": [1e-3, 1e-3], "probability": 1},
    "jitter": {"brightness": 0, "contrast": 0, "probability": 1},
    "flip": {"probability": 0},
    "erase": {"scale": [1e-12, 1e-12]},
    "noise": {"sigma": 1e-12},
}


def augmentation(name: str, **settings: Any) -> Augmentation:
    made: Augmentation = TypeAdapter(AnyAugmentation).validate_python({"name": name, **settings})
    return made


def images(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def binary(*shape: int) -> Tensor:
    return (images(*shape) > 0.5).to(torch.uint8)


class Becomes(Augmentation):
    """Images of one value."""

    value: float

    def change(self, images: Tensor) -> Tensor:
        return torch.full_like(images, self.value)


@pytest.mark.parametrize("shape", [(4, 1, 5, 7), (3, 3, 6, 6)], ids=str)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_settings_that_change_nothing_give_the_input(name: str, shape: tuple[int, ...]) -> None:
    x = images(*shape)
    before = x.clone()

    torch.testing.assert_close(augmentation(name, **NOTHING[name])(x), before, rtol=0, atol=1e-10)
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(64, 1, 5, 7), (64, 3, 6, 6)], ids=str)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_stay_in_their_range_and_change_each_for_itself(
    name: str, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    x = images(1, *shape[1:], dtype=torch.float32).expand(*shape)

    changed = augmentation(name, **STRONG[name])(x)

    assert changed.shape == x.shape
    assert changed.dtype == x.dtype
    assert -1e-6 <= changed.min() <= changed.max() <= 1 + 1e-6
    assert not torch.equal(changed, x)
    n_different = len({tuple(image.flatten().tolist()) for image in changed})
    assert n_different == 1 if name == "flip" else n_different > 20


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_all_randomness_is_that_of_the_global_generator(name: str) -> None:
    x, made = images(8, 1, 5, 5), augmentation(name, **{**STRONG[name], "probability": 0.5})
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(made(x))

    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_an_image_is_changed_with_the_probability_given_or_left_as_it_is() -> None:
    torch.manual_seed(0)
    x = images(2000, 1, 2, 2)

    for probability in (0.0, 0.3, 1.0):
        changed = Becomes(name="becomes", value=2.0, probability=probability)(x)
        is_changed = (changed == 2).flatten(1).all(dim=1)
        assert torch.equal(changed[~is_changed], x[~is_changed])
        assert is_changed.double().mean().item() == pytest.approx(probability, abs=0.04)


# Views ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 5, 7), (4, 3, 5, 7)], ids=str)
def test_a_view_without_augmentations_is_the_image(shape: tuple[int, ...]) -> None:
    x = binary(*shape)

    assert torch.equal(view(x, ()), x)


@pytest.mark.parametrize("shape", [(4, 8, 7), (4, 3, 8, 7)], ids=str)
def test_a_view_is_a_binary_image_of_the_same_kind(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = binary(*shape)

    views = [view(x, DEFAULT) for _ in range(2)]

    for each in views:
        assert each.dtype == torch.uint8
        assert each.shape == x.shape
        assert set(each.unique().tolist()) == {0, 1}
    assert not torch.equal(*views)
    assert not torch.equal(views[0], x)


@pytest.mark.parametrize(("value", "mean"), [(0.3, 0.3), (1 + 1e-6, 1), (-1e-6, 0)])
def test_grey_values_are_probabilities_of_a_one(value: float, mean: float) -> None:
    torch.manual_seed(0)

    drawn = view(binary(50, 20, 20), [Becomes(name="becomes", value=value)]).double().mean().item()

    assert drawn == pytest.approx(mean, abs=4 * (mean * (1 - mean) / 20_000) ** 0.5)


def test_augmentations_are_applied_in_their_order() -> None:
    x = binary(3, 4, 4)
    ones, zeros = (Becomes(name="becomes", value=value) for value in (1.0, 0.0))

    assert view(x, [ones, zeros]).sum() == 0
    assert view(x, [zeros, ones]).all()


def test_the_default_keeps_what_a_letter_is() -> None:
    assert [each.name for each in DEFAULT] == ["crop", "affine", "blur", "jitter"]


# Configuration --------------------------------------------------------------------------------


def test_each_is_registered_under_its_name() -> None:
    for name, kind in AUGMENTATIONS.items():
        assert type(augmentation(name)) is kind
        assert augmentation(name).name == name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "crop", "scale": [1.0, 0.5]}, "a range is [low, high]"),
        ({"name": "crop", "scale": [0.5, 1.5]}, "less than or equal to 1"),
        ({"name": "crop", "scale": [0, 1]}, "greater than 0"),
        ({"name": "affine", "rotation": -1}, "greater than or equal to 0"),
        ({"name": "affine", "scale": [0.0, 1.0]}, "greater than 0"),
        ({"name": "blur", "sigma": 1.0}, "valid tuple"),
        ({"name": "blur", "sigma": [0.0, 1.0]}, "greater than 0"),
        ({"name": "jitter", "hue": 0.1}, "Extra inputs are not permitted"),
        ({"name": "flip", "probability": 1.1}, "less than or equal to 1"),
        ({"name": "noise", "sigma": 0.0}, "greater than 0"),
        ({"name": "solarise"}, "'crop', 'affine', 'blur'"),
    ],
)
def test_what_is_not_defined_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(AnyAugmentation).validate_python(given)
    assert message in str(refusal.value)
