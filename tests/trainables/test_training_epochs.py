"""Training by epochs: its length, its batches, fresh draws, inner loops, and the same bits."""

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.runs import TIMINGS, advance, finish, parameters
from tests.trainables.sentence_runs import AGGRESSIVE, PLATEAU, start
from trainables import training
from trainables.data.corpus import PAD, Corpus
from trainables.training import DivergedError, TrainingRun

pytestmark = pytest.mark.usefixtures("short_sentences")


# Epochs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "n_steps", "steps_per_epoch"),
    [
        ({"epochs": 3}, 15, 5),
        ({"epochs": 3, "batch_size": 4}, 8, 3),  # 30 observations in batches of 4
        ({"epochs": 3, "batch_size": 25}, 2, 1),
        ({"epochs": 3, "batching": "exact_length"}, 18, 6),
        ({"steps": 7, "batching": "exact_length"}, 7, 6),
    ],
)
def test_a_run_is_as_long_as_its_steps_or_epochs(
    settings: dict[str, Any], n_steps: int, steps_per_epoch: int
) -> None:
    run = finish(start(**settings))

    assert (run.step, run.n_steps, run.steps_per_epoch) == (n_steps, n_steps, steps_per_epoch)
    [row] = run.evaluations
    assert row["step"] == row["updates"] == n_steps
    if "epochs" in settings:
        assert 3 <= row["epochs"] < 3 + 1 / steps_per_epoch or settings.get("batch_size") == 25


def test_epochs_and_as_many_steps_are_the_same_training() -> None:
    by_epochs, by_steps = finish(start(epochs=2)), finish(start(steps=10))

    assert torch.equal(parameters(by_epochs), parameters(by_steps))


def test_batches_of_one_length_are_all_seen_every_epoch() -> None:
    run = start(epochs=2, batching="exact_length")
    seen: list[Tensor] = []
    run.objective.register_forward_pre_hook(lambda module, given: seen.append(given[1]))

    run.train()

    assert not any((x == PAD).any() for x in seen)
    shapes = [sorted(tuple(x.shape) for x in seen[start : start + 6]) for start in (0, 6)]
    assert shapes[0] == shapes[1] == [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (2, 3)]


# Grey images ----------------------------------------------------------------------------------


def grey_run() -> TrainingRun:
    """A run on sentences of zeros and ones, drawn anew as grey images are."""
    run = start(steps=8, batching="shuffled")
    grey = torch.randint(256, (10, 4), generator=torch.Generator().manual_seed(1))
    run._data.corpus = run.corpus._replace(grey=grey.to(torch.uint8))
    return run


def test_fresh_draws_continue_to_the_same_bits() -> None:
    whole = grey_run()
    seen: list[Tensor] = []
    whole.objective.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    whole.objective.register_forward_pre_hook(lambda m, given: (given[0], given[1].long()))
    whole.train()
    assert len({tuple(x.flatten().tolist()) for x in seen}) > 4

    for moment in range(8):
        stopped, continued = grey_run(), grey_run()
        for run in (stopped, continued):
            run.objective.register_forward_pre_hook(lambda m, given: (given[0], given[1].long()))
        for _ in range(moment):
            advance(stopped)
        continued.load_state_dict(stopped.state_dict())
        continued.train()
        assert torch.equal(parameters(continued), parameters(whole))


# Inner loops ----------------------------------------------------------------------------------


def test_the_figures_of_training_are_those_of_outer_steps() -> None:
    run = start(
        steps=4,
        objective={"name": "critic_self"},
        procedure={**AGGRESSIVE, "check_every": 99},
        evaluation={"every": 2},
    )
    seen: list[tuple[float, float]] = []
    run.objective.register_forward_hook(
        lambda *call: seen.append((call[-1].loss.item(), call[-1].metrics["critic"].item()))
    )

    finish(run)

    assert len(seen) == 4 * (3 + 1)
    outer = seen[3::4]
    for row, pair in zip(run.evaluations, (outer[:2], outer[2:]), strict=True):
        loss, critic = (sum(values) / 2 for values in zip(*pair, strict=True))
        assert row["train_loss"] == pytest.approx(loss)
        assert row["critic"] == pytest.approx(critic)
        assert row["critic_ceiling"] == pytest.approx(math.log(2))


# The same bits --------------------------------------------------------------------------------

RUNS: dict[str, dict[str, Any]] = {
    "plateau": {"epochs": 6, "schedule": PLATEAU, "learning_rate": 1.0},
    "plateau, adam, one length": {
        "epochs": 4,
        "schedule": {**PLATEAU, "every": 3, "against": "best", "limit": 4, "max_decays": 3},
        "batching": "exact_length",
        "optimizer": {"name": "adam", "betas": [0.9, 0.99]},
    },
    "aggressive, adam": {
        "epochs": 4,
        "optimizer": {"name": "adam", "betas": [0.9, 0.99]},
        "procedure": AGGRESSIVE,
        "clip_norm": 1.0,
    },
    "aggressive with a plateau, one length": {
        "epochs": 4,
        "schedule": PLATEAU,
        "procedure": {**AGGRESSIVE, "stop": {"rule": "below_best", "times": 2}, "limit": 5},
        "batching": "exact_length",
        "learning_rate": 0.5,
    },
}


def remembered(run: TrainingRun) -> bytes:
    state = {k: v for k, v in run.state_dict().items() if k not in TIMINGS}
    state["evaluations"] = [
        {k: v for k, v in row.items() if k not in TIMINGS} for row in run.evaluations
    ]
    return repr(bits(state)).encode()


def bits(state: Any) -> Any:
    if isinstance(state, Tensor):
        return (str(state.dtype), tuple(state.shape), state.cpu().numpy().tobytes())
    if isinstance(state, dict):
        return {key: bits(value) for key, value in state.items()}
    return [bits(part) for part in state] if isinstance(state, list | tuple) else state


@pytest.mark.parametrize("name", RUNS)
def test_a_run_interrupted_anywhere_continues_to_the_same_bits(name: str) -> None:
    """From every state, one step, check or evaluation leads to the very next one."""
    whole, continued = (start(evaluation={"every": 4}, **RUNS[name]) for _ in range(2))
    decays = 0
    while not whole.finished:
        file = io.BytesIO()
        torch.save(whole.state_dict(), file)
        file.seek(0)
        torch.manual_seed(whole.step)
        if whole.step == 5:  # as another process would
            continued = start(evaluation={"every": 4}, **RUNS[name])
        continued.load_state_dict(torch.load(file, weights_only=True))

        advance(whole)
        advance(continued)

        assert remembered(continued) == remembered(whole)
        assert continued.finished == whole.finished
        decays = whole._schedule.rule.n_decays if whole._schedule else 0
    assert "schedule" not in RUNS[name] or decays >= 1


def test_a_model_that_is_adopted_has_only_to_be_evaluated() -> None:
    trained = finish(start(epochs=300, schedule={**PLATEAU, "max_decays": 1}))
    run = start(epochs=300, schedule={**PLATEAU, "max_decays": 1})
    assert trained.step < trained.n_steps

    run.adopt(trained.trained_state())

    assert run.evaluation_due
    run.evaluate()
    assert run.finished
    measured, before = run.evaluations[-1], trained.evaluations[-1]
    for name in ("nll", "step", "updates", "epochs"):
        assert measured[name] == before[name]


# Guessing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("nll", "absurd"), [(5_400.0, False), (5_500.0, True)])
def test_guessing_an_image_is_guessing_its_pixels(
    monkeypatch: pytest.MonkeyPatch, nll: float, absurd: bool
) -> None:
    """28 x 28 bits are 543 nats."""
    run = start(steps=1)
    run.train()
    images = torch.zeros(3, 28, 28, dtype=torch.uint8)
    run.corpus = Corpus({"validation": images}, 2, "-")
    figures = {"nll": nll, "mi": 0.0, "tokens": 1.0, "nll_exact": None}
    monkeypatch.setattr(training, "evaluate", lambda *_: dict(figures))

    if absurd:
        with pytest.raises(DivergedError, match="over 10 times that of guessing uniformly"):
            run.evaluate()
    else:
        assert run.evaluate()["nll"] == nll
