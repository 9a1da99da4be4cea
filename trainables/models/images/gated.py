"""A gated PixelCNN as a decoder: a vertical and a horizontal stack, and no blind spot."""

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Count
from trainables.models.images.model import ImageDecoder, ImageModelConfig, Kernels, join


class ResNetGatedConfig(ImageModelConfig):
    """A residual encoder and a gated PixelCNN; the decoder's sizes are SA-VAE's by default.

    `kernels` has one entry for each layer. `latent_maps` maps of z join the image; with `skip`,
    others join the input of every further layer and of the output (Skip-VAE).
    """

    name: Literal["resnet_gated"]
    channels: Count = 32
    kernels: Annotated[Kernels, Field(min_length=1)] = (9,) * 3 + (7,) * 3 + (5,) * 3 + (3,) * 3

    def new_decoder(self, shape: tuple[int, int]) -> "GatedDecoder":
        """Build the decoder for images of `shape`."""
        return GatedDecoder(self, shape)


class GatedDecoder(ImageDecoder):
    """The conditional PixelCNN of van den Oord et al. (2016), https://arxiv.org/abs/1606.05328.

    Sizes and initialisation follow Kim et al. (2018), https://github.com/harvardnlp/sa-vae. Their
    vertical stack goes up by one row in every layer, which hides the far right of the rows above a
    pixel; here it does so in the first layer alone, and every earlier pixel is seen
    (by the middle pixel of 28 x 28, 406 instead of 391).

    Skip-VAE (https://github.com/yoonkim/skip-vae) sends the horizontal stack's residual, features
    and maps, through a 1 x 1 convolution. Here the features pass as they are and the maps through
    such a convolution, so that the plain decoder is the one whose maps' weights are zero. Without
    `skip` the first pixel's logit does not see z, for maps enter the first layer alone, which
    stops before each pixel.
    """

    def __init__(self, config: ResNetGatedConfig, shape: tuple[int, int]) -> None:
        super().__init__(config, shape, len(config.kernels), _draw)
        channels, kernels, n_maps = config.channels, config.kernels, config.latent_maps
        self.first = GatedLayer(1, n_maps, channels, kernels[0], first=True)
        self.layers = nn.ModuleList(
            GatedLayer(channels, self.n_skipped, channels, kernel) for kernel in kernels[1:]
        )
        self.last = nn.Conv2d(channels + self.n_skipped, 1, 1)

    def read(
        self, pixels: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Give both convolutions of the image in the first layer, one after the other."""
        return self.first.convolve(pixels, pixels)

    def logits(
        self,
        read: Float[Tensor, "batch channels height width"],
        z: Float[Tensor, "K rows latent"],
    ) -> Float[Tensor, "K batch height width"]:
        """Give each pixel's log-odds of being one, from what `read` gave and z."""
        K, batch = len(z), len(read)
        of_z = self.first.convolve_maps(self.maps[0](z).flatten(0, 1))
        convolved = of_z.view(*z.shape[:2], *read.shape[1:]) + read
        down, across = self.first.gate(convolved.flatten(0, 1))
        joined = self.skipped(z, batch)
        for number, layer in enumerate(self.layers):
            down, across = layer(down, across, *joined[number : number + 1])
        return self.last(join(across, *joined[-1:])).view(K, batch, *read.shape[2:])


class GatedLayer(nn.Module):
    """One layer of both stacks: convolutions down to and along the pixel's row, then gates.

    The vertical stack's features at a pixel are of the rows above, the horizontal stack's of the
    rows above and the row's earlier pixels. The first layer stops one row above and one pixel
    before; later ones read features, hence go up to the pixel's own. Maps of z join the input of
    both.
    """

    def __init__(
        self, inputs: int, n_maps: int, channels: int, kernel: int, *, first: bool = False
    ) -> None:
        super().__init__()
        half, shift = kernel // 2, int(first)
        self.vertical = CausalConv(
            inputs + n_maps, 2 * channels, (half + 1, kernel), padding=(half + shift, half)
        )
        self.horizontal = CausalConv(
            inputs + n_maps, 2 * channels, (1, half + 1), padding=(0, half + shift)
        )
        self.vertical_to_horizontal = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.maps_to_out = (
            None if first or n_maps == 0 else nn.Conv2d(n_maps, channels, 1, bias=False)
        )

    def forward(
        self,
        vertical: Float[Tensor, "batch channels height width"],
        horizontal: Float[Tensor, "batch channels height width"],
        *maps: Float[Tensor, "batch maps height width"],
    ) -> tuple[Tensor, Tensor]:
        """Give both stacks' features, the horizontal ones added to those before."""
        convolved = self.convolve(join(vertical, *maps), join(horizontal, *maps))
        vertical, change = self.gate(convolved)
        if self.maps_to_out is not None:
            change = change + self.maps_to_out(*maps)
        return vertical, horizontal + change

    def convolve(
        self,
        vertical: Float[Tensor, "batch inputs height width"],
        horizontal: Float[Tensor, "batch inputs height width"],
    ) -> Float[Tensor, "batch outputs height width"]:
        """Give both convolutions, one after the other; of the first channels where maps lack."""
        return torch.cat([self.vertical(vertical), self.horizontal(horizontal)], dim=1)

    def convolve_maps(
        self, maps: Float[Tensor, "batch maps height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Give what the maps add to `convolve` of the other inputs."""
        parts = [conv.of_last(maps) for conv in (self.vertical, self.horizontal)]
        return torch.cat(parts, dim=1)

    def gate(
        self, convolved: Float[Tensor, "batch outputs height width"]
    ) -> tuple[
        Float[Tensor, "batch channels height width"], Float[Tensor, "batch channels height width"]
    ]:
        """Give both stacks' gated features, the vertical ones having told the horizontal ones."""
        vertical, horizontal = convolved.chunk(2, dim=1)
        horizontal = horizontal + self.vertical_to_horizontal(vertical)
        return _gate(vertical), self.out(_gate(horizontal))


class CausalConv(nn.Conv2d):
    """A convolution whose padding would widen the image, which is cut below and on the right.

    It is linear in its channels, so the first and the last can be convolved apart.
    """

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve the first channels, as many as x has, and add the bias."""
        return self._convolve(x, self.weight[:, : x.shape[1]], self.bias)

    def of_last(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve the last channels, as many as x has, without the bias."""
        return self._convolve(x, self.weight[:, -x.shape[1] :], None)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolved = functional.conv2d(x, weight, bias, padding=self.padding)
        return convolved[:, :, : x.shape[2], : x.shape[3]]


def _gate(x: Tensor) -> Tensor:
    signal, gate = x.chunk(2, dim=1)
    return signal.tanh() * gate.sigmoid()


def _draw(linear: nn.Linear) -> None:
    nn.init.normal_(linear.weight, std=math.sqrt(2 / linear.in_features))
