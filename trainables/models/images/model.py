"""What the image models share: the encoder, and the likelihood from any decoder's logits."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, UInt8
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Count
from trainables.models.config import ModelConfig
from trainables.models.images.encoder import ResNetConfig, ResNetEncoder, too_small
from trainables.models.model import AmortisedModel, flat
from trainables.passes import decoded

AT_ONCE = 32  # images a decoder scores in one pass where nothing is learnt


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"a kernel is centred on its pixel, so its size is odd; got {size}")
    return size


Kernel = Annotated[int, Field(ge=3, le=99), AfterValidator(_odd)]
Kernels = Annotated[tuple[Kernel, ...], Field(strict=False)]


class ImageDecoder(nn.Module, ABC):
    """A network from an image and z to the logits of its pixels, in the image's row-major order.

    The logit of a pixel depends on z and on earlier pixels alone, but for batch normalisation in
    training, whose statistics are of all pixels and images. Maps of z join the image; with `skip`,
    others join the input of each of the further `n_layers` - 1 layers and of the output, and
    `n_skipped` is their number of channels. `draw` initialises what makes maps of z.
    """

    def __init__(
        self,
        config: "ImageModelConfig",
        shape: tuple[int, int],
        n_layers: int,
        draw: Callable[[nn.Linear], object],
    ) -> None:
        super().__init__()
        self.n_skipped = config.latent_maps if config.skip else 0
        self.maps = nn.ModuleList(
            LatentMaps(config.latents.width, config.latent_maps, shape, draw)
            for _ in range(n_layers + 1 if config.skip else 1)
        )

    def skipped(
        self, z: Float[Tensor, "K rows latent"], batch: int
    ) -> list[Float[Tensor, "K_batch maps height width"]]:
        """Give the maps for each further layer and the output, if any, for all K samples."""
        return [maps(z).expand(len(z), batch, -1, -1, -1).flatten(0, 1) for maps in self.maps[1:]]

    @abstractmethod
    def read(
        self, pixels: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Give all that is made of the image before z comes in."""

    @abstractmethod
    def logits(
        self,
        read: Float[Tensor, "batch channels height width"],
        z: Float[Tensor, "K rows latent"],
    ) -> Float[Tensor, "K batch height width"]:
        """Give each pixel's log-odds of being one, from what `read` gave and z.

        z `[K, 1, latent]` stands for the same z at every image.
        """


class ImageModelConfig(ModelConfig):
    """The base of an image model's configuration.

    The published latents are Gaussian; a categorical z is read as its one-hot vectors end to end.
    """

    reads: ClassVar[str] = "images"
    least_batch: ClassVar[int] = 2  # batch normalisation

    encoder: ResNetConfig = ResNetConfig()
    latent_maps: Count = 4
    skip: bool = False

    def refuses(self, shape: tuple[int, ...]) -> str | None:
        """Say why images of `shape` are not for this model, or nothing."""
        return too_small(self.encoder, shape) if shape else None

    def build(self, vocabulary: int, shape: tuple[int, ...]) -> "ImageModel":
        """Build the model for binary images of `shape`, height and width.

        Raises ValueError for pixels of more than two values, another number of axes and images
        that are too small for the encoder.
        """
        height, width = height_and_width(vocabulary, shape)
        return ImageModel(self, (height, width), self.new_decoder((height, width)))

    @abstractmethod
    def new_decoder(self, shape: tuple[int, int]) -> ImageDecoder:
        """Build the decoder for images of `shape`."""


class ImageModel(AmortisedModel):
    """q(z|x) from a residual encoder; p(x|z) a Bernoulli for each pixel, given the ones before.

    Where nothing is learnt, in evaluation mode and without gradients, few images are decoded at a
    time, so that any number of samples fits in memory.
    """

    def __init__(
        self, config: ImageModelConfig, shape: tuple[int, int], decoder: ImageDecoder
    ) -> None:
        super().__init__(config.latents, partial(ResNetEncoder, config.encoder, shape))
        nn.init.xavier_uniform_(self.to_posterior.weight)
        nn.init.zeros_(self.to_posterior.bias)
        self.decoder = decoder

    def log_likelihood(
        self, x: UInt8[Tensor, "batch height width"], z: Float[Tensor, "K rows *latent"]
    ) -> Float[Tensor, "K batch"]:
        """Give ln p(x|z), summed over the pixels of each image."""
        decoded(len(z) * len(x))
        z, pixels = flat(z), x.to(z.dtype)
        if self.training or torch.is_grad_enabled():
            return self._score(pixels, z, K_at_once=len(z))
        K_at_once = max(1, AT_ONCE // len(x))
        columns = []
        for start in range(0, len(x), AT_ONCE):
            images = slice(start, start + AT_ONCE)
            of_each = z if z.shape[1] == 1 else z[:, images]
            columns.append(self._score(pixels[images], of_each, K_at_once))
        return torch.cat(columns, dim=1)

    def _score(self, pixels: Tensor, z: Tensor, K_at_once: int) -> Tensor:
        read = self.decoder.read(pixels[:, None])
        sign = 2 * pixels - 1
        rows = [
            functional.logsigmoid(sign * self.decoder.logits(read, part)).sum(dim=(-2, -1))
            for part in torch.split(z, K_at_once)
        ]
        return torch.cat(rows)


def height_and_width(vocabulary: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Give the two of binary images.

    Raises ValueError for pixels of more than two values and another number of axes.
    """
    if vocabulary != 2:
        raise ValueError(f"pixels are zero or one, so vocabulary is 2; got {vocabulary=}")
    if len(shape) != 2:
        raise ValueError(f"an image has a height and a width; got {shape=}")
    height, width = shape
    return height, width


def join(x: Tensor, *maps: Tensor) -> Tensor:
    """Put maps, if any, beside the channels of x."""
    return torch.cat([x, *maps], dim=1) if maps else x


class LatentMaps(nn.Module):
    """Maps of the image's size that are linear in z."""

    def __init__(
        self,
        latent: int,
        n_maps: int,
        shape: tuple[int, int],
        draw: Callable[[nn.Linear], object],
    ) -> None:
        super().__init__()
        self.shape = (n_maps, *shape)
        self.linear = nn.Linear(latent, n_maps * shape[0] * shape[1])
        draw(self.linear)

    def forward(self, z: Float[Tensor, "... latent"]) -> Float[Tensor, "... maps height width"]:
        """Give the maps of every z."""
        return self.linear(z).unflatten(-1, self.shape)
