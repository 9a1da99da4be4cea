"""What every training procedure offers, and what its configuration says."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from trainables.config import Config
from trainables.feeding import Measure, TrainingData
from trainables.learner import Learner

Validate = Callable[[Measure, int | None], float]
"""Measures the model on all, or so many, of the validation observations."""


class Procedure(ABC):
    """How the parameters are updated in a training step."""

    @property
    def watches_epochs(self) -> bool:
        """Say whether it wants to be told, from now on, that an epoch is over."""
        return False

    @abstractmethod
    def take_step(self, learner: Learner, data: TrainingData, step: int) -> Tensor:
        """Take training step `step`, from 0, and give the loss on its batch.

        That loss is the last that the learner differentiates, so that its metrics go with it.
        However many updates it makes, a run cannot be interrupted within a step.
        """

    def end_epoch(self, validate: Validate) -> None:  # noqa: B027 - not all have to know
        """Take note that an epoch is over."""

    def state_dict(self) -> dict[str, Any]:
        """Give all that is remembered, as plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 - nor to remember
        """Continue from what `state_dict` gave."""


class ProcedureConfig(Config, ABC):
    """The base of a procedure's configuration.

    `validates` says whether it looks at the validation split.
    """

    validates: ClassVar[bool] = False

    name: str

    @abstractmethod
    def create(self, kind: str) -> Procedure:
        """Build the procedure for data of a kind: symbols, sentences or images."""
