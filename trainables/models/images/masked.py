"""The residual decoder of masked convolutions, as the code of He et al. has it."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.models.images.encoder import draw_convolutions
from trainables.models.images.model import ImageDecoder, ImageModelConfig, Kernels, join

APART = 3  # a skip path leads over as many layers


class ResNetMaskedConfig(ImageModelConfig):
    """A residual encoder and masked convolutions; the published sizes by default.

    `kernels` has one entry for each layer and `channels` is even. `latent_maps` maps of z join the
    image; with `skip`, others join the input of every further layer and of the output (Skip-VAE).
    """

    name: Literal["resnet_masked"]
    channels: Annotated[int, Field(ge=2, lt=2**31, multiple_of=2)] = 64
    kernels: Annotated[Kernels, Field(min_length=APART)] = (7,) * 5 + (5,) * 4 + (3,) * 4

    def new_decoder(self, shape: tuple[int, int]) -> "MaskedDecoder":
        """Build the decoder for images of `shape`."""
        return MaskedDecoder(self, shape)


class MaskedDecoder(ImageDecoder):
    """Residual blocks of masked convolutions, with longer skip paths beside them.

    As `dec_pixelcnn_v2` of He et al. (2019), https://github.com/jxhe/vae-lagging-encoder, which
    the papers call a gated PixelCNN: there are no gates, and pixels above and to the right are
    hidden where the kernels' corners do not reach them. The image is masked but maps of z are seen
    whole. With Skip-VAE's maps (Dieng et al., 2019) a block's shortcut carries features alone, and
    so do the skip paths; there is no published decoder of this kind.

    In training, batch normalisation takes its statistics from all images and samples of z
    together: estimators for which the K samples are independent (DReG's, VIMCO's) hold only
    roughly. `GatedDecoder` normalises nothing.
    """

    def __init__(self, config: ResNetMaskedConfig, shape: tuple[int, int]) -> None:
        super().__init__(config, shape, len(config.kernels), _draw)
        channels, kernels, n_maps = config.channels, config.kernels, config.latent_maps
        self.first = MaskedConv(1, channels, kernels[0], own=False, unmasked=n_maps)
        self.after_first = nn.Sequential(nn.BatchNorm2d(channels), nn.ELU())
        self.blocks = nn.ModuleList(MaskedBlock(channels, k, self.n_skipped) for k in kernels[1:])
        self.paths = nn.ModuleList(MaskedBlock(channels, k) for k in kernels[1:-1])
        draw_convolutions(self)
        # These two have torch's own initialisation in that code.
        self.before_last = nn.Conv2d(channels + self.n_skipped, channels, 1, bias=False)
        self.last = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ELU(), nn.Conv2d(channels, 1, 1, bias=False)
        )

    def read(
        self, pixels: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Give the first layer's convolution of the image."""
        return self.first(pixels)

    def logits(
        self,
        read: Float[Tensor, "batch channels height width"],
        z: Float[Tensor, "K rows latent"],
    ) -> Float[Tensor, "K batch height width"]:
        """Give each pixel's log-odds of being one, from what `read` gave and z."""
        K, batch = len(z), len(read)
        of_z = self.first.unmasked(self.maps[0](z).flatten(0, 1))
        convolved = of_z.view(*z.shape[:2], *read.shape[1:]) + read
        features = [self.after_first(convolved.flatten(0, 1))]
        joined = self.skipped(z, batch)
        for layer, block in enumerate(self.blocks, start=1):
            x = features[-1]
            if layer >= APART:
                x = x + self.paths[layer - APART](features[layer - APART])
            features.append(block(join(x, *joined[layer - 1 : layer])))
        x = features[-1] + self.paths[-1](features[-APART])
        return self.last(self.before_last(join(x, *joined[-1:]))).view(K, batch, *read.shape[2:])


class MaskedConv(nn.Conv2d):
    """A convolution that sees earlier pixels, and with `own` the pixel itself.

    Of further, `unmasked` channels every pixel is seen. The weights of hidden pixels are there, as
    in the published count, but no gradient reaches them.
    """

    mask: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, own: bool, unmasked: int = 0
    ) -> None:
        half = kernel // 2
        super().__init__(inputs + unmasked, outputs, kernel, padding=half, bias=False)
        mask = torch.ones(half + 1, kernel)  # the rows below are never seen
        mask[half, half + own :] = 0
        self.register_buffer("mask", mask, persistent=False)
        self.n_masked = inputs

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve the masked channels."""
        weight = self.weight[:, : self.n_masked, : len(self.mask)] * self.mask
        return functional.conv2d(x, weight, padding=self.padding)[:, :, : x.shape[2]]

    def unmasked(
        self, maps: Float[Tensor, "batch maps height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve the channels that are seen whole."""
        return functional.conv2d(maps, self.weight[:, self.n_masked :], padding=self.padding)


class MaskedBlock(nn.Module):
    """A bottleneck of half the channels round a masked convolution, beside a shortcut.

    Of its input's `channels + n_maps` channels the shortcut takes the first `channels`.
    """

    def __init__(self, channels: int, kernel: int, n_maps: int = 0) -> None:
        super().__init__()
        self.channels, half = channels, channels // 2
        self.main = nn.Sequential(
            nn.Conv2d(channels + n_maps, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ELU(),
            MaskedConv(half, half, kernel, own=True),
            nn.BatchNorm2d(half),
            nn.ELU(),
            nn.Conv2d(half, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Give the sum of both, activated."""
        return functional.elu(self.main(x) + x[:, : self.channels])


def _draw(linear: nn.Linear) -> None:
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
