"""The classic VAE of binary images: multi-layer perceptrons, and pixels independent given z."""

from functools import partial
from itertools import chain, pairwise
from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, UInt8
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Config, Count
from trainables.data.corpus import Corpus
from trainables.models.config import ModelConfig
from trainables.models.encoder import Encoder
from trainables.models.images.model import height_and_width
from trainables.models.model import AmortisedModel, flat
from trainables.passes import decoded

NEVER = 1e-3  # the least probability of a one that the output's bias starts at

Widths = Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=30)]


class MlpEncoderConfig(Config):
    """Widths of the encoder's tanh layers, of which a hybrid critic shares the first few."""

    hidden: Widths = (200, 200)
    shared_layers: Annotated[Count, Field(validate_default=True)] = 1

    @field_validator("shared_layers")
    @classmethod
    def _are_there(cls, shared: int, info: Any) -> int:
        layers = len(info.data.get("hidden", range(shared)))
        if shared > layers:
            raise ValueError(f"{shared} layers cannot be shared where there are {layers}")
        return shared


class ImageMlpConfig(ModelConfig):
    """Tanh layers each way; by default the widths of Tucker et al.'s DReG experiments.

    Theirs have Gaussian latents of 50 dimensions; a categorical z is read as its one-hot vectors
    end to end. With `skip` z joins the input of every further layer and of the output (Skip-VAE).

    `output_bias` is what the output's bias starts at: the log-odds of the training images' mean,
    as in those experiments, or zero.
    """

    reads: ClassVar[str] = "images"

    name: Literal["image_mlp"]
    hidden: Widths = (200, 200)
    encoder: MlpEncoderConfig = MlpEncoderConfig()
    skip: bool = False
    output_bias: Literal["mean_image", "zero"] = "mean_image"

    def build(self, vocabulary: int, shape: tuple[int, ...]) -> "ImageMlp":
        """Build the model for binary images of `shape`, height and width.

        Raises ValueError for pixels of more than two values and another number of axes.
        """
        return ImageMlp(self, prod(height_and_width(vocabulary, shape)))


class MlpEncoder(Encoder):
    """Tanh layers from all pixels to the features."""

    early_layers: ClassVar[tuple[str, ...]] = ("shared",)
    input_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def __init__(self, config: MlpEncoderConfig, pixels: int) -> None:
        super().__init__()
        self.width = config.hidden[-1]
        layers = [
            nn.Sequential(_linear(inputs, outputs), nn.Tanh())
            for inputs, outputs in pairwise((pixels, *config.hidden))
        ]
        self.shared = nn.Sequential(*layers[: config.shared_layers])
        self.layers = nn.Sequential(*layers[config.shared_layers :])

    def inputs(self, x: UInt8[Tensor, "batch height width"]) -> Float[Tensor, "batch pixels"]:
        """Give the pixels, row by row."""
        weights = chain(self.parameters(), self.buffers())  # a copy may have buffers alone
        return x.flatten(1).to(next(weights).dtype)

    def early_of(self, inputs: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch early"]:
        """Give what the shared layers make of the images."""
        return self.shared(inputs)

    def late(
        self,
        early: Float[Tensor, "batch early"],
        x: Tensor,  # noqa: ARG002
    ) -> Float[Tensor, "batch width"]:
        """Give the features."""
        return self.layers(early)


class MlpDecoder(nn.Module):
    """Tanh layers from z to the logits of all pixels, row by row.

    Nothing is normalised over a batch, so that neither observations nor samples see one another.
    """

    def __init__(self, config: ImageMlpConfig, pixels: int) -> None:
        super().__init__()
        latent = config.latents.width
        self.skip = config.skip
        joined = latent if config.skip else 0
        first, *further = config.hidden
        self.first = _linear(latent, first)
        self.layers = nn.ModuleList(
            _linear(inputs + joined, outputs) for inputs, outputs in pairwise((first, *further))
        )
        self.last = _linear(config.hidden[-1] + joined, pixels)

    def forward(self, z: Float[Tensor, "K rows latent"]) -> Float[Tensor, "K rows pixels"]:
        """Give each pixel's log-odds of being one."""
        features = self.first(z).tanh()
        for layer in self.layers:
            features = layer(self._join(features, z)).tanh()
        return self.last(self._join(features, z))

    def _join(self, features: Tensor, z: Tensor) -> Tensor:
        return torch.cat([features, z], dim=-1) if self.skip else features


class ImageMlp(AmortisedModel):
    """q(z|x) and p(x|z) by a multi-layer perceptron each; p(x|z) a Bernoulli for each pixel.

    As the VAE of Kingma and Welling (2014), https://arxiv.org/abs/1312.6114, Appendix C, with the
    sizes of Tucker et al. (2019), https://arxiv.org/abs/1810.04152. They also centre the encoder's
    input, which is left here for the first layer's bias to learn.
    """

    decodes_once = True

    def __init__(self, config: ImageMlpConfig, pixels: int) -> None:
        super().__init__(config.latents, partial(MlpEncoder, config.encoder, pixels))
        _draw(self.to_posterior)
        self.decoder = MlpDecoder(config, pixels)
        self.output_bias = config.output_bias

    def start_from(self, corpus: Corpus) -> None:
        """Start the output's bias at the log-odds of the mean image, or leave it at zero.

        Pixels that are never or always one count as `NEVER` and 1 - `NEVER`.
        """
        if self.output_bias == "mean_image":
            one = corpus.mean_image().flatten().clamp(NEVER, 1 - NEVER)
            with torch.no_grad():
                self.decoder.last.bias.copy_(one.logit())

    def log_likelihood(
        self, x: UInt8[Tensor, "batch height width"], z: Float[Tensor, "K rows *latent"]
    ) -> Float[Tensor, "K batch"]:
        """Give ln p(x|z), summed over the pixels of each image."""
        decoded(len(z) * len(x))
        pixels = x.flatten(1).to(z.dtype)
        logits = self.decoder(flat(z))
        if z.shape[1] == 1 < len(x):  # sum_i (x_i l_i - ln(1 + e^l_i)), every z with every x
            of_zeros = functional.logsigmoid(-logits).sum(dim=-1)
            return logits[:, 0] @ pixels.T + of_zeros
        return -functional.binary_cross_entropy_with_logits(
            logits, pixels.expand_as(logits), reduction="none"
        ).sum(dim=-1)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return _draw(nn.Linear(inputs, outputs))


def _draw(linear: nn.Linear) -> nn.Linear:
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
