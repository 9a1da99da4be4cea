"""Optimisers and what a training loop does with gradients."""

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn

from trainables.config import Config, Count

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Adam(Config):
    """Adam (Kingma and Ba, 2015); `betas` as Melis et al. use them, without momentum."""

    name: Literal["adam"]
    betas: Annotated[tuple[Momentum, Momentum], Field(strict=False)] = (0.0, 0.999)
    eps: PositiveFloat = 1e-8


class Sgd(Config):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Momentum = 0.0


Optimizer = Annotated[Adam | Sgd, Field(discriminator="name")]


class TrainingConfig(Config):
    """One training run.

    `l2` is the coefficient c of a penalty c/2 ||theta||^2 on all parameters. `clip_norm` bounds
    the Euclidean norm of the loss's gradient, before that of the penalty is added.
    """

    steps: Count
    batch_size: Count
    learning_rate: PositiveFloat
    optimizer: Optimizer = Adam(name="adam")
    l2: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = None


def create(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimiser that `config` describes."""
    match config.optimizer:
        case Adam(betas=betas, eps=eps):
            return torch.optim.Adam(
                parameters,
                lr=config.learning_rate,
                betas=betas,
                eps=eps,
                weight_decay=config.l2,  # adds l2 * theta to the gradient: an L2 penalty
                fused=True,
            )
        case Sgd(momentum=momentum):
            return torch.optim.SGD(
                parameters,
                lr=config.learning_rate,
                momentum=momentum,
                weight_decay=config.l2,
                fused=True,
            )
