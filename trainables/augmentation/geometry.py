"""Augmentations that move the content of images: bilinear, all images of a batch at once."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from trainables.augmentation.augmentation import (
    Augmentation,
    Images,
    PositiveRange,
    Share,
    ShareRange,
    log_uniform,
    uniform,
)

Padding = Literal["zeros", "border"]


class Crop(Augmentation):
    """Cut out a random rectangle and stretch it to the whole image.

    Its share of the image's area is drawn from `scale`, and its width over its height, relative to
    the image's, from `ratio`, uniformly in the logarithm; no side is longer than the image's. With
    defaults about 85 % of each side stay at least, so that digits and letters are still to be
    read; the published crops for photographs are `scale: [0.08, 1]` and `ratio: [0.75, 1.3333]`.
    """

    name: Literal["crop"]
    scale: ShareRange = (0.8, 1.0)
    ratio: PositiveRange = (0.9, 1.1)

    def change(self, images: Images) -> Images:
        """Give a crop of each image."""
        area, ratio = uniform(*self.scale, images), log_uniform(*self.ratio, images)
        width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        across, down = ((1 - side) * uniform(-1.0, 1.0, images) for side in (width, height))
        zero = torch.zeros_like(width)
        theta = torch.stack([width, zero, across, zero, height, down], dim=-1)
        return resample(images, theta.view(-1, 2, 3), "border")


class Affine(Augmentation):
    """Rotate, scale and shift by a little; what comes in from outside is zero.

    The angle is up to `rotation` degrees either way, the shift up to a share `translation` of each
    side either way, and the content becomes larger by a factor from `scale`.
    """

    name: Literal["affine"]
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    translation: Share = 0.05
    scale: PositiveRange = (0.95, 1.05)

    def change(self, images: Images) -> Images:
        """Give each image moved."""
        angle = torch.deg2rad(uniform(-self.rotation, self.rotation, images))
        scale = uniform(*self.scale, images)
        # Positions run from -1 to 1, so that a share of a side is twice as much.
        across, down = (uniform(-1.0, 1.0, images) * 2 * self.translation for _ in "xy")
        return move(images, angle, scale, across, down)


class Flip(Augmentation):
    """Mirror images, left for right.

    It makes other letters and digits of some, so no default list has it.
    """

    name: Literal["flip"]
    probability: Share = 0.5

    def change(self, images: Images) -> Images:
        """Give the mirrored images."""
        return images.flip(-1)


class Erase(Augmentation):
    """Blank a random rectangle, whose share of the area and ratio of sides are as a crop's."""

    name: Literal["erase"]
    scale: ShareRange = (0.02, 0.2)
    ratio: PositiveRange = (0.5, 2.0)
    value: Share = 0.0

    def change(self, images: Images) -> Images:
        """Give each image with a rectangle of one value; a pixel is in it where its centre is."""
        area, ratio = uniform(*self.scale, images), log_uniform(*self.ratio, images)
        inside = torch.ones((), dtype=torch.bool, device=images.device)
        for axis, share in ((-1, (area * ratio).sqrt()), (-2, (area / ratio).sqrt())):
            n = images.shape[axis]
            share = share.clamp(max=1)
            start = (1 - share) * uniform(0.0, 1.0, images)
            centres = (torch.arange(n, dtype=images.dtype, device=images.device) + 0.5) / n
            within = (centres >= start[:, None]) & (centres < (start + share)[:, None])
            inside = inside & (within[:, None, None] if axis == -1 else within[:, None, :, None])
        return images.masked_fill(inside, self.value)


def move(
    images: Images,
    angle: Float[Tensor, " N"],
    scale: Float[Tensor, " N"],
    across: Float[Tensor, " N"],
    down: Float[Tensor, " N"],
) -> Images:
    """Scale each image about its centre, turn it clockwise by an angle, and shift it.

    Shifts are in half sides, to the right and down; the angle is in radians.
    """
    # A pixel of the result is looked up where it came from: unshifted, unturned, unscaled. Sides
    # of different lengths have different units, so that turning changes one into the other.
    longer = images.shape[-2] / images.shape[-1]
    cos, sin = angle.cos() / scale, angle.sin() / scale
    theta = torch.stack(
        [
            torch.stack([cos, sin * longer, -cos * across - sin * longer * down], dim=-1),
            torch.stack([-sin / longer, cos, sin / longer * across - cos * down], dim=-1),
        ],
        dim=-2,
    )
    return resample(images, theta, "zeros")


def resample(images: Images, theta: Float[Tensor, "N 2 3"], padding: Padding) -> Images:
    """Give at each position p what the images have at theta (p, 1), positions being (x, y).

    Positions run from -1 to 1 between the outer edges of the first and the last pixel.
    """
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode=padding, align_corners=False)
