"""A model, its objective and their optimiser: what a single update is made with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainables.adversarial import Attack
from trainables.models import Model
from trainables.objectives import Objective
from trainables.passes import Passes


class Learner:
    """Takes gradients of the objective and updates parameters with them.

    The `inference` parameters are those of q(z|x) and whatever the objective learns, a critic for
    example, which bounds a property of the same samples of q(z|x). All others, those of p(x|z),
    are `generative`. `updates` counts the updates made so far, `passes` what they cost, none where
    that is not known, and `metrics` are the objective's of the batch that was differentiated last.
    With an `attack` the encoder reads its noise with every batch, in whatever update.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        new_optimizer: Callable[[Sequence[nn.Parameter], float], torch.optim.Optimizer],
        learning_rate: float,
        clip_norm: float | None,
        attack: Attack | None = None,
    ) -> None:
        self.model, self.objective, self.clip_norm = model, objective, clip_norm
        self.attack = attack
        self.parameters = [*model.parameters(), *objective.parameters()]
        self.inference = [*model.inference_parameters(), *objective.parameters()]
        of_inference = {id(parameter) for parameter in self.inference}
        self.generative = [p for p in self.parameters if id(p) not in of_inference]
        self.new_optimizer = new_optimizer
        self.optimizer = new_optimizer(self.parameters, learning_rate)
        self.updates = 0
        self.passes: Passes | None = Passes()
        self.metrics: Mapping[str, Tensor] = {}

    @property
    def learning_rate(self) -> float:
        """The optimiser's present step size."""
        return float(self.optimizer.param_groups[0]["lr"])

    def differentiate(self, x: Tensor) -> Tensor:
        """Take the loss on a batch and its gradient in all parameters; gives the loss.

        The gradient's norm is bounded over all of them together, whichever are updated.
        """
        self.optimizer.zero_grad()
        model = self.model if self.attack is None else self.attack.perturb(self.model, x)
        loss, self.metrics = self.objective(model, x)
        loss.backward()
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        return loss.detach()

    def update(self, frozen: Sequence[nn.Parameter] = ()) -> None:
        """Update all parameters but the `frozen` ones; the optimiser's memory of these stays."""
        for parameter in frozen:
            parameter.grad = None
        self.optimizer.step()
        self.updates += 1

    def begin_again(self, learning_rate: float) -> None:
        """Go on with an optimiser that remembers nothing."""
        self.optimizer = self.new_optimizer(self.parameters, learning_rate)

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Copy the state of the model and the objective."""
        return {
            name: {key: value.clone() for key, value in module.state_dict().items()}
            for name, module in (("model", self.model), ("objective", self.objective))
        }

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Go back to what `weights` gave."""
        self.model.load_state_dict(weights["model"])
        self.objective.load_state_dict(weights["objective"])

    def state_dict(self) -> dict[str, Any]:
        """Give the state of all three, and what they were updated with; no copies."""
        return {
            "model": self.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **self.spent(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, whose tensors the optimiser may take over."""
        self.load_weights(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.load_spent(state)

    def spent(self) -> dict[str, Any]:
        """Give the number of updates, and of passes."""
        passes = None if self.passes is None else self.passes.state_dict()
        return {"updates": self.updates, "passes": passes}

    def load_spent(self, spent: Mapping[str, Any]) -> None:
        """Count on from what `spent` gave; of old states nobody knows the passes."""
        self.updates, passes = spent["updates"], spent.get("passes")
        self.passes = None if passes is None else Passes(**passes)
