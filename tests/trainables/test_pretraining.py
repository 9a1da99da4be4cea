"""Pre-training: what is reserved, what learns from it, and how its steps are counted."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from tests.trainables.runs import CATEGORICAL, GAUSSIAN, NOWHERE, finish
from trainables.data.corpus import Corpus
from trainables.data.files import DataError
from trainables.data.symbols import Symbols
from trainables.pretraining import Pretrainer, Pretraining, reserve
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

TRIAL: dict[str, Any] = {
    "data": {"name": "symbols", "vocabulary": 10},
    "model": {"name": "symbol_mlp", "embedding": 3, "hidden": 4, "latents": GAUSSIAN},
    "objective": {"name": "vae"},
    "training": {"steps": 6, "batch_size": 4, "learning_rate": 0.05},
    "evaluation": {"split": "train", "samples": 2, "every": 2},
}
IMAGES: dict[str, Any] = {
    "data": {"name": "mnist"},
    "model": {"name": "resnet_masked", "latents": GAUSSIAN},
    "objective": {"name": "vae"},
}
LABELS = torch.tensor([5, 7, 5, 9, 5, 7, 9, 9, 5, 7])


def config(beforehand: dict[str, Any] | None, **sections: Any) -> TrialConfig:
    made = {**TRIAL, **sections}
    if beforehand is not None:
        made["training"] = {**made["training"], "pretraining": {"share": 0.4, **beforehand}}
    return TrialConfig.model_validate(made)


def start(beforehand: dict[str, Any] | None, **sections: Any) -> TrainingRun:
    return TrainingRun(config(beforehand, **sections), 0, data_root=NOWHERE)


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols with labels of three kinds."""
    load = Symbols.load
    monkeypatch.setattr(Symbols, "labelled", True)
    monkeypatch.setattr(
        Symbols, "load", lambda self, root: load(self, root)._replace(labels={"train": LABELS})
    )


def generative(run: TrainingRun) -> list[Tensor]:
    return [p.detach().clone() for p in run._learner.generative]


def inference(run: TrainingRun) -> list[Tensor]:
    return [p.detach().clone() for p in run._learner.inference]


# The share ------------------------------------------------------------------------------------


def test_the_parts_have_nothing_in_common_and_lose_nothing() -> None:
    x = torch.arange(100)
    grey = x.to(torch.uint8)[:, None, None].expand(100, 2, 2)
    labels = {"train": x * 3, "test": x[:5]}
    corpus = Corpus({"train": x, "validation": x[:9]}, 100, "-", grey=grey, labels=labels)

    training, reserved = reserve(corpus, 0.3)

    parts = [part.splits["train"] for part in (training, reserved)]
    assert [len(part) for part in parts] == [70, 30]
    assert torch.cat(parts).sort().values.equal(x)
    assert all(map(torch.equal, parts, [part.splits["train"] for part in reserve(corpus, 0.3)]))
    assert not torch.equal(parts[1], x[70:])  # files are often in order
    for part, mine in zip((training, reserved), parts, strict=True):
        assert part.grey is not None
        assert part.labels is not None
        assert torch.equal(part.grey[:, 0, 1], mine.to(torch.uint8))
        assert torch.equal(part.labels["train"], 3 * mine)
        assert torch.equal(part.labels["test"], x[:5])
        assert torch.equal(part.splits["validation"], x[:9])


@pytest.mark.parametrize(("share", "n"), [(0.01, 0), (0.97, 10)])
def test_a_share_that_leaves_a_part_empty_is_refused_with_its_size(share: float, n: int) -> None:
    with pytest.raises(DataError, match=rf"a share of {share} of 10 training .* is {n}; choose"):
        reserve(Corpus({"train": torch.arange(10)}, 10, "-"), share)


def test_training_proper_never_sees_what_was_reserved() -> None:
    run = start({"steps": 5})
    seen: list[Tensor] = []
    run.objective.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    assert run._pretrainer is not None
    beforehand = torch.cat([run._pretrainer.data.batch(step) for step in range(5)])

    finish(run)

    proper = torch.cat(seen)
    assert len(proper) == 6 * 4
    assert set(beforehand.tolist()).isdisjoint(proper.tolist())
    assert {*beforehand.tolist(), *proper.tolist()} == set(range(10))


# What is learnt -------------------------------------------------------------------------------


def test_reconstruction_moves_the_encoder_alone_and_its_decoder_is_not_kept() -> None:
    run, fresh = start({"steps": 5}), start(None)
    assert run._pretrainer is not None
    decoder = [p for name, p in run._pretrainer.against.named_parameters() if "decoder" in name]
    first = [p.detach().clone() for p in decoder]

    run.train(steps=5)

    assert run.step == 5
    assert run._pretrainer is None
    assert all(map(torch.equal, generative(run), generative(fresh)))
    assert not any(map(torch.equal, inference(run), inference(fresh)))
    assert not any(map(torch.equal, decoder, first))
    assert not run._learner.optimizer.state


def test_reconstruction_is_the_elbo_without_its_kl() -> None:
    run = start({"steps": 1})
    assert run._pretrainer is not None
    x = run._pretrainer.data.batch(0)
    torch.manual_seed(2)
    q = run.model.posterior(x)
    expected = -run.model.log_likelihood(x, q.rsample((1,))).mean().item()
    torch.manual_seed(2)

    assert run._pretrainer.take_step(0).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.usefixtures("labelled")
def test_classification_reads_posterior_means_and_leaves_the_decoder() -> None:
    run, fresh = start({"steps": 5}), start(None)
    pretrainer = run._pretrainer
    assert pretrainer is not None
    x = pretrainer.data.batch(0)
    logits = pretrainer.against(run.model.posterior(x).mean)
    classes = LABELS[pretrainer.data.corpus.splits["train"]].unique()
    targets = torch.searchsorted(classes, LABELS[x])
    assert logits.shape == (4, len(classes))
    expected = functional.cross_entropy(logits, targets).item()

    run.train(steps=1)

    assert run.train_loss == pytest.approx(expected, rel=1e-6)
    run.train(steps=4)
    assert all(map(torch.equal, generative(run), generative(fresh)))
    assert not any(map(torch.equal, inference(run)[:-1], inference(fresh)[:-1]))


@pytest.mark.usefixtures("labelled")
def test_classes_can_be_told_from_the_means_in_the_end() -> None:
    run = start({"steps": 150, "share": 0.6, "learning_rate": 0.1})
    pretrainer = run._pretrainer
    assert pretrainer is not None
    losses = [pretrainer.take_step(step).item() for step in range(150)]

    assert losses[0] > 0.8
    assert max(losses[-5:]) < 0.05


@pytest.mark.usefixtures("labelled")
def test_categories_are_told_by_their_probabilities() -> None:
    objective = {"name": "bound", "estimator": "reinforce"}
    model = {**TRIAL["model"], "latents": CATEGORICAL}
    run = start({"steps": 2}, model=model, objective=objective)
    assert run._pretrainer is not None

    assert run._pretrainer.against.in_features == 6
    assert finish(run).finished


def test_gradients_are_clipped_as_in_training() -> None:
    training = {
        **TRIAL["training"],
        "optimizer": {"name": "sgd"},
        "clip_norm": 1e-3,
        "learning_rate": 1.0,
    }
    run = start({"steps": 1}, training=training)
    assert run._pretrainer is not None
    parameters = run._pretrainer.parameters
    before = torch.cat([p.detach().flatten() for p in parameters])

    run._pretrainer.take_step(0)

    moved = torch.cat([p.detach().flatten() for p in parameters]) - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_refined_posteriors_start_from_the_encoder_that_is_trained() -> None:
    run = start({"steps": 1}, model={**TRIAL["model"], "inference": {"steps": 2}})

    assert run._pretrainer is not None
    assert run._pretrainer.model is run.model.base
    run.train(steps=1)
    assert run._learner.updates == 1


# How it is counted ----------------------------------------------------------------------------


def test_its_steps_come_first_and_count() -> None:
    run = start({"steps": 3})
    told: list[tuple[int, int]] = []
    begin = run.objective.begin_step
    run.objective.begin_step = lambda *call: (told.append(call), begin(*call))[1]  # type: ignore[method-assign]

    finish(run)

    assert run.n_steps == run.step == 9
    assert told == [(step, 2) for step in range(6)]  # 6 observations of 10 are left
    assert [row["step"] for row in run.evaluations] == [4, 6, 8, 9]  # none while it lasts
    assert [row["updates"] for row in run.evaluations] == [4, 6, 8, 9]
    seen = [(3 * 4 + own * 4) / 10 for own in (1, 3, 5, 6)]
    assert [row["epochs"] for row in run.evaluations] == pytest.approx(seen)


def test_losses_of_pre_training_are_not_among_those_of_training() -> None:
    run = start({"steps": 3})
    losses: list[float] = []
    run.objective.register_forward_hook(lambda *call: losses.append(call[-1].loss.item()))

    run.train()

    assert run.train_loss == pytest.approx(losses[0])
    assert len(losses) == 1


def test_epochs_are_passes_over_each_part() -> None:
    run = start({"epochs": 2}, training={"epochs": 3, "batch_size": 4, "learning_rate": 0.05})

    assert run._n_before == 2  # of 4 observations
    assert run.n_steps == 2 + 5  # 6 observations
    finish(run)
    assert run.evaluations[-1]["epochs"] == pytest.approx((8 + 20) / 10)


def test_it_is_part_of_a_trial_only_where_it_is_set() -> None:
    assert "pretraining" not in config(None).resolved()["training"]
    resolved = config({"steps": 3}).resolved()
    assert resolved["training"]["pretraining"] == {
        "share": 0.4,
        "steps": 3,
        "epochs": None,
        "task": None,
        "learning_rate": None,
    }
    assert TrialConfig.model_validate(resolved) == config({"steps": 3})


@pytest.mark.parametrize(
    ("beforehand", "total"), [(None, 6), ({"steps": 3}, 9), ({"epochs": 1}, None)]
)
def test_a_trial_knows_its_steps_where_they_do_not_depend_on_the_data(
    beforehand: dict[str, Any] | None, total: int | None
) -> None:
    assert config(beforehand).training.total_steps == total


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "either in steps or in epochs"),
        ({"steps": 1, "epochs": 1}, "either in steps or in epochs"),
        ({"steps": 1, "share": 0.0}, "greater than 0"),
        ({"steps": 1, "share": 1.0}, "less than 1"),
        ({"steps": 0}, "greater than 0"),
        ({"steps": 1, "task": "contrast"}, "'classification' or 'reconstruction'"),
        ({"steps": 1, "learning_rate": 0.0}, "greater than 0"),
    ],
)
def test_what_is_not_defined_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Pretraining.model_validate({"share": 0.1, **fields})


@pytest.mark.parametrize(
    ("beforehand", "sections", "message"),
    [
        ({"task": "classification"}, {}, "needs labels, which these data do not have; use recon"),
        (
            {},
            {
                "model": {**TRIAL["model"], "latents": CATEGORICAL},
                "objective": {"name": "bound", "estimator": "reinforce"},
            },
            "through z, which categorical latents do not allow; use classification of data with",
        ),
        (
            {"task": "reconstruction"},
            {
                **IMAGES,
                "model": {"name": "resnet_masked", "latents": CATEGORICAL},
                "objective": {"name": "bound", "estimator": "reinforce"},
            },
            "reconstruction differentiates through z",
        ),
    ],
)
def test_sections_that_do_not_fit_are_refused_at_its_field(
    beforehand: dict[str, Any], sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        config({"steps": 1, **beforehand}, **sections)

    [error] = refusal.value.errors()
    assert error["loc"] == ("training", "pretraining")
    assert message in error["msg"]


def test_images_are_classified_unless_reconstruction_is_asked_for() -> None:
    images = config({"steps": 1}, **IMAGES)

    assert images.training.pretraining is not None
    assert images.training.pretraining.task_for(labelled=images.data.labelled) == "classification"
    other = config({"steps": 1, "task": "reconstruction"}, **IMAGES)
    assert other.training.pretraining is not None
    assert other.training.pretraining.task_for(labelled=True) == "reconstruction"


def test_data_that_turn_out_to_have_no_labels_say_what_to_do() -> None:
    run = start({"steps": 1})
    asked = Pretraining(share=0.5, steps=1, task="classification")

    with pytest.raises(DataError, match=r"set training\.pretraining\.task to reconstruction"):
        Pretrainer(asked, run._learner, run._reserved)
