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
VQ = ["synthetic_vq_vae", "ptb_vq_vae"]

MENON_TABLES = ["menon/table1_yahoo", "menon/table1_yelp", "menon/table2_omniglot"]
MENON_FRONTIERS = ["menon/frontier_omniglot", "menon/frontier_yahoo"]
MENON = [*MENON_TABLES, *MENON_FRONTIERS, "menon/fig3", "menon/table3_cost"]
CR_VAE = [
    *("cr_vae/mnist", "cr_vae/fashion_mnist", "cr_vae/omniglot"),
    *("cr_vae/key_encoder", "cr_vae/batch", "cr_vae/bound"),
]
CONTROL_VAE = ["control_vae/set_point", "control_vae/remedies", "control_vae/ptb"]
MELIS = [f"melis/fig{number:02d}" for number in range(2, 30)]
OTHERS = ["families_mnist", "quickstart"]
CRITICS = ["critic-self", "critic-hybrid", "critic-neural"]


def scales() -> list[tuple[str, str | None]]:
    """Every shipped experiment at every scale that it or a base declares."""
    return [(name, None) for name in shipped()] + [
        (name, "smoke" if name == "quickstart" else "small") for name in shipped()
    ]


def trials(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """One resolved trial of each arm."""
    return {name: trial.resolved() for name, trial in experiment.example_trials().items()}


def test_the_experiments_of_the_papers_and_a_quickstart_are_shipped() -> None:
    known = [*SYNTHETIC, *PTB, *VQ, *MELIS, *MENON, *CR_VAE, *CONTROL_VAE, *OTHERS]
    assert sorted(shipped()) == sorted(known)


@pytest.mark.parametrize(("name", "scale"), scales())
def test_each_loads_under_its_own_name_and_reads_back(
    name: str, scale: str | None, tmp_path: Path
) -> None:
    experiment = load(name, scale=scale)
    copy = tmp_path / "experiment.yaml"
    copy.write_text(experiment.to_yaml())

    assert experiment.name == name.replace("/", "_")
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


SPLIT = {
    "16-1": {"log_evidence": 16, "kl": 1, "evidence_in_kl": "log_evidence"},
    "1-16": {"log_evidence": 1, "kl": 16, "evidence_in_kl": "log_evidence"},
}


@pytest.mark.parametrize(
    ("name", "arms"),
    [
        (
            "synthetic_vimco_{}",
            {
                "vimco-16": ("{}", "vimco", 16),
                "vimco-16-1": ("{}", "vimco", SPLIT["16-1"]),
                "vimco-1-16": ("{}", "vimco", SPLIT["1-16"]),
                "reinforce-1": ("kl", "reinforce", 1),
            },
        ),
        (
            "synthetic_dreg_{}",
            {
                "dreg-16": ("{}", "dreg", 16),
                "dreg-1-16": ("{}", "dreg", SPLIT["1-16"]),
                "dreg-16-1": ("{}", "dreg", SPLIT["16-1"]),
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


@pytest.mark.parametrize("name", VQ)
def test_codes_are_swept_as_published(name: str) -> None:
    experiment, small = load(name), load(name, scale="small")
    [trial], [arm] = trials(experiment).values(), experiment.arms.values()

    assert experiment.space == SPACES["melis_table_2_vq"]
    assert set(arm.space) == {
        *("training.learning_rate", "objective.beta", "objective.decay"),
        *("model.latents.variables", "model.latents.categories"),
    }
    assert (trial["objective"]["name"], trial["model"]["latents"]["dimension"]) == ("vq_vae", 128)
    # Categories are few enough for estimates, and at the small scale codes for exact figures.
    (J, L), (small_J, small_L) = (
        (of.space[f"model.latents.{knob}"].high for knob in ("categories", "variables"))
        for of in (experiment, small)
    )
    assert trial["evaluation"]["enumerate_up_to"] >= L * J
    assert small_J**small_L <= trials(small)[name]["evaluation"]["enumerate_up_to"]


@pytest.mark.parametrize("name", MENON_TABLES)
def test_arms_are_the_rows_of_a_table_with_five_seeds_and_nothing_swept(name: str) -> None:
    experiment = load(name)
    found = trials(experiment)

    assert list(found) == ["vae", "sa-vae", "skip-vae", "lagging-vae", *CRITICS]
    assert not any(arm.space for arm in experiment.arms.values())
    assert (experiment.search.trials, experiment.search.seeds) == (1, 5)
    assert load(name, scale="small").search.seeds >= 3
    assert {arm: trial["objective"]["name"] for arm, trial in found.items()} == {
        **dict.fromkeys(("vae", "sa-vae", "skip-vae", "lagging-vae"), "vae"),
        **{arm: arm.replace("-", "_") for arm in CRITICS},
    }
    assert {found[arm]["objective"]["lambda"] for arm in CRITICS} == {1.0}
    assert [arm for arm, trial in found.items() if trial["model"]["inference"]] == ["sa-vae"]
    assert found["sa-vae"]["model"]["inference"]["steps"] == 20
    assert [arm for arm, trial in found.items() if trial["model"]["skip"]] == ["skip-vae"]
    procedures = {arm: trial["training"]["procedure"]["name"] for arm, trial in found.items()}
    assert [arm for arm, name in procedures.items() if name == "aggressive"] == ["lagging-vae"]


@pytest.mark.parametrize("name", MENON_TABLES[:2])
def test_text_is_trained_and_evaluated_as_published(name: str) -> None:
    for trial in trials(load(name)).values():
        model, training, evaluation = (trial[part] for part in ("model", "training", "evaluation"))
        assert model["latents"] == {"kind": "gaussian", "dimensions": 32}
        assert (model["embedding"], model["hidden"], model["dropout"]) == (512, 1024, 0.5)
        assert training["optimizer"] == {"name": "sgd", "momentum": 0.0}
        assert (training["learning_rate"], training["clip_norm"]) == (1.0, 5.0)
        assert (training["batching"], training["batch_size"]) == ("exact_length", 32)
        assert (training["epochs"], training["steps"]) == (100, None)
        schedule = {"factor": 0.5, "patience": 2, "first_epoch": 15, "max_decays": 5}
        assert training["schedule"].items() >= schedule.items()
        assert (evaluation["split"], evaluation["samples"]) == ("test", 500)
        assert (evaluation["mi_batch_size"], evaluation["limit"]) == (32, None)


def test_images_are_trained_and_evaluated_as_published() -> None:
    for trial in trials(load("menon/table2_omniglot")).values():
        training, evaluation = trial["training"], trial["evaluation"]
        assert trial["model"]["name"] == "resnet_masked"
        assert trial["model"]["latents"] == {"kind": "gaussian", "dimensions": 32}
        assert training["optimizer"]["betas"] == [0.9, 0.999]
        assert (training["learning_rate"], training["clip_norm"]) == (1e-3, 5.0)
        assert (training["batch_size"], training["epochs"]) == (50, 1000)
        schedule = {"factor": 0.5, "patience": 20, "first_epoch": 0, "max_decays": 5}
        assert training["schedule"].items() >= schedule.items()
        assert (evaluation["split"], evaluation["samples"]) == ("test", 500)
        assert (evaluation["mi_batch_size"], evaluation["limit"]) == (50, None)


@pytest.mark.parametrize("name", MENON_FRONTIERS)
def test_frontiers_sweep_the_weights_of_critics_and_of_the_kl(name: str) -> None:
    experiment = load(name)

    assert {arm: list(found.space) for arm, found in experiment.arms.items()} == {
        **{arm: ["objective.lambda"] for arm in CRITICS},
        "beta-vae": ["objective.beta"],
    }
    assert experiment.frontier.maximize == "mi_q"


@pytest.mark.parametrize("scale", [None, "small"])
def test_families_differ_in_their_objective_and_its_knob_alone(scale: str | None) -> None:
    experiment = load("families_mnist", scale=scale)
    knobs = {arm: set(found.space) for arm, found in experiment.arms.items()}

    rate, lambda_ = {"training.learning_rate"}, {"objective.lambda"}
    assert knobs == {
        "vae": rate,
        "beta-vae": rate | {"objective.beta"},
        "annealed-vae": rate | {"objective.annealing.epochs"},
        "control-vae": rate | {"objective.kl_target"},
        "cr-vae": rate | {"objective.gamma"},
        **dict.fromkeys(CRITICS, rate | lambda_),
        "dreg16-kl": rate | lambda_,
        "dreg16-renyi": rate | lambda_ | {"objective.alpha"},
        "vq-vae": rate | {"model.latents.categories"},
    }
    rest = []
    for trial in trials(experiment).values():
        del trial["objective"], trial["training"]["learning_rate"], trial["model"]["latents"]
        rest.append(trial)
    assert all(other == rest[0] for other in rest)


def test_the_cost_is_that_of_the_table_and_the_figure_has_its_arms() -> None:
    table, cost, figure = (
        trials(load(f"menon/{name}")) for name in ("table1_yahoo", "table3_cost", "fig3")
    )

    assert set(figure) == set(cost) == set(table)
    for arm, trial in cost.items():
        for part in ("data", "model", "objective", "training"):
            assert trial[part] == table[arm][part]
    for trial in figure.values():
        assert trial["evaluation"]["every"] is not None


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
