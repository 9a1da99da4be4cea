"""What models without an encoder have in common."""

from collections.abc import Iterator

from torch import nn

from trainables.models.encoder import Encoder
from trainables.models.model import Model


class WithoutEncoder(Model):
    """A model whose q(z|x) is a formula instead of a trained network."""

    def new_encoder(self) -> Encoder:
        raise NotImplementedError

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        return iter(())
