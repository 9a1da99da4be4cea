"""Ordinary training: all parameters are updated once a step."""

from typing import Literal

from torch import Tensor

from trainables.feeding import TrainingData
from trainables.learner import Learner
from trainables.procedures.procedure import Procedure, ProcedureConfig


class Plain(ProcedureConfig):
    """One update of all parameters a step, on its batch."""

    name: Literal["plain"]

    def create(self, kind: str) -> "PlainProcedure":  # noqa: ARG002
        """Build the procedure."""
        return PlainProcedure()


class PlainProcedure(Procedure):
    """Remembers nothing."""

    def take_step(self, learner: Learner, data: TrainingData, step: int) -> Tensor:
        """Update all parameters on the batch of the step."""
        loss = learner.differentiate(data.batch(step))
        learner.update()
        return loss
