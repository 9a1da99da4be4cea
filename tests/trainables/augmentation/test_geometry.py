"""Crops and moves against what they do to images that are made by hand."""

import math

import pytest
import torch
from torch import Tensor

from trainables.augmentation.geometry import Affine, Crop, Erase, Flip, move, resample


def picture(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def moved(
    x: Tensor, degrees: float = 0, scale: float = 1, across: float = 0, down: float = 0
) -> Tensor:
    """Move images, with shifts in pixels."""
    height, width = x.shape[-2:]
    given = (math.radians(degrees), scale, 2 * across / width, 2 * down / height)
    return move(x, *(torch.full((len(x),), value, dtype=x.dtype) for value in given))


def at(height: int, width: int, row: int, column: int) -> Tensor:
    """One at a pixel, counted from the middle one, and zeros."""
    x = torch.zeros(1, 1, height, width, dtype=torch.float64)
    x[..., height // 2 + row, width // 2 + column] = 1
    return x


RANDOM = torch.rand(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_upper_left_quarter_is_stretched_between_the_centres_of_pixels() -> None:
    """Of a row 0 4 8 12 the left half is seen at -0.25, 0.25, 0.75 and 1.25 pixels."""
    x = picture([[row + column for column in (0.0, 4.0, 8.0, 12.0)] for row in (0, 16, 32, 48)])
    theta = torch.tensor([[[0.5, 0, -0.5], [0, 0.5, -0.5]]], dtype=torch.float64)

    across, down = (0, 1, 3, 5), (0, 4, 12, 20)  # what is outside is as at the border
    expected = picture([[float(row + column) for column in across] for row in down])
    torch.testing.assert_close(resample(x, theta, "border"), expected)


def test_a_crop_lies_within_the_image_anywhere() -> None:
    """A ramp tells where every pixel comes from: half a side, so every step is halved."""
    torch.manual_seed(0)
    n, side = 500, 8
    ramp = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    x = ramp.expand(n, 1, side, side)

    rows = Crop(name="crop", scale=(0.25, 0.25), ratio=(1.0, 1.0))(x)[:, 0]

    torch.testing.assert_close(rows, rows[:, :1].expand_as(rows))  # nothing changes downwards
    inner = rows[:, 0, 1:-1]
    torch.testing.assert_close(inner.diff(dim=1), torch.full((n, 5), 0.5 / side).double())
    start = inner[:, 0] - 1.5 * 0.5 / side
    assert 0 <= start.min() < 0.01
    assert 0.49 < start.max() <= 0.5


@pytest.mark.parametrize(("ratio", "width", "height"), [(4.0, 1.0, 0.25), (0.25, 0.25, 1.0)])
def test_a_crop_has_the_ratio_and_share_asked_for(
    ratio: float, width: float, height: float
) -> None:
    ramp = (torch.arange(8, dtype=torch.float64) + 0.5) / 8
    crop = Crop(name="crop", scale=(0.25, 0.25), ratio=(ratio, ratio))
    for x, axis, share in ((ramp, -1, width), (ramp[:, None], -2, height)):
        steps = crop(x.expand(4, 1, 8, 8)).diff(dim=axis).narrow(axis, 1, 5)

        torch.testing.assert_close(steps, torch.full_like(steps, share / 8))


def test_a_shift_by_a_pixel_is_one() -> None:
    x = picture([[1, 2, 3], [4, 5, 6], [7, 8, 9]])

    right = picture([[0, 1, 2], [0, 4, 5], [0, 7, 8]])
    down = picture([[0, 0, 0], [1, 2, 3], [4, 5, 6]])
    torch.testing.assert_close(moved(x, across=1), right)
    torch.testing.assert_close(moved(x, down=1), down)


@pytest.mark.parametrize(("degrees", "k"), [(90, -1), (180, 2), (-90, 1)])
def test_a_square_is_turned_clockwise(degrees: float, k: int) -> None:
    torch.testing.assert_close(moved(RANDOM, degrees), torch.rot90(RANDOM, k, (-2, -1)))


def test_twice_the_size_is_half_the_steps() -> None:
    """Of a row 4 8 12 16 the middle is seen at 0.75, 1.25, 1.75 and 2.25 pixels."""
    x = picture([[4, 8, 12, 16]] * 4)

    torch.testing.assert_close(moved(x, scale=2), picture([[7, 9, 11, 13]] * 4))


@pytest.mark.parametrize(("height", "width"), [(9, 9), (9, 13), (15, 9)])
def test_images_are_scaled_then_turned_then_shifted(height: int, width: int) -> None:
    """Turns are of pixels, not of sides. What is right of the middle goes below it."""
    x = at(height, width, 0, 1)

    torch.testing.assert_close(moved(x, 90), at(height, width, 1, 0))
    torch.testing.assert_close(moved(x, 90, across=2), at(height, width, 1, 2))
    larger = moved(x, 90, scale=2, across=1)
    assert larger[..., height // 2 + 2, width // 2 + 1].item() == pytest.approx(1)


def test_moves_are_within_the_bounds_given() -> None:
    torch.manual_seed(0)
    x = at(21, 21, 0, 0).expand(400, 1, 21, 21)
    places = torch.arange(21, dtype=torch.float64) - 10

    shifted = Affine(name="affine", rotation=0.0, translation=0.2, scale=(1.0, 1.0))(x)[:, 0]
    for axis in (1, 2):
        centre = (shifted.sum(dim=3 - axis) * places).sum(dim=1)
        assert 4.0 < centre.max() <= 4.2 + 1e-9
        assert -4.2 - 1e-9 <= centre.min() < -4.0

    # A ramp that is turned says by how much.
    ramp = (places / 20 + 0.5).expand(400, 1, 21, 21)
    turned = Affine(name="affine", rotation=30.0, translation=0.0, scale=(1.0, 1.0))(ramp)
    middle = 20 * turned[:, 0, 9:12, 9:12]
    sine, cosine = (middle.diff(dim=axis).flatten(1) for axis in (1, 2))
    torch.testing.assert_close(sine.square()[:, :1] + cosine.square(), torch.ones_like(cosine))
    assert 0.48 < sine.max() <= 0.5 + 1e-9  # sin 30°
    assert -0.5 - 1e-9 <= sine.min() < -0.48


def test_a_flip_mirrors_left_for_right() -> None:
    x = picture([[1, 2, 3], [4, 5, 6]])

    flipped = Flip(name="flip", probability=1.0)(x)

    assert torch.equal(flipped, picture([[3, 2, 1], [6, 5, 4]]))
    assert Flip(name="flip").probability == 0.5


def test_a_rectangle_of_the_share_asked_for_is_erased() -> None:
    torch.manual_seed(0)
    x = torch.ones(200, 2, 8, 16, dtype=torch.float64)

    erased = Erase(name="erase", scale=(0.25, 0.25), ratio=(1.0, 1.0), value=0.5)(x)

    assert torch.equal(erased[:, 0], erased[:, 1])
    gone = erased[:, 0] == 0.5
    assert torch.equal(erased[:, 0][~gone], torch.ones_like(erased[:, 0][~gone]))
    rows, columns = gone.any(dim=2), gone.any(dim=1)
    assert torch.equal(gone, rows[:, :, None] & columns[:, None, :])
    assert set(rows.sum(dim=1).tolist()) == {4}
    assert set(columns.sum(dim=1).tolist()) == {8}
    assert all(each.any(dim=0).all() for each in (rows, columns))  # anywhere in the image
