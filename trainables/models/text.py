"""The text model of He et al. (2019): an LSTM in, and out of it an LSTM that starts from z.

"Lagging Inference Networks and Posterior Collapse in Variational Autoencoders",
https://arxiv.org/abs/1901.05534, with the sizes of its code. Its relatives are options: Skip-VAE
(Dieng et al., 2019, https://arxiv.org/abs/1807.04863) and the model of SA-VAE (Kim et al., 2018,
https://arxiv.org/abs/1802.02550).
"""

from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Count
from trainables.data.corpus import PAD
from trainables.models.config import ModelConfig
from trainables.models.dropout import Dropout, Rate
from trainables.models.encoder import Encoder
from trainables.models.latents import Latents
from trainables.models.lstm import Initial, Lstm
from trainables.models.model import AmortisedModel
from trainables.models.vocabulary import VocabularySoftmax
from trainables.passes import decoded

EMBEDDING_INIT = 0.1


class TextLstmConfig(ModelConfig):
    """Sizes of the text model, by default the published ones; those latents have 32 dimensions.

    `dropout` is the rate on the decoder's embeddings and outputs; masks are drawn anew for every
    sentence, step and sample. The decoder's LSTM starts from z: with `initial_state: cell` from
    the cell W z and the state tanh(W z), as in He et al.; with `hidden` from a zero cell and the
    state W z + b, as in SA-VAE and Skip-VAE. `skip` joins z to what the vocabulary's softmax reads
    (Skip-VAE). At first parameters are uniform between -`init` and `init`, 0.1 in SA-VAE, and
    embeddings between -0.1 and 0.1.
    """

    reads: ClassVar[str] = "sentences"

    name: Literal["text_lstm"]
    latents: Latents
    embedding: Count = 512
    hidden: Count = 1024
    dropout: Rate = 0.5
    initial_state: Literal["cell", "hidden"] = "cell"
    skip: bool = False
    init: PositiveFloat = 0.01

    def build(self, vocabulary: int, shape: tuple[int, ...]) -> "TextLstm":  # noqa: ARG002
        """Build the model for tokens in `[0, vocabulary)`."""
        return TextLstm(self, vocabulary)


class TextEncoder(Encoder):
    """The last state of an LSTM that reads a start symbol and a sentence up to its end symbol.

    A critic may share the embeddings.
    """

    early_layers: ClassVar[tuple[str, ...]] = ("embedding",)

    def __init__(self, vocabulary: int, config: TextLstmConfig) -> None:
        super().__init__()
        self.width = config.hidden
        self.start = vocabulary  # the row of the start symbol
        self.embedding = nn.Embedding(vocabulary + 1, config.embedding)
        self.lstm = Lstm(config.embedding, config.hidden)
        _initialise(self, config.init)

    def inputs(self, x: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time+1 embedding"]:
        """Give the embeddings, the start symbol's first."""
        return self.embedding(functional.pad(x.clamp(min=0), (1, 0), value=self.start))

    def late(
        self, early: Float[Tensor, "batch tokens embedding"], x: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch width"]:
        """Give the state after the last token."""
        last = (x != PAD).sum(dim=1)
        row = torch.arange(len(x), device=x.device)
        return self.lstm(early[None], last + 1)[0, row, last]


class TextLstm(AmortisedModel):
    """q(z|x) from an LSTM's last state; p(x|z) token by token.

    The decoder reads the previous token's embedding and z at every step; the first step has a
    start symbol of its own. No vocabulary layer or posterior has biases. An LSTM has one bias for
    each gate, where torch's has two that are added.
    """

    def __init__(self, config: TextLstmConfig, vocabulary: int) -> None:
        new_encoder = partial(TextEncoder, vocabulary, config)
        super().__init__(config.latents, new_encoder, bias=False)
        width, hidden = config.latents.width, config.hidden
        self.start = vocabulary  # the row of the start symbol
        self.skip = config.skip
        self.starts_from_cell = config.initial_state == "cell"
        self.decoder_embedding = nn.Embedding(vocabulary + 1, config.embedding)
        self.dropout = Dropout(config.dropout)
        self.to_initial = nn.Linear(width, hidden, bias=not self.starts_from_cell)
        self.decoder = Lstm(config.embedding, hidden, n_constant=width)
        n_features = hidden + width if config.skip else hidden
        self.softmax = VocabularySoftmax(n_features, vocabulary, bias=False)
        _initialise(self, config.init)

    def log_likelihood(
        self, x: Int[Tensor, "batch time"], z: Float[Tensor, "K rows *latent"]
    ) -> Float[Tensor, "K batch"]:
        """Give ln p(x|z), summed over the tokens of each sentence."""
        K, (batch, time) = len(z), x.shape
        decoded(K * batch)
        z = z.flatten(2).expand(K, batch, -1)
        previous = functional.pad(x[:, :-1].clamp(min=0), (1, 0), value=self.start)
        tokens = self.decoder_embedding(previous)[None]
        if self.training and self.dropout.rate > 0:  # each sample drops other units
            tokens = tokens.expand(K, -1, -1, -1)
        tokens = self.dropout(tokens, share_first_axis=False)
        lengths = (x != PAD).sum(dim=1)
        states = self.decoder(tokens, lengths, z, initial=self._initial(z))
        states = self.dropout(states, share_first_axis=False)
        if self.skip:
            states = torch.cat([states, z[:, :, None].expand(-1, -1, time, -1)], dim=-1)
        return self.softmax(states, x.expand(K, *x.shape)).sum(dim=-1)

    def _initial(self, z: Float[Tensor, "K batch width"]) -> Initial:
        """Give the decoder's state and cell before the first token."""
        given = self.to_initial(z)
        return (
            (given.tanh(), given)
            if self.starts_from_cell
            else (given, given.new_zeros(()).expand_as(given))
        )


def _initialise(module: nn.Module, scale: float) -> None:
    """Draw all parameters from U(-scale, scale), and embeddings from a range of their own."""
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -scale, scale)
    for part in module.modules():
        if isinstance(part, nn.Embedding):
            nn.init.uniform_(part.weight, -EMBEDDING_INIT, EMBEDDING_INIT)
