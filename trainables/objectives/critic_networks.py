"""Scores of an observation and a latent value belonging together, for every pair of a batch.

No critic runs a network once for each pair: it runs it once for each observation and each z, and
the pairs are one product of matrices.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Config, Count
from trainables.models import Model
from trainables.models.model import Encoding
from trainables.passes import encoded

Pairs = Float[Tensor, "z x"]
"""Scores f0(x_j, z_i) at row i and column j."""


class SelfCritic(nn.Module):
    """f0(x, z) = ln q(z|x) / temperature: the encoder is its own critic, with no parameters."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, model: Model, x: Tensor, encoding: Encoding, z: Tensor) -> Pairs:  # noqa: ARG002
        """Score every z with every x."""
        return model.latents.cross_log_prob(encoding.parameters, z) / self.temperature


class HeadsConfig(Config):
    """Sizes of a separable critic: two heads with a hidden layer each, into one space."""

    hidden_x: Count = 256
    hidden_z: Count = 64
    projection: Count = 128
    normalise: bool = True


class SeparableCritic(nn.Module):
    """f0(x, z) = a(x).b(z) / temperature, each of the two run once for each row of a batch.

    a(x) is an encoder of the model's kind with a head of two layers, b(z) two layers. Where the
    critic is `hybrid`, its encoder starts from the early features of the model's own and has only
    the later layers for itself; they are trained through the model then.
    """

    def __init__(
        self,
        model: Model,
        heads: HeadsConfig,
        *,
        hybrid: bool,
        temperature: float,
        learn_temperature: bool,
    ) -> None:
        super().__init__()
        self.hybrid, self.normalise = hybrid, heads.normalise
        self.encoder = model.new_encoder()
        if hybrid:
            self.encoder.drop_early()
        self.of_x = _head(self.encoder.width, heads.hidden_x, heads.projection)
        self.of_z = _head(model.latents.width, heads.hidden_z, heads.projection)
        log_temperature = torch.tensor(math.log(temperature))
        self.log_temperature: Tensor
        if learn_temperature:
            self.log_temperature = nn.Parameter(log_temperature)
        else:
            self.register_buffer("log_temperature", log_temperature)

    def forward(self, model: Model, x: Tensor, encoding: Encoding, z: Tensor) -> Pairs:  # noqa: ARG002
        """Score every z with every x."""
        encoded(len(x))  # its later layers alone where it is hybrid
        features = self.encoder.late(encoding.early, x) if self.hybrid else self.encoder(x)
        a, b = self.of_x(features), self.of_z(z.flatten(1))
        if self.normalise:
            a, b = functional.normalize(a, dim=-1), functional.normalize(b, dim=-1)
        return b @ a.T * (-self.log_temperature).exp()

    @property
    def temperature(self) -> Tensor:
        """What the scores are divided by."""
        return self.log_temperature.exp()


def _head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
