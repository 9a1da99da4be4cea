"""The symbol model of Melis et al.: an MLP each way between a symbol and its latents."""

from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.config import Count
from trainables.models.config import ModelConfig
from trainables.models.encoder import Encoder
from trainables.models.latents import GaussianLatents, Latents, VqLatents
from trainables.models.model import AmortisedModel
from trainables.models.vocabulary import VocabularySoftmax
from trainables.passes import decoded


class SymbolMlpConfig(ModelConfig):
    """Sizes of the symbol model; the published one has 128 throughout.

    `join` says how a decoder reads the embeddings of several categorical latents, which the paper
    leaves open. Codes of vq latents are such embeddings.
    """

    reads: ClassVar[str] = "symbols"

    name: Literal["symbol_mlp"]
    latents: Latents
    embedding: Count = 128
    hidden: Count = 128
    join: Literal["sum", "concatenate"] = "concatenate"

    def build(self, vocabulary: int, shape: tuple[int, ...]) -> "SymbolMlp":  # noqa: ARG002
        """Build the model for symbols in `[0, vocabulary)`."""
        return SymbolMlp(self, vocabulary)


class SymbolEncoder(Encoder):
    """Two tanh layers from a symbol's embedding, which is what a critic may share."""

    early_layers: ClassVar[tuple[str, ...]] = ("embedding",)

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.width = hidden
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layers = nn.Sequential(
            nn.Linear(embedding, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )

    def inputs(self, x: Int[Tensor, " batch"]) -> Float[Tensor, "batch embedding"]:
        """Give the embeddings."""
        return self.embedding(x)

    def late(self, early: Float[Tensor, "batch embedding"], x: Tensor) -> Tensor:  # noqa: ARG002
        """Give the features."""
        return self.layers(early)


class SymbolMlp(AmortisedModel):
    """Two tanh layers from a symbol's embedding to q(z|x), and from z to a softmax over symbols.

    A decoder of categorical latents has their embeddings in place of its first layer, one of vq
    latents their codes.
    """

    decodes_once = True

    def __init__(self, config: SymbolMlpConfig, vocabulary: int) -> None:
        embedding, hidden, latents = config.embedding, config.hidden, config.latents
        super().__init__(latents, partial(SymbolEncoder, vocabulary, embedding, hidden))
        first: list[nn.Module]
        match latents:
            case GaussianLatents():
                first, width = [nn.Flatten(2), nn.Linear(latents.width, hidden), nn.Tanh()], hidden
            case VqLatents():
                codes = JoinedCodes(latents.variables, latents.dimension, config.join)
                first, width = [codes], codes.width
            case _:
                read = CategoryEmbeddings(
                    latents.variables, latents.categories, embedding, config.join
                )
                first, width = [read], read.width
        self.decoder = nn.Sequential(*first, nn.Linear(width, hidden), nn.Tanh())
        self.softmax = VocabularySoftmax(hidden, vocabulary)

    def log_likelihood(
        self, x: Int[Tensor, " batch"], z: Float[Tensor, "K rows *latent"]
    ) -> Float[Tensor, "K batch"]:
        """Give ln p(x|z)."""
        decoded(len(z) * len(x))
        features = self.decoder(z)
        if z.shape[1] == 1 < len(x):
            return self.softmax.log_probabilities(features[:, 0])[:, x]
        return self.softmax(features, x.expand(z.shape[:2]))


class CategoryEmbeddings(nn.Module):
    """An embedding for every category of every latent variable, joined into one vector."""

    def __init__(self, variables: int, categories: int, size: int, join: str) -> None:
        super().__init__()
        self.join = join
        self.width = size if join == "sum" else variables * size
        self.weight = nn.Parameter(torch.randn(variables, categories, size))

    def forward(
        self, z: Float[Tensor, "K rows variables categories"]
    ) -> Float[Tensor, "K rows width"]:
        """Give the embeddings that one-hot z selects."""
        if self.join == "sum":
            return torch.tensordot(z, self.weight, dims=2)
        return torch.einsum("kbvc,vce->kbve", z, self.weight).flatten(2)


class JoinedCodes(nn.Module):
    """The codes of all latent variables, joined into one vector."""

    def __init__(self, variables: int, size: int, join: str) -> None:
        super().__init__()
        self.join = join
        self.width = size if join == "sum" else variables * size

    def forward(self, z: Float[Tensor, "K rows variables size"]) -> Float[Tensor, "K rows width"]:
        """Give their sum, or one after another."""
        return z.sum(dim=2) if self.join == "sum" else z.flatten(2)
