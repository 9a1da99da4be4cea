"""Augmentations of images by name, and views of a batch made with a list of them."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor

from trainables.augmentation.augmentation import Augmentation
from trainables.augmentation.geometry import Affine, Crop, Erase, Flip
from trainables.augmentation.intensity import Blur, Jitter, Noise

__all__ = ["AUGMENTATIONS", "DEFAULT", "AnyAugmentation", "Augmentation", "view"]

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "crop": Crop,
    "affine": Affine,
    "blur": Blur,
    "jitter": Jitter,
    "flip": Flip,
    "erase": Erase,
    "noise": Noise,
}

# What leaves digits and letters what they are.
DEFAULT: tuple[Augmentation, ...] = (
    Crop(name="crop"),
    Affine(name="affine"),
    Blur(name="blur"),
    Jitter(name="jitter"),
)

if TYPE_CHECKING:
    AnyAugmentation = Augmentation
else:
    AnyAugmentation = Annotated[reduce(or_, AUGMENTATIONS.values()), Field(discriminator="name")]


@torch.no_grad()
def view(
    x: UInt8[Tensor, "batch *channels height width"], augmentations: Iterable[Augmentation]
) -> UInt8[Tensor, "batch *channels height width"]:
    """Give a random view of each binary image: augmented in order, and drawn as binary again.

    An augmentation leaves grey values. They count as probabilities of a one, as those of the data
    do (`trainables.data.images`), and the view is a fresh draw from them. So an encoder sees in
    training what it sees in evaluation, binary images, and the likelihood of a view is that of a
    Bernoulli for each pixel, a probability and no cross-entropy with a fraction. Without any
    augmentation a view is the image itself.

    Draws from torch's global generator, on the device of `x`.
    """
    images = x.float() if x.dim() == 4 else x.float()[:, None]
    for augmentation in augmentations:
        images = augmentation(images)
    # A quarter of the time that `torch.bernoulli` takes, and it minds no value just above one.
    return (torch.rand_like(images) < images).to(x.dtype).view(x.shape)
