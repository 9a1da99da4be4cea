"""Small training runs on sentences, in batches of two and by epochs where a test wants them."""

from typing import Any

from tests.trainables.runs import GAUSSIAN, NOWHERE
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

SENTENCES = {
    "name": "sentence_lstm",
    "embedding": 3,
    "encoder_hidden": 4,
    "decoder_hidden": 4,
    "latents": GAUSSIAN,
    "dropout": {"input": 0.2, "output": 0.2, "network": "both"},
}
ELBO = {"name": "bound", "estimator": "elbo", "samples": 1}
PLATEAU = {"kind": "plateau", "patience": 1, "first_epoch": 0}
AGGRESSIVE = {"name": "aggressive", "max_inner": 3, "check_every": 1}
SGD = {"name": "sgd", "momentum": 0.9}


def start(
    evaluation: dict[str, Any] | None = None,
    objective: dict[str, Any] | None = None,
    **settings: Any,
) -> TrainingRun:
    given = {"batch_size": 2, "learning_rate": 0.1, "optimizer": SGD, **settings}
    trial = {
        "data": {"name": "ptb"},
        "model": SENTENCES,
        "objective": objective or ELBO,
        "training": given,
        "evaluation": {"samples": 2, **(evaluation or {})},
    }
    return TrainingRun(TrialConfig.model_validate(trial), 0, data_root=NOWHERE)
