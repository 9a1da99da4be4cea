"""Experiments: reading, writing, comparing, and building trials from sampled values."""

import tempfile
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, difference, load
from sweeper.located import Place
from sweeper.source import dump

VALID = """\
name: x
description: A small one
trial:
  data: {name: symbols, vocabulary: 16}
  model: {name: symbol_mlp, latents: {kind: categorical, variables: 2, categories: 4}}
  objective: {name: renyi, estimator: vimco, samples: 4}
  training: {steps: 10, batch_size: 4}
  evaluation: {split: train}
arms:
  many: {}
  one: {objective: {name: kl, estimator: reinforce, samples: 1}}
search:
  space:
    use: melis_table_2
    training.l2: null
    objective.alpha: {low: 1.05}
  trials: 3
scales:
  small: {trial: {training: {steps: 2}}, search: {trials: 1}}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(VALID)


def test_a_file_becomes_a_typed_value() -> None:
    experiment = load("x.yaml")

    assert experiment.name == "x"
    assert experiment.description == "A small one"
    assert list(experiment.arms) == ["many", "one"]
    assert experiment.search.trials == 3
    assert experiment.search.sampler.name == "auto"
    assert (experiment.frontier.minimize, experiment.frontier.maximize) == ("nll", "mi")
    assert (experiment.resources.cpu, experiment.resources.gpu) == (1.0, 0.0)
    assert experiment.scale is None


def test_a_named_space_can_be_overridden_and_a_parameter_of_it_dropped() -> None:
    experiment = load("x.yaml")

    assert "training.l2" not in experiment.space
    assert experiment.space["objective.alpha"].ends == (1.05, 16.0)
    assert experiment.space["training.learning_rate"].ends == (1e-4, 1e-2)


def test_each_arm_sweeps_what_is_active_in_it() -> None:
    arms = load("x.yaml").arms

    assert set(arms["many"].space) == {
        "training.learning_rate",
        "objective.lambda",
        "objective.alpha",
    }
    assert set(arms["one"].space) == {"training.learning_rate", "objective.lambda"}


def test_a_scale_is_applied_and_remembered() -> None:
    small = load("x.yaml", scale="small")

    assert small.scale == "small"
    assert small.example_trials()["one"].training.steps == 2
    assert small.search.trials == 1


def test_options_come_last() -> None:
    experiment = load(
        "x.yaml",
        scale="small",
        overrides=["trial.training.steps=5", "search.trials=7", "name=y"],
        name="z",
        trials=9,
    )

    assert experiment.name == "z"
    assert experiment.search.trials == 9
    assert experiment.example_trials()["one"].training.steps == 5


def test_sampled_values_become_a_trial() -> None:
    experiment = load("x.yaml")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    for arm in experiment.arms:
        values = experiment.arms[arm].space.suggest(study.ask())
        trial = experiment.trial_config(arm, values).resolved()
        for path, value in values.items():
            section, knob = path.split(".")
            assert trial[section][knob] == value


@pytest.mark.parametrize(
    ("arm", "values", "expected"),
    [
        ("on", {}, "unknown arm 'on'; did you mean 'one'?"),
        (
            "one",
            {"training.learning_rate": 1e-3},
            "arm 'one' has no such trial: objective.lambda has no value",
        ),
        (
            "one",
            {"training.learning_rate": 1e-3, "objective.lambda": 0.5, "objective.alpha": 2.0},
            "arm 'one' has no such trial: objective.alpha is not swept here",
        ),
        (
            "one",
            {"training.learning_rate": 1, "objective.lambda": "x"},
            "arm 'one' has no such trial: objective.lambda is the text 'x', but is swept as float "
            "from -0.05 to 0.9999 when objective.name is kl, renyi; training.learning_rate is 1, "
            "but is swept as float from 0.0001 to 0.01, log",
        ),
    ],
)
def test_values_that_are_not_swept_so_are_refused(
    arm: str, values: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SweeperError) as error:
        load("x.yaml").trial_config(arm, values)

    assert str(error.value) == expected


def test_a_value_within_its_range_may_still_be_refused_by_the_trial() -> None:
    experiment = load("x.yaml", overrides=["search.space.objective.alpha.low=0.5"])
    values = {"training.learning_rate": 1e-3, "objective.lambda": 0.5, "objective.alpha": 1.0}

    with pytest.raises(SweeperError) as error:
        experiment.trial_config("many", values)

    assert str(error.value) == (
        "arm 'many' has no such trial: objective.alpha: the Rényi divergence is not defined at "
        "alpha = 1; its limit is objective: kl"
    )


def test_the_resolved_text_is_the_same_each_time_and_reads_back() -> None:
    experiment = load("x.yaml", scale="small", overrides=["search.seeds=2"])

    Path("resolved.yaml").write_text(experiment.to_yaml())
    again = load("resolved.yaml")

    assert (
        experiment.to_yaml()
        == load("x.yaml", scale="small", overrides=["search.seeds=2"]).to_yaml()
    )
    assert again == experiment
    assert again.scale == "small"
    assert again.to_yaml() == experiment.to_yaml()
    assert yaml.safe_load(experiment.to_yaml()) == experiment.document


def test_the_resolved_text_stands_alone() -> None:
    document = load("x.yaml", scale="small").document

    assert {"extends", "scales"} & document.keys() == set()
    assert "use" not in document["search"]["space"]


names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,10}", fullmatch=True)
rates = st.tuples(st.floats(1e-8, 1), st.floats(1e-8, 1)).filter(lambda r: r[0] < r[1])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Valid experiments of many shapes."""
    low, high = draw(rates)
    learning_rate = {"kind": "float", "low": low, "high": high, "log": draw(st.booleans())}
    arms = draw(st.dictionaries(names, st.integers(2, 10**6), min_size=1, max_size=4))
    unique = {
        name: {"objective": {"samples": n}} for n, name in {n: a for a, n in arms.items()}.items()
    }
    return {
        "name": draw(names),
        "description": draw(st.text(max_size=30)),
        "trial": {
            "data": {"name": "symbols", "vocabulary": draw(st.integers(2, 10**7))},
            "model": {
                "name": "symbol_mlp",
                "latents": {"kind": draw(st.sampled_from(["categorical", "gaussian"]))},
            },
            "objective": {
                "name": "kl",
                "estimator": draw(st.sampled_from(["vimco", "reinforce"])),
                "lambda": draw(st.floats(-1e9, 1)),
            },
            "training": {
                "steps": draw(st.integers(1, 10**9)),
                "batch_size": 1,
                "clip_norm": draw(st.none() | st.floats(1e-300, 1e300)),
            },
            "evaluation": {"split": "train"},
        },
        "arms": unique,
        "search": {
            "space": {
                "training.learning_rate": learning_rate,
                "training.l2": {
                    "kind": "categorical",
                    "choices": draw(
                        st.lists(st.floats(0, 1e9), min_size=2, max_size=4, unique=True)
                    ),
                    "when": {"objective.estimator": ["vimco", "dreg"]},
                },
            },
            "trials": draw(st.integers(1, 10**6)),
        },
        "resources": {
            "cpu": draw(st.floats(0.01, 64)),
            "gpu": draw(st.floats(0, 1) | st.integers(0, 8)),
            "memory": draw(st.integers(0, 2**40) | st.sampled_from(["4GiB", "1.5 MB"])),
            "custom": draw(st.dictionaries(st.just("fast_disk"), st.floats(0.01, 1))),
        },
    }


@settings(max_examples=50)
@given(documents())
def test_what_is_written_loads_as_an_equal_experiment(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.yaml", Path(folder) / "second.yaml"
        first.write_text(dump(document), encoding="utf-8")
        experiment = load(first)
        second.write_text(experiment.to_yaml(), encoding="utf-8")
        again = load(second)

    assert again == experiment
    assert again.to_yaml() == experiment.to_yaml()
    assert difference(experiment, again) == []


def change(*overrides: str, scale: str | None = None) -> list[str]:
    return difference(load("x.yaml"), load("x.yaml", scale=scale, overrides=overrides))


def test_there_is_no_difference_where_two_experiments_run_alike() -> None:
    Path("y.yaml").write_text(VALID.replace("A small one", "Else").replace("{}", "{model: {}}"))

    assert difference(load("x.yaml"), load("y.yaml")) == []
    assert load("x.yaml") == load("y.yaml")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trial.training.steps=11", ["trial.training.steps: 10 -> 11"]),
        ("trial.training.l2=0.1", ["trial.training.l2: 0.0 -> 0.1"]),
        ("trial.training.clip_norm=1.0", ["trial.training.clip_norm: not set -> 1.0"]),
        ("arms.one.training.steps=11", ["arms.one.training.steps: 10 -> 11"]),
        ("arms.one=null", ["arms.one: an arm -> not set"]),
        ("search.trials=4", ["search.trials: 3 -> 4"]),
        ("search.sampler={name: tpe}", ["search.sampler.name: auto -> tpe"]),
        (
            "search.space.objective.lambda.low=0",
            ["search.space.objective.lambda.low: -0.05 -> 0.0"],
        ),
        ("resources.gpu=0.5", ["resources.gpu: 0.0 -> 0.5"]),
        ("name=z", ["name: x -> z"]),
    ],
)
def test_a_difference_is_told_by_path(override: str, expected: list[str]) -> None:
    assert change(override) == expected
    assert load("x.yaml") != load("x.yaml", overrides=[override])


def test_a_scale_is_a_difference_though_it_changed_nothing() -> None:
    Path("x.yaml").write_text(
        VALID.replace("{trial: {training: {steps: 2}}, search: {trials: 1}}", "{}")
    )

    assert change(scale="small") == ["scale: not set -> small"]


def test_each_resolved_value_tells_where_it_was_written() -> None:
    Path("y.yaml").write_text("extends: x.yaml\nname: y\nsearch: {trials: 5}\n")

    provenance = load("y.yaml", scale="small", overrides=["trial.data.vocabulary=8"]).provenance

    assert provenance["name"] == Place("y.yaml", 2)
    assert provenance["trial.model.name"] == Place("x.yaml", 5)
    assert provenance["trial.training.steps"] == Place("x.yaml", 19)
    assert provenance["search.trials"] == Place("x.yaml", 19)
    assert provenance["arms.one.objective.name"] == Place("x.yaml", 11)
    assert provenance["search.space.objective.alpha.low"] == Place("x.yaml", 16)
    assert provenance["search.space.objective.alpha.high"] == Place("x.yaml", 14)
    assert provenance["trial.data.vocabulary"] == Place("--set trial.data.vocabulary=8")
    assert provenance["scale"] == Place("--scale small")
    assert "search.seeds" not in provenance


def test_the_explanation_is_the_resolved_file_with_a_place_for_each_value() -> None:
    experiment = load("x.yaml", scale="small")

    explained = experiment.explained()

    assert yaml.safe_load(explained) == experiment.document
    assert "    steps: 2  # x.yaml:19\n" in explained
    assert "  seeds: 1  # default\n" in explained
    assert "  many: {}  # x.yaml:10\n" in explained


def test_equality_is_about_the_arms_too() -> None:
    def loaded(*overrides: str) -> Experiment:
        return load("x.yaml", overrides=overrides)

    assert loaded() == loaded("arms.one.objective.baseline=null")
    assert loaded() != loaded("arms.one.objective.baseline=none")
