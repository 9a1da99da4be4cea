"""MICMCO objectives as configurations: what they refuse, and what their fields come to."""

import math
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from trainables import objectives
from trainables.estimators import ESTIMATORS
from trainables.objectives.micmco import Renyi

SPLIT_SAMPLES = {"log_evidence": 4, "kl": 1}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"estimator": "vimco", "samples": 1}, "use estimator: reinforce"),
        ({"estimator": "vimco", "samples": {"log_evidence": 1, "kl": 1}}, "estimator: reinforce"),
        ({"estimator": "vimco"}, "needs samples >= 2"),
        ({"estimator": "stl", "samples": 2}, "use estimator: dreg"),
        ({"estimator": "stl", "samples": SPLIT_SAMPLES}, "use estimator: dreg"),
        ({"estimator": "dreg", "baseline": "moving_average"}, "dreg takes no baseline"),
        ({"estimator": "vimco", "samples": 2, "baseline": "none"}, "vimco takes no baseline"),
        (
            {"estimator": "dreg", "samples": SPLIT_SAMPLES, "baseline": "none"},
            "dreg takes no baseline",
        ),
        ({"estimator": "iwae", "samples": 0}, "greater than 0"),
        ({"estimator": "iwae", "samples": "16"}, "valid integer"),
        ({"estimator": "iwae", "samples": True}, "valid integer"),
        ({"estimator": "iwae", "samples": 2.0}, "valid integer"),
        ({"estimator": "iwae", "samples": {"log_evidence": 2}}, "Field required"),
        ({"estimator": "iwea"}, "'dreg', 'reinforce' or 'vimco'"),
        ({"estimator": "iwae", "lambda": 1.01}, "less than or equal to 1"),
        ({"estimator": "iwae", "lambda": "0.5"}, "valid number"),
        ({"estimator": "iwae", "lambda": math.nan}, "finite number"),
        ({"estimator": "iwae", "alpha": 2.0}, "Extra inputs are not permitted"),
        ({"name": "kel", "estimator": "iwae"}, "'bound', 'kl', 'renyi', 'power'"),
        ({"name": "renyi", "estimator": "iwae", "alpha": 1.0}, "objective: kl"),
        ({"name": "renyi", "estimator": "iwae", "alpha": 1}, "objective: kl"),
        ({"name": "renyi", "estimator": "iwae", "alpha": 0.0}, "greater than 0"),
        ({"name": "renyi", "estimator": "iwae", "alpha": math.inf}, "finite number"),
        ({"name": "renyi", "estimator": "iwae"}, "alpha\n  Field required"),
        ({"name": "bound", "estimator": "iwae", "samples": SPLIT_SAMPLES}, "give one number"),
        ({"name": "power", "estimator": "iwae", "samples": SPLIT_SAMPLES}, "give one number"),
    ],
)
def test_what_is_not_defined_is_refused_with_what_to_do(
    config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        objectives.create({"name": "kl", "lambda": 0.5, **config})
    assert message in str(refusal.value)


def test_all_that_is_wrong_with_an_objective_is_said_at_once() -> None:
    config = {"name": "renyi", "estimator": "vimco", "samples": 1, "lambda": 2.0, "alpha": 1.0}

    with pytest.raises(ValidationError) as refusal:
        objectives.create({**config, "baseline": "none", "gamma": 3})

    fields = {error["loc"][-1] for error in refusal.value.errors()}
    assert fields == {"samples", "baseline", "lambda", "alpha", "gamma"}


@pytest.mark.parametrize("samples", [SPLIT_SAMPLES, {"log_evidence": 1, "kl": 4}])
def test_a_vimco_term_of_one_sample_has_the_baseline_of_reinforce(samples: dict[str, int]) -> None:
    config = {"name": "kl", "lambda": 0.5, "estimator": "vimco", "samples": samples}

    assert objectives.create(config).uses_baseline
    assert not objectives.create({**config, "baseline": "none"}).uses_baseline


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimators_that_need_gradients_in_z_refuse_categories(estimator: str) -> None:
    samples = 2 if estimator == "vimco" else 1
    config = objectives.create(
        {"name": "kl", "lambda": 0.5, "estimator": estimator, "samples": samples}
    ).config

    refusal = config.refuses("categorical")

    assert config.refuses("gaussian") is None
    if estimator in ("reinforce", "vimco"):
        assert refusal is None
    else:
        assert refusal is not None
        assert f"estimator {estimator}" in refusal
        assert "use reinforce or vimco" in refusal


def test_a_whole_number_stands_for_a_float_and_its_alias_is_kept() -> None:
    config = Renyi.model_validate(
        {"name": "renyi", "lambda": 1, "alpha": 2, "estimator": "dreg", "samples": 2}
    )

    assert config.lambda_ == 1.0
    assert config.model_dump(by_alias=True)["lambda"] == 1.0


def test_objectives_are_registered_under_their_names() -> None:
    for name, config in objectives.OBJECTIVES.items():
        assert get_args(config.model_fields["name"].annotation) == (name,)
