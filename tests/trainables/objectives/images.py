"""A small image model, in float64, and images for it."""

from typing import Any

import torch
from torch import Tensor

from trainables.models.images.masked import ResNetMaskedConfig
from trainables.models.images.model import ImageModel

SIDE = 6


def image_model(**settings: Any) -> ImageModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ResNetMaskedConfig.model_validate(
            {
                "name": "resnet_masked",
                "latents": {"kind": "gaussian", "dimensions": 3},
                "encoder": {"channels": 2, "blocks": 2, "hidden": 5},
                "channels": 2,
                "kernels": [3, 3, 3],
                "latent_maps": 1,
                **settings,
            }
        )
        return config.build(2, (SIDE, SIDE)).double()


def images(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(2, (n, SIDE, SIDE), dtype=torch.uint8, generator=generator)
