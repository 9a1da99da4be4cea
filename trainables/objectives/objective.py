"""What every training objective offers, and what its configuration says."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from trainables.config import Config
from trainables.models import Model, ModelConfig


class ObjectiveOutput(NamedTuple):
    """What an objective makes of a batch.

    `loss` is a scalar to minimise, mean over the batch; its value is the objective's, its gradient
    the estimator's. `metrics` are scalars without gradients.
    """

    loss: Tensor
    metrics: Mapping[str, Tensor]


class Objective(nn.Module, ABC):
    """A training objective. What it learns or remembers is module state."""

    def begin_step(self, step: int, steps_per_epoch: int) -> None:
        """Take note that training step `step`, from 0, begins; schedules follow it.

        One step may call the objective several times.
        """

    @abstractmethod
    def forward(self, model: Model, x: Tensor) -> ObjectiveOutput:
        """Evaluate the objective on a batch of observations."""


class ObjectiveConfig(Config, ABC):
    """The base of an objective's configuration.

    `least_batch` is the smallest batch that means anything to it. One that `augments` gives the
    encoder other observations than those of the batch. Only one that `quantises` trains latents
    whose q(z|x) is a single code.
    """

    least_batch: ClassVar[int] = 1
    augments: ClassVar[bool] = False
    quantises: ClassVar[bool] = False
    name: str

    @abstractmethod
    def refuses(self, latents: str) -> str | None:
        """Say why this objective cannot train latents of a kind, if so, and what can."""

    def refuses_model(self, model: ModelConfig) -> str | None:
        """Say why this objective cannot train such a model, if so, and what to do."""
        if model.latents.kind == "vq" and not self.quantises:
            return (
                f"objective {self.name} has no gradient for an encoder that picks codes; vq "
                "latents are trained by objective vq_vae, so use that, or other latents"
            )
        return self.refuses(model.latents.kind)

    def refuses_batches(self, batch_size: int, n_observations: int | None) -> str | None:  # noqa: ARG002
        """Say why batches of this size are of no use to it, if so, and what to do.

        `n_observations` is the size of the training set, none where that is not known yet.
        """
        return None

    @abstractmethod
    def create(self, model: Model | None = None) -> Objective:
        """Build the objective for a model, which some objectives take networks after.

        What it learns is drawn from torch's global generator.
        """
