"""The residual encoder of He et al., in blocks of which a critic can share the first."""

import math
from itertools import chain
from typing import Annotated, Any, ClassVar

from jaxtyping import Float, UInt8
from pydantic import Field, field_validator
from torch import Tensor, nn

from trainables.config import Config, Count
from trainables.models.encoder import Encoder


class ResNetConfig(Config):
    """Sizes of the residual encoder; the published ones by default.

    `hidden` is the number of features. A hybrid critic shares the first `shared_blocks`; which
    layers Menon, Blei and Vondrick (2022) share for images is not known.
    """

    channels: Count = 64
    blocks: Annotated[int, Field(ge=1, le=30)] = 3
    hidden: Count = 512
    shared_blocks: Annotated[Count, Field(validate_default=True)] = 2

    @field_validator("shared_blocks")
    @classmethod
    def _are_there(cls, shared: int, info: Any) -> int:
        blocks = info.data.get("blocks", shared)
        if shared > blocks:
            raise ValueError(f"{shared} blocks cannot be shared where there are {blocks}")
        return shared


def too_small(config: ResNetConfig, shape: tuple[int, ...]) -> str | None:
    """Say why a block would find a single row or column of images of `shape`, or nothing."""
    if min(shape) > 2 ** (config.blocks - 1):
        return None
    return (
        f"images of {' x '.join(map(str, shape))} are too small for {config.blocks} residual "
        f"blocks, each of which halves them; they allow {(min(shape) - 1).bit_length()}"
    )


class ResNetEncoder(Encoder):
    """Residual blocks that halve the image, then one convolution over what is left of it.

    As `enc_resnet_v2` of He et al. (2019), https://github.com/jxhe/vae-lagging-encoder: 28 x 28
    pixels become 14, 7 and 4 a side, and the last convolution is 4 x 4 without padding. Raises
    ValueError for images of which a block would find a single row or column.
    """

    early_layers: ClassVar[tuple[str, ...]] = ("shared",)
    input_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def __init__(self, config: ResNetConfig, shape: tuple[int, int]) -> None:
        super().__init__()
        if why := too_small(config, shape):
            raise ValueError(why)
        self.width = config.hidden
        inputs = [1] + [config.channels] * (config.blocks - 1)
        blocks = [HalvingBlock(n, config.channels) for n in inputs]
        self.shared = nn.Sequential(*blocks[: config.shared_blocks])
        self.blocks = nn.Sequential(*blocks[config.shared_blocks :])
        left = tuple(-(-side // 2**config.blocks) for side in shape)
        self.last = nn.Sequential(
            nn.Conv2d(config.channels, config.hidden, left, bias=False),
            nn.BatchNorm2d(config.hidden),
            nn.ELU(),
            nn.Flatten(),
        )
        draw_convolutions(self)

    def inputs(
        self, x: UInt8[Tensor, "batch height width"]
    ) -> Float[Tensor, "batch 1 height width"]:
        """Give the pixels."""
        weights = chain(self.parameters(), self.buffers())  # a copy may have buffers alone
        return x[:, None].to(next(weights).dtype)

    def early_of(
        self, inputs: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Give what the shared blocks make of the images."""
        return self.shared(inputs)

    def late(
        self,
        early: Float[Tensor, "batch channels rows columns"],
        x: Tensor,  # noqa: ARG002
    ) -> Float[Tensor, "batch width"]:
        """Give the features.

        Raises ValueError in training for a single image: its features would be normalised by
        their own values, hence all be zero.
        """
        if self.training and len(early) == 1:
            raise ValueError(
                "batch normalisation needs two images or more to train on; got a batch of 1"
            )
        return self.last(self.blocks(early))


class HalvingBlock(nn.Module):
    """Two 3 x 3 convolutions, the first with stride 2, beside a 1 x 1 one with stride 2."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ELU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, channels, 1, stride=2, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Halve the images' sides, rounding up."""
        return nn.functional.elu(self.main(x) + self.shortcut(x))


def draw_convolutions(module: nn.Module) -> None:
    """Draw the weights of all convolutions in `module` from N(0, 2 / (kernel area x outputs))."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = math.prod(part.kernel_size) * part.out_channels
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan_out))
