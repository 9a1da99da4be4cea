"""The trial that the benchmarks train: PTB sentences, the published model, batches of 32."""

from pathlib import Path
from typing import Any

import torch

from trainables.data.corpus import PAD, Corpus
from trainables.data.files import DataError, data_root
from trainables.data.ptb import PennTreebank
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

VOCABULARY, BATCH, HIDDEN, SAMPLES, LATENTS = 10_000, 32, 128, 16, 80


def trial(objective: dict[str, Any]) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"name": "ptb"},
            "model": {"name": "sentence_lstm", "latents": {"kind": "categorical"}},
            "objective": {"estimator": "vimco", "samples": SAMPLES, **objective},
            "training": {"steps": 10_000, "batch_size": BATCH, "learning_rate": 1e-3},
        }
    )


def corpus() -> tuple[Corpus, str]:
    """Give the real corpus, or random sentences of its lengths where it is not at hand."""
    try:
        return PennTreebank(name="ptb").load(data_root()), "ptb"
    except DataError:
        generator = torch.Generator().manual_seed(0)
        x = torch.randint(VOCABULARY, (4096, 35), generator=generator)
        lengths = torch.randint(8, 36, (4096, 1), generator=generator)  # 21.5 on average, as PTB
        x[torch.arange(35) >= lengths] = PAD
        splits = dict.fromkeys(("train", "validation", "test"), x)
        return Corpus(splits, VOCABULARY, "random"), "random sentences (set SWEEPER_DATA_DIR)"


def training_run(objective: dict[str, Any], data: Corpus) -> TrainingRun:
    class InMemory(PennTreebank):
        def load(self, root: Path) -> Corpus:  # noqa: ARG002
            return data

    config = trial(objective).model_copy(update={"data": InMemory(name="ptb")})
    return TrainingRun(config, 0, data_root=Path())


def flops(data: Corpus, run: TrainingRun, step: int) -> float:
    """Count what a step cannot do without: vocabulary projection and LSTMs, both passes.

    A product costs two operations a multiply-add, once forward and twice backward. Padding counts
    for nothing; what all samples of a sentence share counts once.
    """
    x = data.splits["train"][run._data.order.batch(step)]
    tokens = float((x != PAD).sum())
    projection = SAMPLES * tokens * HIDDEN * VOCABULARY
    gates = 4 * HIDDEN
    decoder = gates * (SAMPLES * tokens * HIDDEN + tokens * HIDDEN + SAMPLES * BATCH * LATENTS)
    encoder = 2 * tokens * gates * (HIDDEN + HIDDEN)
    return 6 * (projection + decoder + encoder)
