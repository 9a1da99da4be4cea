"""Updates of some parameters: the others and their optimiser's memory stay as they are."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables import optimisation
from trainables.learner import Learner
from trainables.models.symbol import SymbolMlp, SymbolMlpConfig
from trainables.objectives import Objective, ObjectiveOutput
from trainables.objectives import create as create_objective
from trainables.optimisation import TrainingConfig

X = torch.arange(6)
ELBO = {"name": "bound", "estimator": "elbo", "samples": 1}
MODEL = {"name": "symbol_mlp", "embedding": 3, "hidden": 4}
OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "adam", "betas": [0.9, 0.99]},
    {"name": "sgd", "momentum": 0.9},
]


class WithCritic(Objective):
    """The ELBO, and a parameter of the objective's own."""

    def __init__(self) -> None:
        super().__init__()
        self.elbo = create_objective(ELBO)
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, model: Any, x: Tensor) -> ObjectiveOutput:
        loss = self.elbo(model, x).loss + self.weight**2
        return ObjectiveOutput(loss, {})


def learner(optimizer: dict[str, Any] | None = None, clip_norm: float | None = None) -> Learner:
    torch.manual_seed(0)
    latents = {"kind": "gaussian", "dimensions": 2}
    model = SymbolMlp(SymbolMlpConfig.model_validate({**MODEL, "latents": latents}), 6)
    config = TrainingConfig.model_validate(
        {
            "steps": 1,
            "batch_size": 6,
            "learning_rate": 0.1,
            "optimizer": optimizer or {"name": "sgd"},
            "l2": 0.1,
        }
    )
    return Learner(model, WithCritic(), partial(optimisation.create, config), 0.1, clip_norm)


def memory(learner: Learner, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Copy parameters, and what the optimiser remembers of them."""
    remembered = [v for p in parameters for v in learner.optimizer.state[p].values()]
    assert len(remembered) >= len(parameters)
    return [part.detach().clone() for part in (*parameters, *remembered)]


def test_inference_is_the_encoder_and_what_the_objective_learns() -> None:
    it = learner()
    names = {id(p): name for name, p in it.model.named_parameters()}
    inference = {names.get(id(p), "critic") for p in it.inference}

    assert "critic" in inference
    assert {name.partition(".")[0] for name in inference} == {"encoder", "to_posterior", "critic"}
    generative = {names[id(p)].partition(".")[0] for p in it.generative}
    assert generative == {"decoder", "softmax"}
    assert len(it.inference) + len(it.generative) == len(it.parameters)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o["name"])
@pytest.mark.parametrize("side", ["inference", "generative"])
def test_frozen_parameters_and_their_optimiser_state_stay(
    optimizer: dict[str, Any], side: str
) -> None:
    it = learner(optimizer)
    it.differentiate(X)
    it.update()
    sides = {"inference": it.inference, "generative": it.generative}
    frozen = sides.pop(side)
    [moving] = sides.values()
    before, moved_from = memory(it, frozen), memory(it, moving)

    it.differentiate(X)
    it.update(frozen=frozen)

    assert all(map(torch.equal, memory(it, frozen), before))
    assert not any(map(torch.equal, memory(it, moving), moved_from))
    assert it.updates == 2


def test_the_norm_is_bounded_over_all_parameters_whichever_are_updated() -> None:
    plain, clipped = learner(), learner(clip_norm=0.5)
    gradients = []
    for it in (plain, clipped):
        torch.manual_seed(1)
        it.differentiate(X)
        gradients.append([p.grad.clone() for p in it.parameters if p.grad is not None])
    norm = torch.cat([g.flatten() for g in gradients[0]]).norm()
    assert norm > 1

    for before, after in zip(*gradients, strict=True):
        torch.testing.assert_close(after, before * 0.5 / norm)
    before = [p.detach().clone() for p in clipped.inference]
    clipped.update(frozen=clipped.generative)
    steps = [(a - p) / 0.1 - 0.1 * a for a, p in zip(before, clipped.inference, strict=True)]
    assert torch.cat([s.detach().flatten() for s in steps]).norm() < 0.5  # the rest is frozen


def test_a_new_optimiser_has_its_rate_and_no_memory() -> None:
    it = learner(OPTIMIZERS[1])
    it.differentiate(X)
    it.update()

    it.begin_again(it.learning_rate / 2)

    assert it.learning_rate == 0.05
    assert not it.optimizer.state
    it.differentiate(X)
    it.update()
    assert it.updates == 2


def test_weights_are_copies_of_model_and_objective() -> None:
    it = learner()
    kept = it.weights()
    before = [p.detach().clone() for p in it.parameters]
    it.differentiate(X)
    it.update()
    assert not any(map(torch.equal, it.parameters, before))

    it.load_weights(kept)

    assert all(map(torch.equal, it.parameters, before))
