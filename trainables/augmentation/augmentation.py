"""What every augmentation of images offers, and what its configuration says."""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field
from torch import Tensor

from trainables.config import Config

Images = Float[Tensor, "N C H W"]
"""Images with values in [0, 1]."""


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"a range is [low, high]; got {list(bounds)}")
    return bounds


Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveRange = Annotated[tuple[Positive, Positive], Field(strict=False), AfterValidator(_rising)]
ShareRange = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]],
    Field(strict=False),
    AfterValidator(_rising),
]


class Augmentation(Config, ABC):
    """A random change of images, which draws anew for each of them.

    `probability` is that of an image being changed at all. All randomness is torch's global
    generator's, on the images' device. No gradient is meant to flow through a change.
    """

    name: str
    probability: Share = 1.0

    def __call__(self, images: Images) -> Images:
        """Give the images, each changed with the probability given; the argument stays."""
        changed = self.change(images)
        if self.probability == 1:
            return changed
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < self.probability
        return changed.where(chosen, images)

    @abstractmethod
    def change(self, images: Images) -> Images:
        """Give all images changed, with values in [0, 1] but for rounding."""


def uniform(low: float, high: float, images: Images) -> Float[Tensor, " N"]:
    """Draw one number from [low, high) for each image."""
    drawn = torch.rand(len(images), dtype=images.dtype, device=images.device)
    return low + (high - low) * drawn


def log_uniform(low: float, high: float, images: Images) -> Float[Tensor, " N"]:
    """Draw one number from [low, high) for each image, whose logarithm is uniform."""
    return low * (high / low) ** uniform(0.0, 1.0, images)
