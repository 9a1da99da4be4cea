"""Aggressive training: what an inner and an outer update move, when the loop and the phase end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.data.corpus import PAD, Corpus
from trainables.data.ptb import PennTreebank
from trainables.data.symbols import Symbols
from trainables.feeding import TrainingData
from trainables.learner import Learner
from trainables.procedures import PROCEDURES, Aggressive, aggressive
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

TRIAL: dict[str, Any] = {
    "data": {"name": "symbols", "vocabulary": 10},
    "model": {
        "name": "symbol_mlp",
        "embedding": 4,
        "hidden": 5,
        "latents": {"kind": "gaussian", "dimensions": 2},
    },
    "objective": {"name": "bound", "estimator": "elbo", "samples": 1},
    "training": {"epochs": 4, "batch_size": 5, "learning_rate": 0.05},
    "evaluation": {"split": "train", "samples": 2},
}
SENTENCES: dict[str, Any] = {
    **TRIAL,
    "data": {"name": "ptb"},
    "model": {
        "name": "sentence_lstm",
        "embedding": 3,
        "encoder_hidden": 4,
        "decoder_hidden": 4,
        "latents": {"kind": "gaussian", "dimensions": 2},
    },
}


@pytest.fixture(autouse=True)
def _corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand twelve random sentences in for Penn Treebank, and let symbols be looked at."""
    monkeypatch.setattr(Symbols, "held_out", True)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(6, (12, 4), generator=generator)
    x = x.where(torch.arange(4) < torch.randint(1, 5, (12, 1), generator=generator), PAD)
    splits = {"train": x, "validation": x[:6], "test": x[6:]}
    monkeypatch.setattr(PennTreebank, "load", lambda self, root: Corpus(splits, 6, "-"))


def start(trial: dict[str, Any] = TRIAL, batching: str = "shuffled", **given: Any) -> TrainingRun:
    procedure = {"name": "aggressive", "max_inner": 3, **given}
    training = {**trial["training"], "batching": batching, "procedure": procedure}
    config = TrialConfig.model_validate({**trial, "training": training})
    return TrainingRun(config, 0, data_root=Path("/nonexistent"))


def script(monkeypatch: pytest.MonkeyPatch, figures: list[float]) -> list[float]:
    """Let the validation set have these figures of mutual information, one after another."""
    left = list(figures)

    def batch_information(model: object, batches: object) -> float:
        return left.pop(0)

    monkeypatch.setattr(aggressive, "batch_information", batch_information)
    return left


# The inner loop -------------------------------------------------------------------------------


def updates(run: TrainingRun) -> list[str]:
    """Train to the end; name what each update moved: phi, theta or both."""
    named = dict(run.model.named_parameters())
    update, moved = run._learner.update, []

    def watched(*args: Any, **kwargs: Any) -> None:
        before = {name: p.detach().clone() for name, p in named.items()}
        update(*args, **kwargs)
        changed = {name for name, p in named.items() if not torch.equal(p, before[name])}
        of_inference = {n for n in changed if n.startswith(("encoder", "to_posterior"))}
        assert changed
        moved.append(
            "phi" if changed == of_inference else "both" if of_inference else "theta",
        )

    run._learner.update = watched  # type: ignore[method-assign]
    run.train()
    return moved


@pytest.mark.parametrize(("trial", "batching"), [(TRIAL, "shuffled"), (SENTENCES, "exact_length")])
def test_phi_moves_alone_in_inner_updates_theta_alone_in_the_outer_one(
    trial: dict[str, Any], batching: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, [1.0, 2.0, 1.5])
    run = start(trial, batching)
    aggressive_steps = 3 * run.steps_per_epoch  # the third epoch ends the phase

    moved = updates(run)

    assert run.n_steps == 4 * run.steps_per_epoch
    outer = ["phi", "phi", "phi", "theta"] * aggressive_steps
    assert moved == outer + ["both"] * run.steps_per_epoch
    assert run.cost()["updates"] == len(moved)
    assert run.cost()["epochs"] == 4


class ScriptedLearner(Learner):
    """Has given losses, and notes on what they were asked for."""

    def __init__(self, losses: list[float]) -> None:
        self.losses, self.given, self.frozen = iter(losses), [], []  # type: ignore[var-annotated]
        self.inference, self.generative = ["phi"], ["theta"]  # type: ignore[list-item]

    def differentiate(self, x: Tensor) -> Tensor:
        self.given.append(x)
        return torch.tensor(next(self.losses))

    def update(self, frozen: Any = ()) -> None:
        self.frozen.extend(frozen)


class ScriptedData(TrainingData):
    """Ones as the batch of a step, then twos, threes and so on as random ones."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.random_ones = shape, self._draw()

    def _draw(self) -> Iterator[Tensor]:
        for value in range(2, 1000):
            yield torch.full(self.shape, value)

    def batch(self, step: int) -> Tensor:
        return torch.ones(self.shape, dtype=torch.int64)

    def random(self) -> Tensor:
        return next(self.random_ones)


def inner_updates(losses: list[float], kind: str, *shape: int, **settings: Any) -> int:
    """Take one step; give the number of inner updates after checking the batches of all."""
    procedure = Aggressive.model_validate({"name": "aggressive", **settings}).create(kind)
    learner = ScriptedLearner(losses)

    procedure.take_step(learner, ScriptedData(*shape), 0)

    n = len(learner.given) - 1
    values = [int(x.flatten()[0]) for x in learner.given]
    assert values == [*range(1, n + 1), 1]  # the current batch first, and for the outer update
    assert learner.frozen == ["theta"] * n + ["phi"]
    return n


def test_there_are_at_most_99_inner_updates_as_published() -> None:
    assert inner_updates([1.0 / n for n in range(1, 200)], "sentences", 2, 3) == 99
    assert inner_updates([1.0 / n for n in range(1, 200)], "images", 2, 3, 3, max_inner=7) == 7


@pytest.mark.parametrize(("kind", "block"), [("sentences", 15), ("symbols", 15), ("images", 10)])
def test_blocks_are_as_long_as_published(kind: str, block: int) -> None:
    rising = [float(n) for n in range(200)]

    assert inner_updates(rising, kind, 2, 3) == 2 * block
    assert inner_updates(rising, kind, 2, 3, check_every=4) == 8


def test_what_a_loss_is_of_depends_on_the_data() -> None:
    x = torch.tensor([[1, 2, PAD], [3, PAD, PAD]])

    assert int(aggressive._weight(x)) == 3  # tokens
    assert aggressive._weight(torch.zeros(5, 4, 4, dtype=torch.uint8)) == 5
    assert aggressive._weight(torch.arange(7)) == 7


# The phase ------------------------------------------------------------------------------------


def test_the_objective_is_told_of_a_step_once(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, [1.0] * 4)
    run = start()
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(run.objective, "begin_step", lambda *call: told.append(call))

    run.train()

    assert told == [(step, 2) for step in range(8)]


@pytest.mark.parametrize(
    ("stop", "figures", "inner_epochs"),
    [
        (None, [1.0, 0.5], 2),
        ({"rule": "falls"}, [1.0, 1.0, 1.0], 4),  # what the last epoch has changes nothing
        ({"rule": "below_best", "times": 2}, [1.0, 0.5, 0.7], 3),
        ({"rule": "below_best"}, [1.0, 0.5, 0.7], 4),
    ],
)
def test_the_phase_ends_for_good_by_its_rule(
    monkeypatch: pytest.MonkeyPatch,
    stop: dict[str, Any] | None,
    figures: list[float],
    inner_epochs: int,
) -> None:
    left = script(monkeypatch, figures)
    run = start(stop=stop)

    run.train()

    assert left == []
    assert run.cost()["updates"] == 8 + 3 * 2 * inner_epochs


def test_the_default_rules_are_those_published() -> None:
    config = Aggressive(name="aggressive")

    for kind, rule in (("sentences", "FallsRule"), ("images", "BelowBestRule")):
        assert type(config.create(kind).stop).__name__ == rule
    assert config.create("images").stop.times == 5  # type: ignore[attr-defined]


def test_procedures_are_known_by_the_names_that_a_file_uses() -> None:
    for name, config in PROCEDURES.items():
        assert config.model_validate({"name": name}).name == name


# The mutual information -----------------------------------------------------------------------
