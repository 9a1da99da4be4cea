"""A trial's configuration: what it refuses, where it says so, and its identity."""

import copy
import hashlib
import json
from typing import Any

import pytest
from pydantic import ValidationError

from trainables.estimators import ESTIMATORS
from trainables.trial import TrialConfig, config_hash, trial_id

TRIAL: dict[str, Any] = {
    "data": {"name": "symbols", "vocabulary": 6},
    "model": {
        "name": "symbol_mlp",
        "latents": {"kind": "categorical", "variables": 2, "categories": 3},
    },
    "objective": {
        "name": "renyi",
        "lambda": 0.5,
        "alpha": 2.0,
        "estimator": "vimco",
        "samples": 4,
    },
    "training": {"steps": 10, "batch_size": 2, "learning_rate": 0.01},
    "evaluation": {"split": "train"},
}


def changed(**changes: Any) -> dict[str, Any]:
    """Set dotted paths, written with `__`, in a copy of the trial."""
    trial = copy.deepcopy(TRIAL)
    for path, value in changes.items():
        *sections, key = path.split("__")
        place = trial
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return trial


def problems(trial: dict[str, Any]) -> dict[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as refusal:
        TrialConfig.model_validate(trial)
    return {error["loc"]: error["msg"] for error in refusal.value.errors()}


@pytest.mark.parametrize("estimator", ["elbo", "iwae", "stl", "dreg"])
def test_categorical_latents_refuse_reparameterised_estimators_at_their_field(
    estimator: str,
) -> None:
    trial = changed(objective__estimator=estimator, objective__samples=1)

    assert problems(trial) == {
        ("objective", "estimator"): (
            f"estimator {estimator} differentiates through z, which categorical latents do not "
            "allow; use reinforce or vimco"
        )
    }


@pytest.mark.parametrize("name", ["vae", "critic_self", "critic_neural", "critic_hybrid"])
def test_categorical_latents_refuse_objectives_without_an_estimator_by_name(name: str) -> None:
    [(where, why)] = problems(changed(objective={"name": name})).items()

    assert where == ("objective", "name")
    assert why.startswith(f"objective {name} differentiates through z")
    gaussian = changed(objective={"name": name}, model__latents={"kind": "gaussian"})
    assert TrialConfig.model_validate(gaussian).objective.name == name


@pytest.mark.parametrize("name", ["critic_self", "critic_neural", "critic_hybrid"])
def test_a_critic_refuses_batches_of_one(name: str) -> None:
    trial = changed(
        objective={"name": name}, model__latents={"kind": "gaussian"}, training__batch_size=1
    )

    assert problems(trial) == {
        ("training", "batch_size"): (
            f"objective '{name}' tells the observations of a batch of B from one another, which "
            "shows at most ln B nats of information; it needs batch_size >= 2, got 1"
        )
    }
    other = {**trial, "objective": {"name": "vae"}}
    assert TrialConfig.model_validate(other).training.batch_size == 1


@pytest.mark.parametrize("name", ["resnet_masked", "resnet_gated"])
def test_a_model_that_normalises_batches_refuses_those_of_one(name: str) -> None:
    trial = changed(
        model={"name": name, "latents": {"kind": "gaussian"}},
        data={"name": "mnist"},
        objective={"name": "vae"},
        training__batch_size=1,
    )

    assert problems(trial) == {
        ("training", "batch_size"): (
            f"model '{name}' normalises batches; it needs batch_size >= 2, got 1"
        )
    }
    trial["training"]["batch_size"] = 2
    assert TrialConfig.model_validate(trial).training.batch_size == 2


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gaussian_latents_take_every_estimator(estimator: str) -> None:
    samples = 1 if estimator == "stl" else 2
    trial = changed(
        model__latents={"kind": "gaussian"},
        objective__estimator=estimator,
        objective__samples=samples,
    )

    assert TrialConfig.model_validate(trial).model.latents.kind == "gaussian"


@pytest.mark.parametrize(
    ("data", "model", "kinds"),
    [
        ({"name": "ptb"}, "symbol_mlp", ("symbols", "sentences")),
        ({"name": "symbols"}, "sentence_lstm", ("sentences", "symbols")),
    ],
)
def test_a_model_refuses_data_that_it_cannot_read(
    data: dict[str, str], model: str, kinds: tuple[str, str]
) -> None:
    assert problems(changed(data=data, model__name=model)) == {
        ("data", "name"): (
            f"data '{data['name']}' is {kinds[1]}, but model '{model}' reads {kinds[0]}"
        )
    }


@pytest.mark.parametrize("name", ["resnet_masked", "resnet_gated"])
def test_a_model_refuses_images_that_are_too_small_for_it(name: str) -> None:
    trial = changed(
        model={"name": name, "latents": {"kind": "gaussian"}},
        data={"name": "mnist", "side": 4},
        objective={"name": "vae"},
    )

    assert problems(trial) == {
        ("data", "side"): (
            "images of 4 x 4 are too small for 3 residual blocks, each of which halves them; they "
            "allow 2"
        )
    }
    trial["data"]["side"] = 5
    assert TrialConfig.model_validate(trial).data.shape == (5, 5)
    trial["model"]["encoder"] = {"blocks": 6}
    trial["data"] = {"name": "omniglot28"}
    assert list(problems(trial)) == [("data", "side")]


def test_the_side_of_images_is_part_of_a_trials_identity_only_where_it_is_set() -> None:
    """What was stored before images had a side is found again."""
    trial = changed(
        model={"name": "resnet_gated", "latents": {"kind": "gaussian"}},
        data={"name": "mnist"},
        objective={"name": "vae"},
    )
    whole = TrialConfig.model_validate(trial)
    trial["data"]["side"] = 14
    small = TrialConfig.model_validate(trial)

    assert whole.resolved()["data"] == {"name": "mnist", "train_limit": None}
    assert config_hash(whole, "-") != config_hash(small, "-")
    assert TrialConfig.model_validate(small.resolved()) == small


def test_only_sentences_have_lengths_to_make_batches_of() -> None:
    trial = changed(training__batching="exact_length")

    assert problems(trial) == {
        ("training", "batching"): (
            "exact_length is for sentences, but data 'symbols' is symbols; use shuffled"
        )
    }
    trial |= {"data": {"name": "ptb"}, "model": {**TRIAL["model"], "name": "sentence_lstm"}}
    assert TrialConfig.model_validate(trial).training.batching == "exact_length"


def test_sections_that_do_not_fit_are_reported_together() -> None:
    trial = changed(data={"name": "ptb"}, objective__estimator="iwae")

    assert set(problems(trial)) == {("data", "name"), ("objective", "estimator")}


def test_fields_of_several_sections_are_reported_together() -> None:
    trial = changed(
        data__vocabulary="6",
        model__latents__categories=1,
        objective__alpha=1.0,
        training__steps=0,
        training__warmup=3,
        evaluation__samples=1,
    )

    assert set(problems(trial)) == {
        ("data", "symbols", "vocabulary"),
        ("model", "symbol_mlp", "latents", "categorical", "categories"),
        ("objective", "renyi", "alpha"),
        ("training", "steps"),
        ("training", "warmup"),
        ("evaluation", "samples"),
    }


def test_sections_that_do_not_fit_are_reported_beside_fields_that_are_wrong() -> None:
    trial = changed(objective__estimator="iwae", training__steps=0, data__vocabulary=0)

    assert set(problems(trial)) == {
        ("data", "symbols", "vocabulary"),
        ("objective", "estimator"),
        ("training", "steps"),
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data__vocabulary", 6.0),
        ("data__vocabulary", True),
        ("model__hidden", "128"),
        ("model__embedding", 0),
        ("model__join", "add"),
        ("training__learning_rate", "1e-3"),
        ("training__learning_rate", float("inf")),
        ("objective__samples", 4.0),
        ("objective__estimator", "VIMCO"),
        ("evaluation__every", 2.5),
        ("objective", None),
        ("seed", 3),
    ],
)
def test_types_are_strict_and_keys_are_known(path: str, value: object) -> None:
    (where,) = {loc[0] for loc in problems(changed(**{path: value}))}

    assert where == path.split("__")[0]


@pytest.mark.parametrize("section", ["data", "model", "objective", "training"])
def test_every_section_but_evaluation_has_to_be_there(section: str) -> None:
    trial = changed()
    del trial[section]

    assert problems(trial) == {(section,): "Field required"}


# Identity -------------------------------------------------------------------------------------


def identity(trial: dict[str, Any], data: str = "abc") -> str:
    return config_hash(TrialConfig.model_validate(trial), data)


def test_the_resolved_trial_has_every_default_and_reads_back_the_same() -> None:
    trial = TrialConfig.model_validate(TRIAL)

    resolved = json.loads(json.dumps(trial.resolved()))

    assert resolved["evaluation"]["samples"] == 100
    assert resolved["training"]["optimizer"] == {
        "name": "adam",
        "betas": [0.0, 0.999],
        "eps": 1e-8,
    }
    assert resolved["objective"]["lambda"] == 0.5
    assert resolved["model"]["hidden"] == 128
    assert resolved["data"] == {"name": "symbols", "vocabulary": 6}
    assert TrialConfig.model_validate(resolved) == trial
    assert config_hash(TrialConfig.model_validate(resolved), "abc") == identity(TRIAL)


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(changed().items())),
        changed(evaluation__samples=100),
        changed(training__l2=0),
        changed(objective__alpha=2),
        changed(training__optimizer={"name": "adam"}),
        changed(objective__baseline=None),
    ],
)
def test_what_is_the_same_trial_has_the_same_identity(same: dict[str, Any]) -> None:
    assert identity(same) == identity(TRIAL)


@pytest.mark.parametrize(
    "other",
    [
        changed(data__vocabulary=7),
        changed(model__hidden=64),
        changed(model__latents__categories=4),
        changed(objective__alpha=2.0000001),
        changed(objective__samples={"log_evidence": 4, "kl": 4}),
        changed(training__steps=11),
        changed(training__optimizer={"name": "sgd"}),
        changed(evaluation__samples=101),
    ],
)
def test_every_section_is_part_of_the_identity(other: dict[str, Any]) -> None:
    assert identity(other) != identity(TRIAL)


def test_so_is_the_content_of_the_data() -> None:
    assert identity(TRIAL, "abc") != identity(TRIAL, "abd")


def test_the_identity_is_the_checksum_of_the_resolved_trial_and_the_data() -> None:
    """A default that is added or changed makes other trials of all: results are not mixed."""
    resolved = {
        "data": {"name": "symbols", "vocabulary": 6},
        "model": {
            "name": "symbol_mlp",
            "latents": {"kind": "categorical", "variables": 2, "categories": 3},
            "inference": None,
            "embedding": 128,
            "hidden": 128,
            "join": "concatenate",
        },
        "objective": {
            "name": "renyi",
            "estimator": "vimco",
            "samples": 4,
            "baseline": None,
            "lambda": 0.5,
            "alpha": 2.0,
        },
        "training": {
            "steps": 10,
            "epochs": None,
            "batch_size": 2,
            "learning_rate": 0.01,
            "optimizer": {"name": "adam", "betas": [0.0, 0.999], "eps": 1e-8},
            "l2": 0.0,
            "clip_norm": None,
            "batching": "shuffled",
            "schedule": None,
            "procedure": {"name": "plain"},
        },
        "evaluation": {
            "split": "train",
            "samples": 100,
            "every": None,
            "limit": None,
            "seed": 0,
            "mi_batch_size": 32,
            "enumerate_up_to": 65_536,
        },
    }

    text = json.dumps([resolved, "abc"], sort_keys=True)

    assert TrialConfig.model_validate(TRIAL).resolved() == resolved
    assert identity(TRIAL, "abc") == hashlib.sha256(text.encode()).hexdigest()


def test_a_trial_is_named_after_its_identity_and_safe_as_a_file_name() -> None:
    name = trial_id(identity(TRIAL), 3)

    assert name == f"{identity(TRIAL)[:16]}-3"
    assert name.replace("-", "").isalnum()
    assert trial_id(identity(TRIAL), 4) != name


def test_meters_that_nobody_asks_for_are_no_part_of_the_identity() -> None:
    """Trials that were stored before there were meters keep their names."""
    before = "71df334a8893bf85e0e8eb431757d4ed36ed10ce64a81a6762ecefb0008c9917"
    asked = changed(evaluation__meters={"collapse": {}})

    assert identity(TRIAL) == identity(changed(evaluation__meters=None)) == before
    assert identity(asked) != before
    assert TrialConfig.model_validate(asked).resolved()["evaluation"]["meters"] == {
        "at": "final",
        "collapse": {"epsilon": 0.01, "delta": 0.01},
    }
