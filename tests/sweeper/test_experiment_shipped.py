"""The shipped experiments: each loads at every scale and is what was published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from search_spaces import EXPERIMENTS
from search_spaces.spaces import SPACES
from sweeper.experiment import Experiment, load, shipped
from trainables.training import TrainingRun

SYNTHETIC = [
    "synthetic_dreg_kl",
    "synthetic_dreg_renyi",
    "synthetic_vimco_kl",
    "synthetic_vimco_renyi",
]
PTB = ["ptb_dreg_kl", "ptb_dreg_renyi", "ptb_vimco_kl", "ptb_vimco_renyi"]


def scales() -> list[tuple[str, str | None]]:
    """Every shipped experiment at every scale that it or a base declares."""
    return [(name, None) for name in shipped()] + [
        (name, "smoke" if name == "quickstart" else "small") for name in shipped()
    ]


def trials(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """One resolved trial of each arm."""
    return {name: trial.resolved() for name, trial in experiment.example_trials().items()}


def test_the_experiments_of_the_paper_and_a_quickstart_are_shipped() -> None:
    assert sorted(shipped()) == sorted([*SYNTHETIC, *PTB, "quickstart"])


@pytest.mark.parametrize(("name", "scale"), scales())
def test_each_loads_under_its_own_name_and_reads_back(
    name: str, scale: str | None, tmp_path: Path
) -> None:
    experiment = load(name, scale=scale)
    copy = tmp_path / "experiment.yaml"
    copy.write_text(experiment.to_yaml())

    assert experiment.name == name
    assert experiment.scale == scale
    assert experiment.description
    assert load(copy) == experiment


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_each_file_says_what_is_published_and_reads_alike_in_yaml_1_1(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith("# ")
    assert "1e-" not in text  # text, for a reader of YAML 1.1
    assert max(map(len, text.splitlines())) <= 100
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.parametrize("name", [*SYNTHETIC, *PTB])
def test_what_is_published_is_kept(name: str) -> None:
    experiment = load(name)

    assert experiment.space == SPACES["melis_table_2"]
    for trial in trials(experiment).values():
        assert trial["training"]["optimizer"] == {
            "name": "adam",
            "betas": [0.0, 0.999],
            "eps": 1e-8,
        }
        assert trial["evaluation"]["split"] == "train"
        assert trial["evaluation"]["samples"] == 100
        if "dreg" in name:
            assert trial["model"]["latents"] == {"kind": "gaussian", "dimensions": 40}
        else:
            assert trial["model"]["latents"] == {
                "kind": "categorical",
                "variables": 8,
                "categories": 10,
            }


@pytest.mark.parametrize("name", [*SYNTHETIC, *PTB])
def test_a_training_fit_sweeps_neither_dropout_nor_l2(name: str) -> None:
    objective = {"training.learning_rate", "objective.lambda"}

    for trial, arm in zip(trials(load(name)).values(), load(name).arms.values(), strict=True):
        renyi = trial["objective"]["name"] == "renyi"
        assert set(arm.space) == objective | ({"objective.alpha"} if renyi else set())


def test_a_validation_run_sweeps_both() -> None:
    experiment = load("ptb_vimco_renyi", overrides=["trial.evaluation.split=validation"])

    assert set(experiment.arms["ptb_vimco_renyi"].space) == set(SPACES["melis_table_2"])


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_models_have_the_published_sizes(name: str) -> None:
    for trial in trials(load(name)).values():
        assert trial["data"] == {"name": "symbols", "vocabulary": 10_000}
        assert trial["model"]["name"] == "symbol_mlp"
        assert (trial["model"]["embedding"], trial["model"]["hidden"]) == (128, 128)


@pytest.mark.parametrize("name", PTB)
def test_sentence_models_have_the_published_sizes(name: str) -> None:
    for trial in trials(load(name)).values():
        model = trial["model"]
        assert trial["data"] == {"name": "ptb", "max_tokens": 35}
        assert model["name"] == "sentence_lstm"
        assert {model[size] for size in ("embedding", "encoder_hidden", "decoder_hidden")} == {128}
        assert model["dropout"]["masks"] == "shared"


SPLIT = {"16-1": {"log_evidence": 16, "kl": 1}, "1-16": {"log_evidence": 1, "kl": 16}}


@pytest.mark.parametrize(
    ("name", "arms"),
    [
        (
            "synthetic_vimco_{}",
            {
                "vimco-16": ("{}", "vimco", 16),
                "vimco-16-1": ("kl", "vimco", SPLIT["16-1"]),
                "vimco-1-16": ("{}", "vimco", SPLIT["1-16"]),
                "reinforce-1": ("kl", "reinforce", 1),
            },
        ),
        (
            "synthetic_dreg_{}",
            {
                "dreg-16": ("{}", "dreg", 16),
                "dreg-1-16": ("{}", "dreg", SPLIT["1-16"]),
                "dreg-16-1": ("kl", "dreg", SPLIT["16-1"]),
                "iwae-16": ("{}", "iwae", 16),
                "dreg-1": ("kl", "dreg", 1),
                "elbo": ("kl", "elbo", 1),
            },
        ),
    ],
)
@pytest.mark.parametrize("objective", ["kl", "renyi"])
def test_synthetic_arms_are_the_curves_of_the_paper(
    name: str, arms: dict[str, tuple[str, str, Any]], objective: str
) -> None:
    found = {
        arm: tuple(trial["objective"][key] for key in ("name", "estimator", "samples"))
        for arm, trial in trials(load(name.format(objective))).items()
    }

    assert found == {
        arm: (form.format(objective), estimator, samples)
        for arm, (form, estimator, samples) in arms.items()
    }


@pytest.mark.parametrize(
    ("name", "arms"),
    [
        ("ptb_vimco_renyi", {"ptb_vimco_renyi": ("renyi", "vimco", 16)}),
        ("ptb_dreg_renyi", {"ptb_dreg_renyi": ("renyi", "dreg", 16)}),
        ("ptb_vimco_kl", {"vimco-16": ("kl", "vimco", 16), "reinforce-1": ("kl", "reinforce", 1)}),
        ("ptb_dreg_kl", {"dreg-16": ("kl", "dreg", 16), "dreg-1": ("kl", "dreg", 1)}),
        (
            "quickstart",
            {"renyi-vimco-16": ("renyi", "vimco", 16), "reinforce-1": ("kl", "reinforce", 1)},
        ),
    ],
)
def test_the_other_arms_are_as_named(name: str, arms: dict[str, tuple[str, str, int]]) -> None:
    found = {
        arm: tuple(trial["objective"][key] for key in ("name", "estimator", "samples"))
        for arm, trial in trials(load(name)).items()
    }

    assert found == arms


def test_four_trials_of_the_main_job_are_four() -> None:
    experiment = load("ptb_vimco_renyi.yaml", trials=4)

    assert len(experiment.arms) * experiment.search.trials * experiment.search.seeds == 4


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Train as a sweep does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("arm", ["renyi-vimco-16", "reinforce-1"])
def test_the_quickstart_trains_at_its_smallest_scale(arm: str, tmp_path: Path) -> None:
    experiment = load("quickstart", scale="smoke")
    run = TrainingRun(experiment.example_trials()[arm], seed=0, data_root=tmp_path)

    run.train()
    metrics = run.evaluate()

    assert experiment.search.trials == 2
    assert run.finished
    assert metrics["nll_exact"] is not None
    assert metrics["mi_exact"] is not None
