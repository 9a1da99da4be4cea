"""Augmentations that change the values of pixels where they are."""

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn import functional

from trainables.augmentation.augmentation import (
    Augmentation,
    Images,
    PositiveRange,
    Share,
    uniform,
)

REACH = 3  # standard deviations of a Gaussian that are added up


class Blur(Augmentation):
    """Convolve with a Gaussian whose standard deviation, in pixels, is drawn from `sigma`.

    Beyond its edges an image is taken to go on as there.
    """

    name: Literal["blur"]
    probability: Share = 0.5
    sigma: PositiveRange = (0.1, 1.0)

    def change(self, images: Images) -> Images:
        """Give the blurred images."""
        sigma = uniform(*self.sigma, images)
        radius = math.ceil(REACH * self.sigma[1])
        away = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
        weights = (-0.5 * (away / sigma[:, None]).square()).softmax(dim=-1)
        return _convolve(_convolve(images, weights, -1), weights, -2)


def _convolve(images: Images, weights: Float[Tensor, "N taps"], axis: int) -> Images:
    """Convolve each image with its own symmetric kernel along its rows, -1, or columns, -2.

    The shifted images are added up one by one, which copies none of them.
    """
    side, taps = images.shape[axis], weights.shape[1]
    rim = (taps // 2,) * 2
    padded = functional.pad(images, (*rim, 0, 0) if axis == -1 else (0, 0, *rim), mode="replicate")
    total = torch.zeros_like(images)
    for shift, weight in enumerate(weights[:, :, None, None, None].unbind(dim=1)):
        total.addcmul_(padded.narrow(axis, shift, side), weight)
    return total


class Jitter(Augmentation):
    """Change the brightness, then the contrast, by factors from [1 - b, 1 + b] and [1 - c, 1 + c].

    Brightness multiplies the values, contrast their distance from the image's mean; what leaves
    [0, 1] is cut.
    """

    name: Literal["jitter"]
    probability: Share = 0.8
    brightness: Share = 0.2
    contrast: Share = 0.2

    def change(self, images: Images) -> Images:
        """Give the images, brighter or darker and with more or less contrast."""
        bright, contrast = (
            uniform(1 - by, 1 + by, images)[:, None, None, None]
            for by in (self.brightness, self.contrast)
        )
        images = (images * bright).clamp(0, 1)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        return ((images - mean) * contrast + mean).clamp(0, 1)


class Noise(Augmentation):
    """Add independent Gaussian noise of standard deviation `sigma` to every value; cut to [0, 1].

    What is drawn from a blank pixel is then a one with probability 0.4 `sigma`.
    """

    name: Literal["noise"]
    sigma: Annotated[PositiveFloat, Field(le=1)] = 0.1

    def change(self, images: Images) -> Images:
        """Give the images with noise."""
        return (images + self.sigma * torch.randn_like(images)).clamp(0, 1)
