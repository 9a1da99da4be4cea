"""Everything that is wrong with a file is told at once, with its place."""

from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import load

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


SEARCH = VALID[VALID.index("search:") :]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(VALID)


def problems(text: str, **options: Any) -> list[str]:
    Path("x.yaml").write_text(text)
    with pytest.raises(SweeperError) as error:
        load("x.yaml", **options)
    first, *lines = str(error.value).splitlines()
    assert first == "x.yaml is not a valid experiment:"
    return [line.removeprefix("  ") for line in lines]


@pytest.mark.parametrize(
    ("scheduler", "overrides", "message"),
    [
        ("{first: 5}", [], "needs evaluations on its rungs; set trial.evaluation.every, to 5"),
        (
            "{first: 5}",
            ["trial.evaluation.every=2"],
            "the first rung, step 5, is not evaluated; make it a multiple of evaluation.every, "
            "which is 2",
        ),
        (
            "{first: 10}",
            ["trial.evaluation.every=5"],
            "the first rung, step 10, is not before the end of a trial of 10 steps; choose an "
            "earlier one",
        ),
        (
            "{first: 5}",
            ["arms.many.evaluation.every=5"],
            "needs evaluations on its rungs; set trial.evaluation.every, to 5",
        ),
    ],
)
def test_a_scheduler_needs_evaluations_on_its_rungs(
    scheduler: str, overrides: list[str], message: str
) -> None:
    text = VALID.replace("  trials: 3\n", f"  trials: 3\n  scheduler: {scheduler}\n")

    assert problems(text, overrides=overrides) == [f"x.yaml:18: search.scheduler: {message}"]


@pytest.mark.parametrize(("most", "told"), [(2, True), (8, False)])
def test_codes_that_are_too_many_for_an_information_are_told(most: int, told: bool) -> None:
    """Eight categories in all at the largest corner."""
    text = f"""\
name: x
trial:
  data: {{name: symbols, vocabulary: 16}}
  model: {{name: symbol_mlp, latents: {{kind: vq, variables: 2}}}}
  objective: {{name: vq_vae}}
  training: {{steps: 10, batch_size: 4, learning_rate: 0.01}}
  evaluation: {{split: train, enumerate_up_to: {most}}}
search:
  space: {{model.latents.categories: {{kind: int, low: 2, high: 4}}}}
  trials: 3
"""
    if told:
        assert problems(text) == [
            "x.yaml:1: frontier.maximize: arm 'x' has trials without an MI of the model, for they "
            "enumerate 2 values and their latents have more categories; raise "
            "evaluation.enumerate_up_to, or maximize mi_q"
        ]
        assert "x.yaml:11: frontier.maximize" in problems(text + "frontier: {maximize: mi}\n")[0]
    Path("x.yaml").write_text(text + ("frontier: {maximize: mi_q}\n" if told else ""))
    assert load("x.yaml").frontier.maximize == ("mi_q" if told else "mi")


def test_a_scheduler_is_checked_field_by_field() -> None:
    rule = "{name: halving, first: 0, reduction: 1, mi_window: 0, rungs: 3}"
    text = VALID.replace("  trials: 3\n", f"  trials: 3\n  scheduler: {rule}\n")

    fields = [line.split(": ")[1] for line in problems(text)]
    assert fields == [
        f"search.scheduler.{name}" for name in ("first", "mi_window", "name", "reduction", "rungs")
    ]


def test_all_problems_are_told_at_once_by_file_and_line() -> None:
    Path("base.yaml").write_text(
        "trial:\n  data: {name: symbls}\n  data: {}\nfrontier: {maximize: m}\n"
    )
    text = """\
extends: base.yaml
name: ../x
colour: red
trial:
  model: {name: symbol_mlp, latents: {kind: categorical}, hiden: 3}
  objective: {name: kl, estimator: vimco, samples: 1}
  training: {steps: many, batch_size: 4, learning_rate: 0.1}
search:
  space:
    objective.lambda: {kind: float, low: 0, high: 1}
    training.clip_norm: {kind: float, low: 2, high: 1}
    training.learning_rate: {kind: float, low: 0.1, high: 0.2}
    training.l2: {kind: float, low: 0, high: 1, log: true}
    trainin.steps: {kind: int, low: 1, high: 2}
  trials: 0
resources: {cpu: all}
"""
    assert problems(text, overrides=["search.seeds=x"]) == [
        "base.yaml:2: trial.data.name: unknown name 'symbls'; did you mean 'symbols'?",
        "base.yaml:3: trial.data: duplicate key, first on line 2; keep one",
        "base.yaml:4: frontier.maximize: unknown value 'm'; did you mean 'mi'?",
        "x.yaml:2: name: a name has 1 to 64 letters, digits, '-', '_' and '.', and starts with a "
        "letter, digit or '_'; got '../x'",
        "x.yaml:3: colour: unknown key 'colour'; known: arms, checkpoints, description, extends, "
        "frontier, name, resources, scale, scales, search, trial",
        "x.yaml:5: trial.model.hiden: unknown key 'hiden'; did you mean 'hidden'?",
        "x.yaml:6: trial.objective.samples: VIMCO leaves one sample out, so it needs "
        "samples >= 2; with one sample use estimator: reinforce",
        "x.yaml:7: trial.training.steps: a whole number was expected, got the text 'many'",
        "x.yaml:11: search.space.training.clip_norm: low must be below high; got low=2.0, "
        "high=1.0",
        "x.yaml:12: search.space.training.learning_rate: is swept, but also set (x.yaml:7); "
        "remove one of them",
        "x.yaml:13: search.space.training.l2: a log range must start above 0; got low=0.0",
        "x.yaml:14: search.space.trainin.steps: a trial has no 'trainin.steps'; did you mean "
        "'training.steps'?",
        "x.yaml:15: search.trials: must be greater than 0, got 0",
        "x.yaml:16: resources.cpu: a number was expected, got the text 'all'",
        "--set search.seeds=x: search.seeds: a whole number was expected, got the text 'x'",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\n", ["x.yaml:1: search: is required", "x.yaml:1: trial: is required"]),
        (
            "name: 3\ntrial: [1]\nsearch: much\n",
            [
                "x.yaml:1: name: text was expected, got 3",
                "x.yaml:2: trial: a mapping was expected, got a list",
                "x.yaml:3: search: a mapping was expected, got the text 'much'",
            ],
        ),
        (
            VALID.replace("melis_table_2", "melis_table_3"),
            [
                "x.yaml:14: search.space.use: unknown space 'melis_table_3'; did you mean "
                "'melis_table_2'?"
            ],
        ),
        (
            VALID.replace("training.l2: null", "training.l3: null"),
            [
                "x.yaml:15: search.space.training.l3: there is nothing to remove; did you mean "
                "'training.l2'?"
            ],
        ),
        (
            VALID.replace("objective.alpha: {low", "objective.alpha: {kind: flot, low"),
            [
                "x.yaml:16: search.space.objective.alpha.kind: unknown kind 'flot'; did you mean "
                "'float'?"
            ],
        ),
        (
            VALID.replace("objective.alpha: {low: 1.05}", "objective.alpha: 3"),
            ["x.yaml:16: search.space.objective.alpha: a mapping was expected, got 3"],
        ),
        (
            VALID.replace("{low: 1.05}", "{low: 1.05, when: {objective.lambda: 0.5}}").replace(
                "    objective.alpha",
                "    objective.lambda: {when: {objective.alpha: 2}}\n    objective.alpha",
            ),
            [
                "x.yaml:13: search.space: conditions go round in a circle: "
                "objective.lambda → objective.alpha → objective.lambda"
            ],
        ),
        (
            VALID.replace("trials: 3", "trials: 3\n  sampler: {name: gaussian, seeds: 1}"),
            [
                "x.yaml:18: search.sampler.name: unknown value 'gaussian'; known: auto, gp, "
                "nsga2, qmc, random, tpe",
                "x.yaml:18: search.sampler.seeds: unknown key 'seeds'; did you mean 'seed'?",
            ],
        ),
        (
            VALID.replace("small: {trial", "small/er: {trial"),
            [
                "x.yaml:19: scales.small/er: a name has 1 to 64 letters, digits, '-', '_' and "
                "'.', and starts with a letter, digit or '_'; got 'small/er'"
            ],
        ),
    ],
)
def test_a_wrong_section_is_told_with_its_line(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_an_arm_that_sweeps_nothing_has_one_configuration() -> None:
    text = VALID.replace("    use: melis_table_2\n    training.l2: null\n", "").replace(
        "objective.alpha: {low: 1.05}",
        "objective.alpha: {kind: float, low: 2, high: 3, when: {objective.name: renyi}}",
    )
    fixed = ["trial.training.learning_rate=0.1", "trial.objective.lambda=0.5"]

    assert problems(text, overrides=fixed) == [
        "x.yaml:15: search.trials: one would train one configuration that often; sweep something, "
        "or set 1"
    ]
    assert not load("x.yaml", overrides=fixed, trials=1).arms["one"].space


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"trials": 0}, "--trials 0: search.trials: must be greater than 0, got 0"),
        (
            {"name": "a/b"},
            "--name a/b: name: a name has 1 to 64 letters, digits, '-', '_' and '.', and starts "
            "with a letter, digit or '_'; got 'a/b'",
        ),
        ({"scale": "smal"}, "--scale smal: unknown scale 'smal'; did you mean 'small'?"),
        (
            {"overrides": ["trial.training.stesp=1"]},
            "--set trial.training.stesp=1: trial.training.stesp: unknown key 'stesp'; did you "
            "mean 'steps'?",
        ),
        (
            {"overrides": ["trial.objective.lambda=0.5"]},
            "x.yaml:14: search.space.objective.lambda: is swept, but also set "
            "(--set trial.objective.lambda=0.5); remove one of them",
        ),
    ],
)
def test_a_wrong_option_is_told_as_what_was_typed(options: dict[str, Any], expected: str) -> None:
    assert problems(VALID, **options) == [expected]


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (
            "{}",
            "x.yaml:9: arms: there are none; name some, or leave `arms` out for a single one",
        ),
        ("[a, b]", "x.yaml:9: arms: a mapping was expected, got a list"),
    ],
)
def test_arms_are_a_mapping_of_some(arms: str, expected: str) -> None:
    assert problems(VALID[: VALID.index("arms:")] + f"arms: {arms}\n" + SEARCH) == [expected]
