"""A training step with each critic against one of the plain VAE, on sentences and on images.

On a processor the time is that of one core, whoever else is at work on the machine. What a step
costs depends on the sizes: the defaults suit one core, and

    python -m benchmarks.critics --text '{"name": "text_lstm"}' --vocabulary 20001 --length 80

has the published text model. `--text` and `--images` take a model's section of an experiment, or
`none` to leave that kind out. Latents are the published 32 Gaussian ones where a section has none.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import TypeAdapter

from benchmarks.report import line
from trainables.data.corpus import PAD, Corpus, DataConfig
from trainables.models import MODELS, AnyModel, ModelConfig
from trainables.objectives import OBJECTIVES
from trainables.optimisation import TrainingConfig
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

PLAIN = "vae"
CRITICS = {"critic_hybrid": "<= 1.06", "critic_self": "-", "critic_neural": "-"}
TEXT = {
    "text_lstm": {"embedding": 128, "hidden": 256},
    "sentence_lstm": {"embedding": 128, "encoder_hidden": 256, "decoder_hidden": 256},
}
IMAGES: dict[str, dict[str, Any]] = {"resnet_masked": {}}


class InMemory(DataConfig):
    """A corpus that is at hand."""

    kind: ClassVar[str] = "any"

    def load(self, root: Path) -> Corpus:  # noqa: ARG002
        return CORPORA[self.name]


CORPORA: dict[str, Corpus] = {}


def sentences(options: argparse.Namespace) -> Corpus:
    """Draw random sentences, all of one length, as exact-length batches have them."""
    generator = torch.Generator().manual_seed(0)
    n, length, vocabulary = 32 * options.batch, options.length, options.vocabulary
    x = torch.randint(vocabulary, (n, length), generator=generator)
    assert (x != PAD).all()
    return Corpus(dict.fromkeys(("train", "validation", "test"), x), vocabulary, "random")


def images(options: argparse.Namespace, least: int = 0) -> Corpus:
    """Draw random binary images, as many as `least` or more."""
    generator = torch.Generator().manual_seed(0)
    shape = (options.side, options.side)
    n = max(32 * options.batch, least)
    grey = torch.randint(256, (n, *shape), generator=generator)
    x = (grey > 127).to(torch.uint8)
    splits = dict.fromkeys(("train", "validation", "test"), x)
    return Corpus(splits, 2, "random", shape=shape)


def training_run(
    model: ModelConfig, objective: dict[str, Any], batch: int, device: str
) -> TrainingRun:
    training = {"steps": 10_000, "batch_size": batch, "learning_rate": 1e-3}
    config = TrialConfig.model_construct(
        model=model,
        objective=TypeAdapter(OBJECTIVES[objective["name"]]).validate_python(objective),
        data=InMemory(name=model.reads),
        training=TrainingConfig.model_validate(training),
    )
    return TrainingRun(config, 0, data_root=Path(), device=device)


def step_seconds(run: TrainingRun) -> float:
    clock = time.process_time if run.device.type == "cpu" else time.perf_counter
    start = clock()
    run._take_step()
    run._synchronise()
    return clock() - start


def compare(
    model: ModelConfig,
    objectives: dict[str, tuple[dict[str, Any], str]],
    options: argparse.Namespace,
) -> None:
    """Print each objective's median ratio to the plain VAE; steps take turns, on the same batches.

    Objectives are by name, with what their ratio should be.
    """
    configs = {PLAIN: {"name": PLAIN}} | {name: config for name, (config, _) in objectives.items()}
    runs = {
        name: training_run(model, config, options.batch, options.device)
        for name, config in configs.items()
    }
    times: dict[str, list[float]] = {name: [] for name in runs}

    for run in runs.values():
        step_seconds(run)
    for _ in range(options.steps):
        for name, run in runs.items():
            times[name].append(step_seconds(run))
    size = sum(parameter.numel() for parameter in runs[PLAIN].model.parameters())
    for name, (_, target) in objectives.items():
        ratios = [t / p for t, p in zip(times[name], times[PLAIN], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        line(
            f"{model.name}: {name} step / {PLAIN}",
            middle,
            target,
            f"quartiles {low:.3f} to {high:.3f} of {options.steps} steps; "
            f"{statistics.median(times[name]):.4f} s of {statistics.median(times[PLAIN]):.4f} s; "
            f"batch {options.batch}, {size / 1e6:.2f} M parameters, {options.device}",
        )


def section(text: str | None, defaults: dict[str, dict[str, Any]]) -> ModelConfig | None:
    """Read a model's section; without one, take the first of those there are."""
    known = [name for name in defaults if name in MODELS]
    if text == "none" or (text is None and not known):
        return None
    given = {"name": known[0], **defaults[known[0]]} if text is None else json.loads(text)
    latents = {"kind": "gaussian", "dimensions": 32}
    return TypeAdapter(AnyModel).validate_python({"latents": latents, **given})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", help="a model's section, as JSON, or none")
    parser.add_argument("--images", help="a model's section, as JSON, or none")
    parser.add_argument("--vocabulary", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=40, help="tokens of a sentence")
    parser.add_argument("--side", type=int, default=28, help="pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for model, draw in (
        (section(options.text, TEXT), sentences),
        (section(options.images, IMAGES), images),
    ):
        if model is not None:
            CORPORA[model.reads] = draw(options)
            critics = {name: ({"name": name}, target) for name, target in CRITICS.items()}
            compare(model, critics, options)


if __name__ == "__main__":
    main()
