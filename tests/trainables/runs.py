"""Small training runs of every kind, and ways through them."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.training import TrainingRun
from trainables.trial import TrialConfig

NOWHERE = Path("/nonexistent")
TIMINGS = {"train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"}
CATEGORICAL = {"kind": "categorical", "variables": 2, "categories": 3}
GAUSSIAN = {"kind": "gaussian", "dimensions": 2}
VQ = {"kind": "vq", "variables": 2, "categories": 3, "dimension": 2}
SYMBOLS = {"name": "symbol_mlp", "embedding": 4, "hidden": 5}
SENTENCES = {"name": "sentence_lstm", "embedding": 3, "encoder_hidden": 4, "decoder_hidden": 4}
DROPOUT = {"input": 0.2, "state": 0.2, "output": 0.2}
RENYI = {"name": "renyi", "lambda": 0.5, "alpha": 2.0}

# Batches of 4 out of 10 observations: most epochs end within a batch.
TRAINING = {"steps": 7, "batch_size": 4, "learning_rate": 0.05}
EVALUATION = {"split": "train", "samples": 3, "every": 3}
MOMENTUM = {"name": "sgd", "momentum": 0.9}

RUNS: dict[str, dict[str, Any]] = {
    "symbols, vimco, adam": {
        "model": {**SYMBOLS, "latents": CATEGORICAL},
        "objective": {**RENYI, "estimator": "vimco", "samples": 3},
    },
    "symbols, reinforce with its baseline": {
        "model": {**SYMBOLS, "latents": CATEGORICAL},
        "objective": {**RENYI, "estimator": "reinforce", "samples": 1},
    },
    "symbols, dreg, momentum": {
        "model": {**SYMBOLS, "latents": GAUSSIAN},
        "objective": {**RENYI, "estimator": "dreg", "samples": {"log_evidence": 2, "kl": 3}},
        "training": {**TRAINING, "optimizer": MOMENTUM, "clip_norm": 1.0, "l2": 1e-3},
    },
    "symbols, a critic and an annealed weight": {
        "model": {**SYMBOLS, "latents": GAUSSIAN},
        "objective": {
            "name": "critic_neural",
            "hidden_x": 4,
            "hidden_z": 4,
            "projection": 3,
            "annealing": {"kind": "linear", "steps": 5, "start": 0.1},
        },
    },
    "sentences, vimco, dropout": {
        "data": {"name": "ptb"},
        "model": {**SENTENCES, "latents": CATEGORICAL, "dropout": DROPOUT},
        "objective": {"name": "kl", "lambda": 0.5, "estimator": "vimco", "samples": 2},
    },
    "sentences, dreg, dropout": {
        "data": {"name": "ptb"},
        "model": {
            **SENTENCES,
            "latents": GAUSSIAN,
            "dropout": {**DROPOUT, "masks": "independent", "network": "both"},
        },
        "objective": {"name": "power", "alpha": 2.0, "estimator": "dreg", "samples": 2},
    },
    "texts, refined posteriors": {
        "data": {"name": "ptb"},
        "model": {
            "name": "text_lstm",
            "embedding": 3,
            "hidden": 4,
            "latents": GAUSSIAN,
            "inference": {"steps": 2},
        },
        "objective": {"name": "bound", "estimator": "elbo"},
    },
}
FIRST = RUNS["symbols, vimco, adam"]


def start(trial: dict[str, Any], seed: int = 0, **sections: dict[str, Any]) -> TrainingRun:
    config = {
        "data": {"name": "symbols", "vocabulary": 10},
        "training": TRAINING,
        "evaluation": EVALUATION,
        **trial,
    }
    for section, settings in sections.items():
        config[section] = {**config[section], **settings}
    return TrainingRun(TrialConfig.model_validate(config), seed, data_root=NOWHERE)


def advance(run: TrainingRun) -> None:
    """Take one step, or make the evaluation that is due."""
    if run.evaluation_due:
        run.evaluate()
    else:
        run.train(seconds=0.0)


def finish(run: TrainingRun) -> TrainingRun:
    for _ in range(run.n_steps + 1):
        if run.finished:
            return run
        run.train()
        run.evaluate()
    raise AssertionError("the run does not end")


def parameters(run: TrainingRun) -> Tensor:
    return torch.cat([part.detach().flatten() for part in run.model.parameters()]).clone()
