"""Whatever can be trained continues to the same bits from a checkpoint at any of its steps.

What is registered is found here by itself: an objective, an estimator, a model or a procedure that
no case trains makes a test fail, and says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.trainables.runs import CATEGORICAL, GAUSSIAN, NOWHERE, VQ, advance
from tests.trainables.test_training_bits import assert_same_bits
from trainables.checkpoint import Checkpoints
from trainables.data.corpus import Corpus
from trainables.data.omniglot import Omniglot28
from trainables.estimators import ESTIMATORS
from trainables.models import MODELS
from trainables.objectives import OBJECTIVES
from trainables.optimisation import TrainingConfig
from trainables.procedures import PROCEDURES
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

Trial = dict[str, Any]

# The fields without which an objective cannot be made, and those that give it something to keep.
KNOBS: dict[str, Trial] = {
    "kl": {"lambda": 0.5},
    "renyi": {"lambda": 0.5, "alpha": 2.0},
    "power": {"alpha": 2.0},
    "control_vae": {"kl_target": 0.5, "ki": 0.1},
    "critic_neural": {"hidden_x": 4, "hidden_z": 4, "projection": 3},
}
IMAGES = {"encoder": {"channels": 4, "hidden": 6, "blocks": 2}, "channels": 4, "latent_maps": 1}
SMALL: dict[str, Trial] = {
    "resnet_masked": {**IMAGES, "kernels": [5, 3, 3, 3]},
    "resnet_gated": {**IMAGES, "kernels": [5, 3, 3, 3]},
    "symbol_mlp": {"embedding": 3, "hidden": 4},
    "sentence_lstm": {"embedding": 3, "encoder_hidden": 4, "decoder_hidden": 4},
    "text_lstm": {"embedding": 3, "hidden": 4},
    "image_mlp": {"hidden": [4, 3], "encoder": {"hidden": [4, 3]}},
}
DATA = {"symbols": {"name": "symbols", "vocabulary": 10}}
STAND_INS = {"sentences": {"name": "ptb"}, "images": {"name": "omniglot28"}}
TRAINING = {"steps": 5, "batch_size": 4, "learning_rate": 0.05}
GENTLE = {**TRAINING, "learning_rate": 0.001}
EPOCHS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.05}
PLATEAU = {"kind": "plateau", "patience": 1, "first_epoch": 0}


def trial(
    objective: Trial, model: str = "symbol_mlp", latents: Trial = GAUSSIAN, **sections: Trial
) -> Trial:
    kind = MODELS[model].reads
    knobs = KNOBS.get(objective["name"], {})
    if objective["name"] == "critic_hybrid":
        knobs = {"hidden_z": 4, "projection": 3}
    return {
        "data": {**DATA, **STAND_INS}[kind],
        "model": {"name": model, **SMALL.get(model, {}), "latents": latents},
        "objective": {**knobs, **objective},
        "training": TRAINING,
        "evaluation": {"split": "train", "samples": 2, "every": 3},
        **sections,
    }


def is_defined(made: Trial) -> bool:
    try:
        TrialConfig.model_validate(made)
    except ValidationError:
        return False
    return True


def pairs() -> Iterator[tuple[str, Trial]]:
    """Every objective with every estimator and kind of latents that it goes with."""
    cases: dict[str, Trial] = {}
    for name in OBJECTIVES:
        estimators = ESTIMATORS if "estimator" in OBJECTIVES[name].model_fields else [None]
        for estimator in estimators:
            for samples in (1, 3):  # several where that is defined
                for latents in (CATEGORICAL, GAUSSIAN, VQ):
                    given = {"estimator": estimator, "samples": samples} if estimator else {}
                    made = trial({"name": name, **given}, latents=latents)
                    if is_defined(made):
                        cases[f"{name} {estimator} {latents['kind']}"] = made
    yield from cases.items()


def models() -> Iterator[tuple[str, Trial]]:
    for name in MODELS:
        objective = {"name": "bound", "estimator": "elbo", "samples": 1}
        yield f"model {name}", trial(objective, name, training=GENTLE)
    for name in ("sentence_lstm", "text_lstm", "image_mlp", "resnet_masked"):
        apart = {**VQ, "shared": False}
        yield f"codes {name}", trial({"name": "vq_vae"}, name, apart, training=GENTLE)
    learnt = {"name": "vq_vae", "codebook": "gradient"}
    yield "codes by gradient", trial(learnt, latents=VQ)
    critic = {"name": "critic_hybrid"}
    yield "critic on images", trial(critic, "resnet_masked", training=GENTLE)
    queue = {"kind": "queue", "length": 8}  # half of it is written anew at each step
    for key, negatives in (("shared", queue), ("frozen", {"kind": "batch"})):
        contrast = {"name": "cr_vae", "key": {"kind": key}, "negatives": negatives}
        yield f"cr_vae {key}", trial(contrast, "resnet_masked", training=GENTLE)
    # Three steps of the encoder alone, and a moving average that starts after them.
    beforehand = {**GENTLE, "steps": 2, "pretraining": {"share": 0.2, "steps": 3}}
    contrast = {"name": "cr_vae", "negatives": queue}
    yield "cr_vae later", trial(contrast, "resnet_masked", training=beforehand)


def schedules() -> Iterator[tuple[str, Trial]]:
    """Everything else that remembers something from one step to the next."""
    vae = {"name": "vae"}
    for kind in ("linear", "sigmoid", "cyclical"):
        annealing = {"kind": kind, "steps": 4}
        yield f"annealing {kind}", trial({**vae, "annealing": annealing})
    for weighs in ("same_batch", "next_batch"):
        ramp = {"start": 0.1, "rise": 0.1, "every": 2}
        yield f"control {weighs}", trial({"name": "control_vae", "weighs": weighs, "ramp": ramp})
    for name in PROCEDURES:
        training = {**EPOCHS, "procedure": {"name": name}}
        yield f"procedure {name}", trial(vae, "text_lstm", training=training)
    for batching in ("shuffled", "exact_length"):
        training = {**EPOCHS, "batching": batching, "schedule": PLATEAU}
        yield f"plateau {batching}", trial(vae, "text_lstm", training=training)
    keep = {"kind": "keep_best", "samples": 3, "every": 2}
    training = {**TRAINING, "schedule": keep}
    vimco = {"name": "bound", "estimator": "vimco", "samples": 3}
    yield "keep_best", trial(vimco, "sentence_lstm", CATEGORICAL, training=training)
    noise = {"kind": "pgd", "epsilon": 0.1, "steps": 2}
    lagging = {"name": "aggressive", "max_inner": 2}
    training = {**TRAINING, "procedure": lagging, "adversarial": noise}
    yield "noise, aggressive", trial({"name": "control_vae"}, "text_lstm", training=training)
    training = {**GENTLE, "adversarial": {"kind": "fgsm", "epsilon": 0.1, "norm": "l2"}}
    yield "noise on images", trial(vae, "resnet_masked", training=training)
    beforehand = {"share": 0.4, "steps": 3}
    training = {**TRAINING, "optimizer": {"name": "sgd", "momentum": 0.9}}
    yield "reconstruction first", trial(vae, training={**training, "pretraining": beforehand})
    training = {**GENTLE, "pretraining": {"share": 0.5, "epochs": 2}, "schedule": PLATEAU}
    yield "classification first", trial(vae, "resnet_masked", training=training)
    codes = trial({"name": "vq_vae"}, "text_lstm", VQ, training={**EPOCHS, "schedule": PLATEAU})
    yield "codes that go back to the best", codes
    momentum = {**TRAINING, "optimizer": {"name": "sgd", "momentum": 0.9}, "clip_norm": 1.0}
    yield "momentum", trial(vae, training=momentum)
    refined = trial(vae, "text_lstm")
    yield (
        "refined posteriors",
        {**refined, "model": {**refined["model"], "inference": {"steps": 2}}},
    )
    dropout = {"input": 0.2, "state": 0.2, "output": 0.2}
    dropped = trial(vae, "sentence_lstm")
    yield "dropout", {**dropped, "model": {**dropped["model"], "dropout": dropout}}


CASES = dict([*pairs(), *models(), *schedules()])


@pytest.fixture(autouse=True)
def stand_ins(ten_sentences: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data in the place of corpora, images with their grey values too."""
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(256, (10, 8, 8), generator=generator).to(torch.uint8)
    ones = (grey > 127).to(torch.uint8)
    corpus = Corpus(
        {"train": ones, "validation": ones[:5], "test": ones[5:]},
        2,
        "-",
        shape=(8, 8),
        grey=grey,
        labels={"train": torch.arange(10) % 3},
    )
    monkeypatch.setattr(Omniglot28, "load", lambda self, root: corpus)


def start(made: Trial, device: str = "cpu") -> TrainingRun:
    return TrainingRun(TrialConfig.model_validate(made), 0, data_root=NOWHERE, device=device)


@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
@pytest.mark.parametrize("made", CASES.values(), ids=list(CASES))
def test_a_run_that_continues_in_a_fresh_object_after_every_step_ends_with_the_same_bits(
    made: Trial, device: str, tmp_path: Path
) -> None:
    """Each object takes one step or evaluates once, and leaves the next one a checkpoint only."""
    whole, ends = start(made, device), 0
    while not whole.finished:
        advance(whole)
        ends += 1
    assert ends >= 6

    states = Checkpoints(str(tmp_path / "states"))
    for moment in range(ends):
        torch.manual_seed(moment)  # nothing may depend on what another process is at
        continued = states.restore(lambda: start(made, device))
        advance(continued)
        states.save(continued)
    last = Checkpoints(str(tmp_path / "states")).restore(lambda: start(made, device))

    assert states.damaged == []
    assert continued.finished
    assert_same_bits(continued, whole)
    assert_same_bits(last, whole)


def test_every_objective_estimator_model_and_procedure_is_continued() -> None:
    def used(*path: str) -> set[str]:
        names = set()
        for made in CASES.values():
            section: Any = made
            for key in path:
                section = section.get(key, {})
            names |= {section} if isinstance(section, str) else set()
        return names

    assert used("objective", "name") == set(OBJECTIVES)
    assert used("objective", "estimator") == set(ESTIMATORS)
    assert used("model", "name") == set(MODELS)
    assert used("training", "procedure", "name") == set(PROCEDURES)
    assert all(is_defined(made) for made in CASES.values())


def test_everything_that_training_has_is_varied_here() -> None:
    """A new field of a training's configuration may be something that a checkpoint must hold."""
    assert set(TrainingConfig.model_fields) == {
        *("steps", "epochs", "batch_size", "batching", "schedule", "procedure"),
        *("learning_rate", "l2", "clip_norm", "optimizer", "adversarial", "pretraining"),
    }
