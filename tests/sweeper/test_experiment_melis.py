"""The figures of Melis, György and Blunsom (2022): each has the curves of the paper as arms."""

from functools import cache
from typing import Any

import pytest

from sweeper.experiment import Experiment, load, shipped

FIGURES = range(2, 30)
SYMBOLS = (2, 3, 4, 5, 6, 7, 15, 26, 27)
VALIDATION = (10, 11, 12, 14, 25)
MIXED = (10, 11, 12)  # continuous and discrete latents on one plot
GAUSSIAN = (2, 3, 4, 8, 16, 17, 18, 22, 24, 25, 26, 28)

ONE = {"dreg": ("kl", "dreg", 1), "vimco": ("kl", "reinforce", 1)}
NAME = {"dreg": "dreg-1", "vimco": "reinforce-1"}
SPLIT = {
    "16-1": {"log_evidence": 16, "kl": 1, "evidence_in_kl": "log_evidence"},
    "1-16": {"log_evidence": 1, "kl": 16, "evidence_in_kl": "log_evidence"},
}

Curve = tuple[str, str | None, Any]


def several(estimator: str, *samples: int, forms: tuple[str, ...] = ("kl", "renyi")) -> Any:
    return {f"{estimator}-{K}-{form}": (form, estimator, K) for K in samples for form in forms}


def one(estimator: str) -> dict[str, Curve]:
    return {NAME[estimator]: ONE[estimator]}


def split(estimator: str) -> dict[str, Curve]:
    return {
        **one(estimator),
        f"{estimator}-16-1-kl": ("kl", estimator, SPLIT["16-1"]),
        f"{estimator}-16-1-renyi": ("renyi", estimator, SPLIT["16-1"]),
        f"{estimator}-1-16-kl": ("kl", estimator, SPLIT["1-16"]),
        f"{estimator}-1-16-renyi": ("renyi", estimator, SPLIT["1-16"]),
        **several(estimator, 16),
    }


def longer(estimator: str) -> dict[str, Curve]:
    more = {f"{NAME[estimator]}-{what}-x16": ONE[estimator] for what in ("steps", "batch")}
    return {**one(estimator), **more, **several(estimator, 16)}


def varied(estimator: str, *labels: str) -> dict[str, Curve]:
    curves = {**one(estimator), **several(estimator, 16)}
    return {f"{name}-{label}": curve for name, curve in curves.items() for label in labels}


BATCHES = ("batch-64", "batch-256", "batch-1024")
ELBO = {"elbo": ("kl", "elbo", 1)}
BOTH = {**one("dreg"), **several("dreg", 16), **one("vimco"), **several("vimco", 16)}
POWER = ("kl", "renyi", "power")
CURVES: dict[int, dict[str, Curve]] = {
    2: {**ELBO, "iwae-1": ("kl", "iwae", 1), **several("iwae", 16, 64)},
    3: {**ELBO, **one("dreg"), **several("dreg", 16, 64)},
    4: split("dreg"),
    5: {**one("vimco"), **several("reinforce", 16, 64)},
    6: {**one("vimco"), **several("vimco", 16, 64)},
    7: split("vimco"),
    8: {**one("dreg"), **several("dreg", 16, 64)},
    9: {**one("vimco"), **several("vimco", 16, 64)},
    **dict.fromkeys(MIXED, BOTH),
    13: longer("vimco"),
    14: longer("vimco"),
    15: {**one("vimco"), "vq-vae": ("vq_vae", None, None), **several("vimco", 16)},
    16: varied("dreg", *BATCHES),
    17: varied("dreg", "40k", "80k"),
    18: varied("dreg", "40k", "80k"),
    19: varied("vimco", *BATCHES),
    20: varied("vimco", "40k", "80k"),
    21: varied("vimco", "40k", "80k"),
    22: split("dreg"),
    23: split("vimco"),
    24: longer("dreg"),
    25: longer("dreg"),
    26: several("dreg", 16, forms=POWER),
    27: several("vimco", 16, forms=POWER),
    28: several("dreg", 16, forms=POWER),
    29: several("vimco", 16, forms=POWER),
}


@cache
def figure(number: int, scale: str | None = None) -> Experiment:
    return load(f"melis/fig{number:02d}", scale=scale)


def trials(number: int, scale: str | None = None) -> dict[str, dict[str, Any]]:
    examples = figure(number, scale).example_trials()
    return {arm: trial.resolved() for arm, trial in examples.items()}


def test_every_figure_with_curves_is_there() -> None:
    there = [name for name in shipped() if name.startswith("melis/")]
    assert there == [f"melis/fig{number:02d}" for number in FIGURES]
    assert set(CURVES) == set(FIGURES)


@pytest.mark.parametrize("number", FIGURES)
def test_arms_are_the_curves_of_the_figure_at_both_scales(number: int) -> None:
    for scale in (None, "small"):
        found = {
            arm: tuple(trial["objective"].get(key) for key in ("name", "estimator", "samples"))
            for arm, trial in trials(number, scale).items()
        }
        assert found == CURVES[number]
    assert figure(number, "small").search.trials >= 12


@pytest.mark.parametrize("number", FIGURES)
def test_sizes_and_data_are_the_published_ones(number: int) -> None:
    width = 256 if number in (18, 21) else 128
    for arm, trial in trials(number).items():
        model, training, evaluation = (trial[part] for part in ("model", "training", "evaluation"))
        assert training["optimizer"] == {"name": "adam", "betas": [0.0, 0.999], "eps": 1e-8}
        if number in SYMBOLS:
            assert trial["data"] == {"name": "symbols", "vocabulary": 10_000}
            sizes = {model["embedding"], model["hidden"]}
        else:
            assert trial["data"] == {"name": "ptb", "max_tokens": 35}
            sizes = {model[f"{of}_hidden"] for of in ("encoder", "decoder")} | {model["embedding"]}
        assert sizes == {width}
        latents = model["latents"]
        if arm != "vq-vae":
            gaussian = number in GAUSSIAN or (number in MIXED and arm.startswith("dreg"))
            assert latents == (
                {"kind": "gaussian", "dimensions": 40}
                if gaussian
                else {"kind": "categorical", "variables": 8, "categories": 10}
            )
        assert evaluation["split"] == ("validation" if number in VALIDATION else "train")
        assert evaluation["samples"] == 100
        steps = {"80k": 80_000, "x16": 640_000 if "steps" in arm else 40_000}
        assert training["steps"] == steps.get(arm.rpartition("-")[2], 40_000)
        batches = {"64": 64, "1024": 1024, "x16": 4096 if "batch" in arm else 256}
        last = arm.rpartition("-")[2] if "batch" in arm or "x16" in arm else ""
        assert training["batch_size"] == batches.get(last, 256)


@pytest.mark.parametrize("number", FIGURES)
def test_a_score_function_of_one_sample_has_no_baseline(number: int) -> None:
    for trial in trials(number).values():
        objective = trial["objective"]
        samples = objective.get("samples")
        alone = isinstance(samples, dict) and objective["estimator"] == "vimco"
        if objective.get("estimator") == "reinforce" or alone:
            assert objective["baseline"] == "none"


@pytest.mark.parametrize("number", FIGURES)
def test_knobs_are_those_of_table_2_that_the_figure_is_about(number: int) -> None:
    rate, dropout = "training.learning_rate", ("input", "state", "output")
    held_out = {
        10: {f"model.dropout.{of}" for of in dropout},
        11: {"training.l2"},
    }
    held_out |= dict.fromkeys((12, 14, 25), held_out[10])
    of_objective = {
        "kl": {"objective.lambda"},
        "renyi": {"objective.lambda", "objective.alpha"},
        "power": {"objective.alpha"},
        "vq_vae": {
            *("objective.beta", "objective.decay"),
            *("model.latents.variables", "model.latents.categories"),
        },
    }
    for arm, found in figure(number).arms.items():
        name = CURVES[number][arm][0]
        assert set(found.space) == {rate} | of_objective[name] | held_out.get(number, set())


def test_dropout_masks_are_independent_in_one_figure_and_shared_in_the_others() -> None:
    for number in (10, 12, 14, 25):
        masks = {trial["model"]["dropout"]["masks"] for trial in trials(number).values()}
        assert masks == {"independent" if number == 10 else "shared"}


@pytest.mark.parametrize("number", [13, 14, 16, 17, 18, 19, 20, 21, 24, 25])
def test_the_small_scale_keeps_the_multiples(number: int) -> None:
    full, small = trials(number), trials(number, "small")
    (steps,) = {full[a]["training"]["steps"] / small[a]["training"]["steps"] for a in full}
    (batch,) = {
        full[a]["training"]["batch_size"] / small[a]["training"]["batch_size"] for a in full
    }
    assert (steps, batch) == (100, 16)


def test_the_last_weights_are_evaluated_or_the_best_by_one_option() -> None:
    keep = "trial.training.schedule={kind: keep_best, every: 1000, limit: 1000}"
    for number in VALIDATION:
        assert all(trial["training"]["schedule"] is None for trial in trials(number).values())
    kept = load("melis/fig12", overrides=[keep]).example_trials()["dreg-1"].resolved()
    expected = {"kind": "keep_best", "samples": 16, "every": 1000, "limit": 1000}
    assert kept["training"]["schedule"] == expected
