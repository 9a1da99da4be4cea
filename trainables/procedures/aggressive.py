"""Aggressive inference training: q(z|x) catches up with p(x|z) before that moves on.

He, Spokoyny, Neubig and Berg-Kirkpatrick (2019), "Lagging Inference Networks and Posterior
Collapse in Variational Autoencoders", https://arxiv.org/abs/1901.05534, Algorithm 1, with the
stopping rules of their code.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from trainables.config import Count
from trainables.data.corpus import PAD
from trainables.evaluation.information import batch_information
from trainables.feeding import TrainingData
from trainables.learner import Learner
from trainables.procedures.procedure import Procedure, ProcedureConfig, Validate
from trainables.procedures.stopping import BelowBest, BlockMeans, Falls, PhaseStop


class Aggressive(ProcedureConfig):
    """While the aggressive phase is on, up to `max_inner` updates of q(z|x) before one of p(x|z).

    Blocks of `check_every` inner updates are compared by their mean loss, per token of text and
    per observation of other data. After every epoch `stop` is told the mutual information of the
    validation set, or `limit` observations of it, within batches of the training's batch size;
    once it ends the phase, training is ordinary for good. Left out, `check_every` and `stop` are
    as published: 15 and `falls`, for images 10 and `below_best`.

    The objective is told of a step once, so that all inner updates of a step have the KL weight
    of that step. What an objective learns is updated together with q(z|x).
    """

    validates: ClassVar[bool] = True

    name: Literal["aggressive"]
    max_inner: Count = 99
    check_every: Count | None = Field(default=None, description="inner updates of a block")
    stop: PhaseStop | None = None
    limit: Count | None = Field(default=None, description="validation observations of the MI")

    def create(self, kind: str) -> "AggressiveProcedure":
        """Build the procedure, with what is published for data of this kind."""
        images = kind == "images"
        check_every = self.check_every or (10 if images else 15)
        stop = self.stop or (BelowBest(rule="below_best") if images else Falls(rule="falls"))
        return AggressiveProcedure(self.max_inner, check_every, stop, self.limit)


class AggressiveProcedure(Procedure):
    """Remembers whether the phase is on, and what ends it."""

    def __init__(
        self, max_inner: int, check_every: int, stop: PhaseStop, limit: int | None = None
    ) -> None:
        self.max_inner, self.check_every, self.limit = max_inner, check_every, limit
        self.stop = stop.create()
        self.is_on = True

    @property
    def watches_epochs(self) -> bool:
        """Say whether the phase is on."""
        return self.is_on

    def take_step(self, learner: Learner, data: TrainingData, step: int) -> Tensor:
        """Let q(z|x) catch up, then update p(x|z) alone; after the phase, update everything."""
        x = data.batch(step)
        if not self.is_on:
            loss = learner.differentiate(x)
            learner.update()
            return loss
        self._catch_up(learner, data, x)
        loss = learner.differentiate(x)
        learner.update(frozen=learner.inference)
        return loss

    def end_epoch(self, validate: Validate) -> None:
        """End the phase where the mutual information says so."""
        if self.stop.ends(validate(batch_information, self.limit)):
            self.is_on = False

    def _catch_up(self, learner: Learner, data: TrainingData, x: Tensor) -> None:
        """Update q(z|x) on the step's batch first, then on batches drawn at random."""
        blocks = BlockMeans(self.check_every)
        for _ in range(self.max_inner):
            loss = learner.differentiate(x)
            learner.update(frozen=learner.generative)
            if blocks.leaves(loss * len(x), _weight(x)):
                break
            x = data.random()

    def state_dict(self) -> dict[str, Any]:
        """Give whether the phase is on, and what ends it."""
        return {"is_on": self.is_on, "stop": self.stop.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.is_on = state["is_on"]
        self.stop.load_state_dict(state["stop"])


def _weight(x: Tensor) -> int | Tensor:
    """Count the tokens of sentences, `[B, T]`, and the observations of anything else."""
    return (x != PAD).sum() if x.dim() == 2 else len(x)
