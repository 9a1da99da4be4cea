"""Training that goes astray without a loss to show it ends as diverged all the same."""

from pathlib import Path
from typing import Any

import pytest
import torch

from trainables import training
from trainables.evaluation.metrics import evaluate
from trainables.training import DivergedError, TrainingRun
from trainables.trial import TrialConfig


def start(**training: Any) -> TrainingRun:
    trial = {
        "data": {"name": "symbols", "vocabulary": 16},
        "model": {
            "name": "symbol_mlp",
            "hidden": 8,
            "embedding": 8,
            "latents": {"kind": "categorical", "variables": 2, "categories": 3},
        },
        "objective": {"name": "kl", "estimator": "vimco", "samples": 4, "lambda": 0.5},
        "training": {"steps": 1, "batch_size": 4, "learning_rate": 0.01, **training},
        "evaluation": {"split": "train", "samples": 10},
    }
    return TrainingRun(TrialConfig.model_validate(trial), 0, data_root=Path("/nonexistent"))


def test_parameters_that_sampling_refuses_are_a_divergence() -> None:
    run = start()
    run.train()
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.fill_(float("inf"))
    with pytest.raises(DivergedError, match=r"^parameters as large as inf at step 1$"):
        run.evaluate()


def test_other_failures_are_not_called_divergence() -> None:
    run = start()
    run.train()
    run.corpus = run.corpus._replace(splits={"train": torch.tensor([99])})
    with pytest.raises((IndexError, RuntimeError)) as failure:
        run.evaluate()
    assert not isinstance(failure.value, DivergedError)


def test_an_nll_far_above_guessing_is_a_divergence() -> None:
    run = start()
    run.train()
    with torch.no_grad():
        run.model.get_parameter("softmax.logits.bias")[0] = 1e4
    with pytest.raises(DivergedError, match="over 10 times that of guessing uniformly"):
        run.evaluate()
    assert run.evaluations == []


def test_an_exact_nll_says_what_is_absurd_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def estimated_far_too_high(*args: Any) -> dict[str, Any]:
        return {**evaluate(*args), "nll": 1e6}

    monkeypatch.setattr(training, "evaluate", estimated_far_too_high)
    run = start()
    run.train()
    assert run.evaluate()["nll"] == 1e6
