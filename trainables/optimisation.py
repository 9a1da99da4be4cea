"""Optimisers and what a training loop does with gradients."""

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from torch import nn

from trainables.adversarial import Adversarial
from trainables.config import Config, Count, Momentum
from trainables.feeding import Batching
from trainables.pretraining import Pretraining
from trainables.procedures import AnyProcedure, Plain
from trainables.schedules import AnySchedule


class Adam(Config):
    """Adam (Kingma and Ba, 2015); `betas` as Melis et al. use them, without momentum."""

    name: Literal["adam"]
    betas: Annotated[tuple[Momentum, Momentum], Field(strict=False)] = (0.0, 0.999)
    eps: PositiveFloat = 1e-8


class Sgd(Config):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Momentum = 0.0


def _is_none(value: object) -> bool:
    return value is None


Optimizer = Annotated[Adam | Sgd, Field(discriminator="name")]


class TrainingConfig(Config):
    """One training run.

    `l2` is the coefficient c of a penalty c/2 ||theta||^2 on all parameters. `clip_norm` bounds
    the Euclidean norm of the loss's gradient, before that of the penalty is added.

    Its length is either `steps` or `epochs`, passes over the training data. `batching` is
    `shuffled`, batches of one size from one permutation after another, or `exact_length`, batches
    of sentences that are equally long, in an order of their own every epoch. Where there is a
    `schedule`, training may end early, and what is evaluated in the end, and kept, is the model
    with the best validation loss, or NLL. `procedure` says which parameters a step updates;
    `adversarial` adds noise to what the encoder reads in each of its updates. `pretraining` takes
    steps before all these.
    """

    steps: Count | None = None
    epochs: Count | None = None
    batch_size: Count
    learning_rate: PositiveFloat
    optimizer: Optimizer = Adam(name="adam")
    l2: NonNegativeFloat = 0.0
    clip_norm: PositiveFloat | None = None
    batching: Batching = "shuffled"
    schedule: AnySchedule | None = None
    procedure: AnyProcedure = Plain(name="plain")
    # Left out of what is stored where they are not set: trials without them stay the same trials.
    adversarial: Adversarial | None = Field(default=None, exclude_if=_is_none)
    pretraining: Pretraining | None = Field(default=None, exclude_if=_is_none)

    @property
    def total_steps(self) -> int | None:
        """How many steps there are with those of pre-training; none where that takes the data."""
        before = 0 if self.pretraining is None else self.pretraining.steps
        return None if self.steps is None or before is None else before + self.steps

    @model_validator(mode="after")
    def _has_one_length(self) -> "TrainingConfig":
        if self.steps is None and self.epochs is None:
            raise _wrong("steps", "missing", "neither steps nor epochs is set; set one of them")
        if self.steps is not None and self.epochs is not None:
            raise _wrong("epochs", "two_lengths", "steps is set too; remove one of them")
        return self


def _wrong(field: str, kind: Literal["missing", "two_lengths"], why: str) -> ValidationError:
    error = PydanticCustomError(kind, why)
    return ValidationError.from_exception_data(
        "TrainingConfig", [InitErrorDetails(type=error, loc=(field,), input=None)]
    )


def create(
    config: TrainingConfig,
    parameters: Iterable[nn.Parameter],
    learning_rate: float | None = None,
) -> torch.optim.Optimizer:
    """Build the optimiser that `config` describes, at its learning rate or another."""
    rate = config.learning_rate if learning_rate is None else learning_rate
    match config.optimizer:
        case Adam(betas=betas, eps=eps):
            return torch.optim.Adam(
                parameters,
                lr=rate,
                betas=betas,
                eps=eps,
                weight_decay=config.l2,  # adds l2 * theta to the gradient: an L2 penalty
                fused=True,
            )
        case Sgd(momentum=momentum):
            return torch.optim.SGD(
                parameters,
                lr=rate,
                momentum=momentum,
                weight_decay=config.l2,
                fused=True,
            )
