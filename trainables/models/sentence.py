"""The sentence model of Melis et al.: a bidirectional LSTM in, a conditioned LSTM out."""

from functools import partial
from typing import ClassVar, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Config, Count
from trainables.data.corpus import PAD
from trainables.models.config import ModelConfig
from trainables.models.dropout import Dropout, Rate
from trainables.models.encoder import Encoder
from trainables.models.latents import Latents
from trainables.models.lstm import BidirectionalLstm, Lstm
from trainables.models.model import AmortisedModel
from trainables.models.vocabulary import VocabularySoftmax
from trainables.passes import decoded


class DropoutConfig(Config):
    """Dropout rates on token embeddings, on the recurrent state and on an LSTM's output.

    Masks are drawn anew for every step and sentence: `shared` by the K samples of a sentence or
    `independent`. `network` says which LSTMs drop units.
    """

    input: Rate = 0.0
    state: Rate = 0.0
    output: Rate = 0.0
    masks: Literal["shared", "independent"] = "shared"
    network: Literal["decoder", "both"] = "decoder"


class SentenceLstmConfig(ModelConfig):
    """Sizes of the sentence model; the published one has 128 throughout."""

    reads: ClassVar[str] = "sentences"

    name: Literal["sentence_lstm"]
    latents: Latents
    embedding: Count = 128
    encoder_hidden: Count = 128
    decoder_hidden: Count = 128
    dropout: DropoutConfig = DropoutConfig()

    def build(self, vocabulary: int, shape: tuple[int, ...]) -> "SentenceLstm":  # noqa: ARG002
        """Build the model for tokens in `[0, vocabulary)`."""
        return SentenceLstm(self, vocabulary)


class SentenceEncoder(Encoder):
    """The mean of a bidirectional LSTM's two last states; a critic may share the embeddings."""

    early_layers: ClassVar[tuple[str, ...]] = ("embedding", "input_dropout")

    def __init__(self, vocabulary: int, config: SentenceLstmConfig) -> None:
        super().__init__()
        rates = config.dropout if config.dropout.network == "both" else DropoutConfig()
        self.width = config.encoder_hidden
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        self.input_dropout = Dropout(rates.input)
        self.lstm = BidirectionalLstm(
            config.embedding, config.encoder_hidden, state_dropout=rates.state
        )
        self.output_dropout = Dropout(rates.output)

    def inputs(self, x: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time embedding"]:
        """Give the embeddings."""
        return self.embedding(x.clamp(min=0))

    def early_of(
        self, inputs: Float[Tensor, "batch time embedding"]
    ) -> Float[Tensor, "batch time embedding"]:
        """Give the embeddings, some dropped."""
        return self.input_dropout(inputs, share_first_axis=False)

    def late(self, early: Float[Tensor, "batch time embedding"], x: Tensor) -> Tensor:
        """Give the features."""
        state = self.lstm(early, (x != PAD).sum(dim=1))
        return self.output_dropout(state, share_first_axis=False)


class SentenceLstm(AmortisedModel):
    """q(z|x) from the mean of a bidirectional LSTM's two last states; p(x|z) token by token.

    The decoder reads the previous token's embedding and z at every step; the first step has a
    start symbol of its own.
    """

    def __init__(self, config: SentenceLstmConfig, vocabulary: int) -> None:
        super().__init__(config.latents, partial(SentenceEncoder, vocabulary, config))
        rates = config.dropout
        self.share_masks = rates.masks == "shared"

        self.start = vocabulary  # the row of the start symbol
        self.decoder_embedding = nn.Embedding(vocabulary + 1, config.embedding)
        self.input_dropout = Dropout(rates.input)
        self.decoder = Lstm(
            config.embedding,
            config.decoder_hidden,
            n_constant=config.latents.width,
            state_dropout=rates.state,
        )
        self.output_dropout = Dropout(rates.output)
        self.softmax = VocabularySoftmax(config.decoder_hidden, vocabulary)

    def log_likelihood(
        self, x: Int[Tensor, "batch time"], z: Float[Tensor, "K rows *latent"]
    ) -> Float[Tensor, "K batch"]:
        """Give ln p(x|z), summed over the tokens of each sentence."""
        K, batch = len(z), len(x)
        decoded(K * batch)
        constant = z.flatten(2).expand(K, batch, -1)
        previous = functional.pad(x[:, :-1].clamp(min=0), (1, 0), value=self.start)
        tokens = self.decoder_embedding(previous)[None]
        if self.training and self.input_dropout.rate > 0 and not self.share_masks:
            tokens = tokens.expand(K, -1, -1, -1)
        tokens = self.input_dropout(tokens, share_first_axis=self.share_masks)
        states = self.decoder(
            tokens, (x != PAD).sum(dim=1), constant, share_masks=self.share_masks
        )
        states = self.output_dropout(states, share_first_axis=self.share_masks)
        return self.softmax(states, x.expand(K, *x.shape)).sum(dim=-1)
