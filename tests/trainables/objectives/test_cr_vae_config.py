"""What CR-VAE cannot be made with: other data, refined posteriors, queues that do not fit."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.trainables.objectives.images import image_model, images
from tests.trainables.runs import NOWHERE
from trainables import objectives
from trainables.data.corpus import Corpus
from trainables.data.omniglot import Omniglot28
from trainables.objectives.cr_vae import CrVae
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

GAUSSIAN = {"kind": "gaussian", "dimensions": 2}
QUEUE = {"negatives": {"kind": "queue", "length": 96}}


def trial(objective: dict[str, Any] | None = None, **sections: dict[str, Any]) -> TrialConfig:
    given = {
        "data": {"name": "omniglot28"},
        "model": {"name": "resnet_masked", "latents": GAUSSIAN},
        "objective": {"name": "cr_vae", **(objective or {})},
        "training": {"steps": 3, "batch_size": 32, "learning_rate": 0.01},
    }
    return TrialConfig.model_validate({**given, **sections})


def training(batch_size: int) -> dict[str, Any]:
    return {"steps": 3, "batch_size": batch_size, "learning_rate": 0.01}


def refusal(*arguments: Any, **sections: Any) -> tuple[str, str]:
    """Where a trial is wrong, and why."""
    with pytest.raises(ValidationError) as refused:
        trial(*arguments, **sections)
    [error] = refused.value.errors()
    return ".".join(map(str, error["loc"])), error["msg"]


def test_defaults_are_those_of_the_code_but_for_the_negatives_and_the_target() -> None:
    resolved = trial().resolved()["objective"]

    assert [step["name"] for step in resolved.pop("augmentations")] == [
        *("crop", "affine", "blur", "jitter")
    ]
    assert resolved == {
        "name": "cr_vae",
        "beta": 1.0,
        "annealing": None,
        "gamma": 1.0,
        "temperature": 0.1,
        "key": {"kind": "ema", "momentum": 0.99},
        "negatives": {"kind": "batch"},
        "target": "clean",
        "contrast_on": "sample",
    }
    queue = trial({"negatives": {"kind": "queue"}}).resolved()["objective"]["negatives"]
    assert queue == {"kind": "queue", "length": 4096}


def test_what_is_resolved_makes_the_same_trial_again() -> None:
    made = trial({**QUEUE, "augmentations": [{"name": "crop"}, {"name": "erase", "value": 1}]})

    assert TrialConfig.model_validate(made.resolved()) == made


@pytest.mark.parametrize(
    ("model", "data", "kind"),
    [
        ({"name": "symbol_mlp"}, {"name": "symbols"}, "symbols"),
        ({"name": "text_lstm"}, {"name": "ptb"}, "sentences"),
    ],
)
def test_only_images_can_be_augmented(
    model: dict[str, Any], data: dict[str, Any], kind: str
) -> None:
    where, why = refusal(
        model={**model, "latents": GAUSSIAN}, data=data, evaluation={"split": "train"}
    )

    assert where == "objective.name"
    assert why == (
        f"objective cr_vae augments images, but model {model['name']} reads {kind}; use objective "
        "vae or a critic"
    )


def test_a_key_encoder_refines_nothing() -> None:
    model = {"name": "resnet_masked", "latents": GAUSSIAN, "inference": {"steps": 2}}

    assert refusal(model=model) == (
        "objective.name",
        "objective cr_vae has a key encoder without a decoder to refine its q(z|x) by; remove "
        "inference from the model",
    )


def test_noise_for_images_is_none_for_views_of_them() -> None:
    noisy = {**training(32), "adversarial": {"kind": "fgsm", "epsilon": 0.1}}

    where, why = refusal(training=noisy)
    assert where == "training.adversarial"
    assert "objective 'cr_vae' trains on views that it draws of them" in why


def test_categories_are_refused() -> None:
    model = {"name": "resnet_masked", "latents": {"kind": "categorical"}}

    assert "objective cr_vae differentiates through z" in refusal(model=model)[1]


@pytest.mark.parametrize(
    ("batch_size", "fits"), [(50, 100), (36, 108), (80, 80), (96, None), (48, None), (200, 200)]
)
def test_a_queue_is_whole_batches(batch_size: int, fits: int | None) -> None:
    if fits is None:
        assert trial(QUEUE, training=training(batch_size)).training.batch_size == batch_size
        return
    assert refusal(QUEUE, training=training(batch_size)) == (
        "training.batch_size",
        f"objective 'cr_vae': a queue of 96 keys is not filled by whole batches of {batch_size}; "
        f"use a length of {fits}",
    )
    assert trial(training=training(batch_size)).objective.name == "cr_vae"


def test_a_queue_is_no_longer_than_the_data_where_the_file_says_how_long_that_is() -> None:
    assert refusal(QUEUE, data={"name": "omniglot28", "train_limit": 95}) == (
        "training.batch_size",
        "objective 'cr_vae': a queue of 96 keys holds each of 95 training images more than once, "
        "so that images become their own negatives; use a length of 64, or negatives: batch",
    )
    assert trial(QUEUE, data={"name": "omniglot28", "train_limit": 96})


def test_a_queue_is_no_longer_than_the_data_that_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(40)
    corpus = Corpus(dict.fromkeys(("train", "validation", "test"), x), 2, "-", shape=(6, 6))
    monkeypatch.setattr(Omniglot28, "load", lambda self, root: corpus)

    with pytest.raises(ValueError, match="96 keys holds each of 40 training images more than"):
        TrainingRun(trial(QUEUE), 0, data_root=NOWHERE)


def test_a_batch_of_one_has_nothing_to_be_told_from() -> None:
    with pytest.raises(ValidationError, match="it needs batch_size >= 2"):
        trial(training=training(1))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"gamma": -1.0}, "greater than or equal to 0"),
        ({"temperature": 0.0}, "greater than 0"),
        ({"momentum": 0.9}, "Extra inputs are not permitted"),
        ({"key": {"kind": "ema", "momentum": 1.0}}, "less than 1"),
        ({"key": {"kind": "frozen", "momentum": 0.9}}, "Extra inputs are not permitted"),
        ({"key": {"kind": "copied"}}, "'ema', 'shared', 'frozen'"),
        ({"negatives": {"kind": "batch", "length": 8}}, "Extra inputs are not permitted"),
        ({"negatives": {"kind": "queue", "length": 0}}, "greater than 0"),
        ({"target": "noisy"}, "'clean' or 'augmented'"),
        ({"contrast_on": "variance"}, "'sample' or 'mean'"),
        ({"augmentations": [{"name": "rotate"}]}, "'crop', 'affine'"),
    ],
)
def test_what_is_not_defined_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        trial(config)
    assert message in str(refused.value)


def test_the_objective_is_made_for_a_model_with_an_encoder() -> None:
    refined = image_model(), CrVae(name="cr_vae")
    assert refined[1].create(refined[0])

    with pytest.raises(ValueError, match="cr_vae has a key encoder of its model's kind"):
        objectives.create({"name": "cr_vae"})


def test_it_trains() -> None:
    """A few steps of each kind raise what is raised, from the same views and noise."""
    model = image_model()
    objective = CrVae(name="cr_vae").create(model).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        torch.manual_seed(0)
        loss = objective(model, images(16)).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert losses[-1] < losses[0] - 1
