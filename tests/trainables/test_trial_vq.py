"""What goes with latents that are quantised, and what is refused where."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.trainables.runs import CATEGORICAL, GAUSSIAN, VQ
from trainables.models import MODELS
from trainables.objectives import OBJECTIVES
from trainables.trial import TrialConfig

KNOBS: dict[str, dict[str, Any]] = {
    "bound": {"estimator": "reinforce"},
    "kl": {"estimator": "vimco", "samples": 2, "lambda": 0.5},
    "renyi": {"estimator": "vimco", "samples": 2, "lambda": 0.5, "alpha": 2.0},
    "power": {"estimator": "reinforce", "alpha": 2.0},
    "control_vae": {"kl_target": 1.0},
}
DATA = {
    "symbols": {"name": "symbols", "vocabulary": 6},
    "sentences": {"name": "ptb"},
    "images": {"name": "mnist"},
}


def trial(
    name: str = "vq_vae", reader: str = "symbol_mlp", latents: Any = VQ, **sections: Any
) -> dict[str, Any]:
    made = {
        "data": DATA[MODELS[reader].reads],
        "model": {"name": reader, "latents": latents},
        "objective": {"name": name, **KNOBS.get(name, {})},
        "training": {"steps": 10, "batch_size": 4, "learning_rate": 0.01},
        "evaluation": {"split": "train"},
    }
    for section, settings in sections.items():
        made[section] = {**made[section], **settings}
    return made


def problems(made: dict[str, Any]) -> dict[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as refusal:
        TrialConfig.model_validate(made)
    return {error["loc"]: error["msg"] for error in refusal.value.errors()}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_may_be_quantised(name: str) -> None:
    config = TrialConfig.model_validate(trial(reader=name))

    assert config.model.latents.kind == "vq"
    again = TrialConfig.model_validate(config.resolved())
    assert again == config


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "vq_vae"])
def test_every_other_objective_refuses_codes_and_names_what_trains_them(name: str) -> None:
    model = "image_mlp" if name == "cr_vae" else "symbol_mlp"

    assert problems(trial(name, model)) == {
        ("objective", "name"): (
            f"objective {name} has no gradient for an encoder that picks codes; vq latents are "
            "trained by objective vq_vae, so use that, or other latents"
        )
    }


@pytest.mark.parametrize("latents", [CATEGORICAL, GAUSSIAN], ids=lambda latents: latents["kind"])
def test_the_vq_vae_refuses_latents_without_codes(latents: dict[str, Any]) -> None:
    assert problems(trial(latents=latents)) == {
        ("objective", "name"): (
            f"objective vq_vae trains codes, which {latents['kind']} latents do not have; set the "
            "model's latents to kind vq, or use another objective"
        )
    }


def test_a_vq_vae_has_no_estimator_and_no_weight_of_a_constant_kl() -> None:
    made = trial(objective={"estimator": "vimco", "samples": 16, "annealing": {"kind": "linear"}})

    assert problems(made) == {
        ("objective", "vq_vae", field): "Extra inputs are not permitted"
        for field in ("estimator", "samples", "annealing")
    }


@pytest.mark.parametrize(
    ("sections", "where", "why"),
    [
        (
            {"training": {"adversarial": {"kind": "fgsm", "epsilon": 0.1}}},
            ("training", "adversarial"),
            "finds noise by differentiating the ELBO through z, which vq latents do not allow; "
            "remove it, or use gaussian latents",
        ),
        (
            {"training": {"procedure": {"name": "aggressive"}}},
            ("training", "procedure"),
            "updates the encoder while p(x|z) stands still, but codes are part of both and move "
            "with every pass of objective 'vq_vae'; use procedure plain",
        ),
        (
            {"training": {"pretraining": {"share": 0.5, "steps": 2, "task": "reconstruction"}}},
            ("training", "pretraining"),
            "vq latents have no gradient but that of objective vq_vae; remove it, or use gaussian "
            "latents",
        ),
        (
            {"model": {"inference": {"steps": 2}}},
            ("model", "symbol_mlp", "inference"),
            "Value error, refining q(z|x) differentiates through z, which vq latents do not "
            "allow; remove it, or use gaussian latents",
        ),
        (
            {"objective": {"decay": 1.0}},
            ("objective", "vq_vae", "decay"),
            "Input should be less than 1",
        ),
        (
            {"objective": {"beta": -0.1}},
            ("objective", "vq_vae", "beta"),
            "Input should be greater than or equal to 0",
        ),
        (
            {"model": {"latents": {**VQ, "categories": 1}}},
            ("model", "symbol_mlp", "latents", "vq", "categories"),
            "Input should be greater than or equal to 2",
        ),
    ],
)
def test_what_makes_no_sense_with_codes_is_refused_at_its_field(
    sections: dict[str, Any], where: tuple[str, ...], why: str
) -> None:
    assert problems(trial(**sections)) == {where: why}


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"skip": True}},
        {"training": {"schedule": {"kind": "plateau"}, "clip_norm": 1.0, "l2": 1e-3}},
        {"objective": {"codebook": "gradient"}},
    ],
)
def test_what_makes_sense_with_codes_goes_with_them(sections: dict[str, Any]) -> None:
    config = TrialConfig.model_validate(trial(reader="image_mlp", **sections))

    assert config.model.latents.kind == "vq"
