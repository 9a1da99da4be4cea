"""What every latent-variable model offers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from trainables.data.corpus import Corpus
from trainables.models.encoder import Encoder
from trainables.models.latents import Latents
from trainables.passes import encoded


class Encoding(NamedTuple):
    """The parameters of q(z|x), and the encoder's early features on the way to them."""

    early: Tensor
    parameters: Float[Tensor, "batch parameters"]


class Model(nn.Module, ABC):
    """A joint distribution p(x, z) = p(z) p(x|z) with an inference network q(z|x).

    Where z is the same at every observation, a model that `decodes_once` decodes it for all of
    them together.
    """

    decodes_once: bool = False

    def __init__(self, latents: Latents) -> None:
        super().__init__()
        self.latents = latents

    @abstractmethod
    def encode(self, x: Tensor) -> Encoding:
        """Give the parameters of q(z|x) and the early features that they come from."""

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Give ln p(x|z), `[K, batch]` in nats, summed over tokens, for z `[K, batch, *latent]`.

        z `[K, 1, *latent]` stands for the same z at every observation. Tells
        `trainables.passes.decoded` of K samples for each observation.
        """

    @abstractmethod
    def new_encoder(self) -> Encoder:
        """Build another encoder of the same kind, with parameters of its own."""

    @abstractmethod
    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of q(z|x); all others are those of p(x|z)."""

    def start_from(self, corpus: Corpus) -> None:
        """Let parameters start at what the training data say; those of most models do not."""

    def posterior(self, x: Tensor) -> Distribution:
        """Give q(z|x): batch shape `[batch]`, event shape that of z."""
        return self.latents.posterior(self.encode(x).parameters)

    def prior(self) -> Distribution:
        """Give p(z): empty batch shape, event shape that of z."""
        return self.latents.prior(like=next(self.parameters()))


class AmortisedModel(Model):
    """A model whose encoder's features give the parameters of q(z|x) linearly."""

    def __init__(
        self, latents: Latents, new_encoder: Callable[[], Encoder], *, bias: bool = True
    ) -> None:
        super().__init__(latents)
        self._new_encoder = new_encoder
        self.encoder = new_encoder()
        self.to_posterior = nn.Linear(self.encoder.width, latents.n_parameters, bias=bias)

    def encode(self, x: Tensor) -> Encoding:
        """Give the parameters of q(z|x) and the early features that they come from."""
        return self.encode_inputs(self.encoder.inputs(x), x)

    def encode_inputs(self, inputs: Tensor, x: Tensor) -> Encoding:
        """Give the same where the encoder is to read `inputs` in the place of x's own."""
        encoded(len(inputs))
        early = self.encoder.early_of(inputs)
        return Encoding(early, self.to_posterior(self.encoder.late(early, x)))

    def new_encoder(self) -> Encoder:
        """Build another encoder of the same kind, with parameters of its own."""
        return self._new_encoder()

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of q(z|x)."""
        yield from self.encoder.parameters()
        yield from self.to_posterior.parameters()


def flat(z: Tensor) -> Tensor:
    """Join the axes of each z: `[K, batch, *latent]` -> `[K, batch, width]`."""
    return z.flatten(2)
