"""Arms: everything that is wrong with a trial or what is swept in it is told before it runs."""

from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from trainables.data import DATA
from trainables.objectives import OBJECTIVES

VALID = """\
name: x
trial:
  data: {name: symbols, vocabulary: 16}
  model: {name: symbol_mlp, latents: {kind: categorical, variables: 2, categories: 4}}
  objective: {name: renyi, estimator: vimco, samples: 4}
  training: {steps: 10, batch_size: 4}
search:
  space:
    training.learning_rate: {kind: float, low: 1.0e-4, high: 1.0e-2, log: true}
    objective.lambda: {kind: float, low: -0.05, high: 0.9999}
    objective.alpha: {kind: float, low: 1.05, high: 16.0, log: true}
  trials: 3
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def edit(*changes: tuple[str, str]) -> str:
    text = VALID
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def loaded(text: str, **options: Any) -> Experiment:
    Path("x.yaml").write_text(text)
    return load("x.yaml", **options)


def problems(text: str, **options: Any) -> list[str]:
    with pytest.raises(SweeperError) as error:
        loaded(text, **options)
    first, *lines = str(error.value).splitlines()
    assert first == "x.yaml is not a valid experiment:"
    assert all(line.startswith("  ") for line in lines)
    return [line[2:] for line in lines]


def sweep(line: str) -> tuple[str, str]:
    """Add a parameter to the space, on line 12."""
    return "  trials: 3", f"    {line}\n  trials: 3"


def test_an_experiment_without_arms_is_its_own_only_arm() -> None:
    experiment = loaded(VALID)

    assert list(experiment.arms) == ["x"]
    assert list(experiment.arms["x"].space) == [
        "training.learning_rate",
        "objective.lambda",
        "objective.alpha",
    ]


def test_an_arm_is_a_merge_patch_of_the_trial() -> None:
    arms = (
        "search:",
        "arms:\n"
        "  a: {}\n"
        "  b: {training: {clip_norm: null, steps: 20}, evaluation: {split: train}}\n"
        "search:",
    )
    experiment = loaded(edit(arms, ("batch_size: 4", "batch_size: 4, clip_norm: 1.0")))

    assert list(experiment.arms) == ["a", "b"]
    a, b = (dict(arm.trial) for arm in experiment.arms.values())
    assert a["training"]["clip_norm"] == 1.0
    assert "clip_norm" not in b["training"]
    assert (a["training"].pop("steps"), b["training"].pop("steps")) == (10, 20)
    assert (a["evaluation"].pop("split"), b["evaluation"].pop("split")) == ("validation", "train")
    del a["training"]["clip_norm"]
    assert a == b


def test_an_arm_holds_every_default_that_its_trials_have_in_common() -> None:
    experiment = loaded(
        edit(
            ("name: renyi, ", ""),
            ("objective.lambda: {", "objective.lambda: {when: {objective.name: kl}, "),
            ("objective.alpha: {", "objective.alpha: {when: {objective.name: power}, "),
            sweep("objective.name: {kind: categorical, choices: [kl, power]}"),
        )
    )
    [arm] = experiment.arms.values()

    assert arm.trial["training"]["optimizer"]["eps"] == 1e-8
    assert "learning_rate" not in arm.trial["training"]  # it is swept
    assert "name" not in arm.trial["objective"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("steps: 10", "steps: 10, learning_rat: 3"),
            "x.yaml:6: trial.training.learning_rat: unknown key 'learning_rat'; "
            "did you mean 'learning_rate'?",
        ),
        (
            ("vocabulary: 16", "vocabulary: '16'"),
            "x.yaml:3: trial.data.vocabulary: a whole number was expected, got the text '16'",
        ),
        (
            ("samples: 4", "samples: many"),
            "x.yaml:5: trial.objective.samples: a whole number or a mapping was expected, "
            "got the text 'many'",
        ),
        (
            ("steps: 10", "steps: 0"),
            "x.yaml:6: trial.training.steps: must be greater than 0, got 0",
        ),
        (
            ("name: renyi", "name: reny"),
            "x.yaml:5: trial.objective.name: unknown name 'reny'; did you mean 'renyi'?",
        ),
        (
            ("name: symbols", "name: words"),
            f"x.yaml:3: trial.data.name: unknown name 'words'; known: {', '.join(sorted(DATA))}",
        ),
        (
            ("name: renyi, ", ""),
            "x.yaml:5: trial.objective.name: is required; known: bound, critic_hybrid, "
            "critic_neural, critic_self, kl, power, renyi, vae",
        ),
        (
            ("  data: {name: symbols, vocabulary: 16}\n", ""),
            "x.yaml:2: trial.data: is required",
        ),
        (
            ("steps: 10, ", ""),
            "x.yaml:6: trial.training.steps: neither steps nor epochs is set; set one of them",
        ),
        (
            ("    objective.lambda: {kind: float, low: -0.05, high: 0.9999}\n", ""),
            "x.yaml:5: trial.objective.lambda: is neither set nor swept; set it or sweep it",
        ),
        (
            ("samples: 4", "samples: 1"),
            "x.yaml:5: trial.objective.samples: VIMCO leaves one sample out, so it needs "
            "samples >= 2; with one sample use estimator: reinforce",
        ),
        (
            ("estimator: vimco", "estimator: dreg"),
            "x.yaml:5: trial.objective.estimator: estimator dreg differentiates through z, which "
            "categorical latents do not allow; use reinforce or vimco",
        ),
        (
            ("vimco", "stl"),
            "x.yaml:5: trial.objective.samples: STL is biased for more than one sample (got 4); "
            "use estimator: dreg, which is its form for many samples, or samples: 1",
        ),
        (
            ("name: symbols, vocabulary: 16", "name: ptb"),
            "x.yaml:3: trial.data.name: data 'ptb' is sentences, but model 'symbol_mlp' reads "
            "symbols",
        ),
    ],
)
def test_what_a_trial_refuses_is_told_with_its_line(
    change: tuple[str, str], expected: str
) -> None:
    assert problems(edit(change)) == [expected]


def test_alpha_of_one_is_refused_with_what_to_use_instead() -> None:
    fixed = ("objective.alpha: {kind: float, low: 1.05, high: 16.0, log: true}", "")
    (problem,) = problems(edit(fixed, ("samples: 4", "samples: 4, alpha: 1")))

    assert problem == (
        "x.yaml:5: trial.objective.alpha: the Rényi divergence is not defined at alpha = 1; "
        "its limit is objective: kl"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("high: 0.9999", "high: 1.5"),
            "x.yaml:10: search.space.objective.lambda.high: must be less than or equal to 1, "
            "got 1.5",
        ),
        (
            (
                "{kind: float, low: 1.0e-4, high: 1.0e-2, log: true}",
                "{kind: float, low: 0, high: 1}",
            ),
            "x.yaml:9: search.space.training.learning_rate.low: must be greater than 0, got 0.0",
        ),
        (
            sweep("training.optimizr.name: {kind: categorical, choices: [adam, sgd]}"),
            "x.yaml:12: search.space.training.optimizr.name: a trial has no "
            "'training.optimizr.name'; did you mean 'training.optimizer.name'?",
        ),
        (
            sweep("training.optimizer.eps: {kind: float, low: 1.0e-9, high: 1.0e-7}"),
            "x.yaml:12: search.space.training.optimizer.eps: needs "
            "trial.training.optimizer.name, which is required; known: adam, sgd",
        ),
        (
            sweep("steps: {kind: int, low: 1, high: 9}"),
            "x.yaml:12: search.space.steps: a trial has no 'steps'",
        ),
        (
            sweep("training.clip_norm: {kind: categorical, choices: [1.0, -1.0]}"),
            "x.yaml:12: search.space.training.clip_norm: must be greater than 0, got -1.0",
        ),
        (
            ("name: renyi", "name: kl"),
            "x.yaml:11: search.space.objective.alpha: objective 'kl' has no 'alpha'; sweep it "
            "only where there is one, with when: {objective.name: [renyi, power]}",
        ),
        (
            sweep("model.dropout.input: {kind: float, low: 0, high: 0.5}"),
            "x.yaml:12: search.space.model.dropout.input: model 'symbol_mlp' has no 'dropout'; "
            "sweep it only where there is one, with when: {model.name: [sentence_lstm]}",
        ),
        (
            ("steps: 10", "steps: 10, learning_rate: 1.0e-3"),
            "x.yaml:9: search.space.training.learning_rate: is swept, but also set (x.yaml:6); "
            "remove one of them",
        ),
        (
            sweep("training.steps.x: {kind: int, low: 1, high: 9}"),
            "x.yaml:12: search.space.training.steps.x: is swept, but also set (x.yaml:6); "
            "remove one of them",
        ),
        (
            sweep("objective: {kind: categorical, choices: [kl, renyi]}"),
            "x.yaml:12: search.space.objective: is swept, but so is 'objective.lambda'; "
            "keep one of them",
        ),
        (
            ("high: 0.9999", "high: 0.9999, when: {objectve.name: renyi}"),
            "x.yaml:10: search.space.objective.lambda.when: a trial has no 'objectve.name'; "
            "did you mean 'objective.name'?",
        ),
        (
            ("high: 0.9999", "high: 0.9999, when: {objective.name: [kl, reny, renyi]}"),
            "x.yaml:10: search.space.objective.lambda.when.objective.name: unknown value 'reny'; "
            "did you mean 'renyi'?",
        ),
        (
            sweep("data.nam: {kind: int, low: 1, high: 9, when: {objective.name: kl}}"),
            "x.yaml:12: search.space.data.nam: a trial has no 'data.nam'; "
            "did you mean 'data.name'?",
        ),
    ],
)
def test_what_cannot_be_swept_is_told_with_its_line(
    change: tuple[str, str], expected: str
) -> None:
    found = problems(edit(change))

    # A parameter that is never active leaves the trial without it.
    assert [line for line in found if "is neither set nor swept" not in line] == [expected]


def test_a_float_range_over_whole_numbers_is_refused_at_both_ends() -> None:
    found = problems(
        edit(("steps: 10, ", ""), sweep("training.steps: {kind: float, low: 1, high: 9}"))
    )

    assert found == [
        "x.yaml:12: search.space.training.steps.high: a whole number was expected, got 9.0",
        "x.yaml:12: search.space.training.steps.low: a whole number was expected, got 1.0",
    ]


def test_values_that_only_clash_together_are_told_as_such() -> None:
    found = problems(
        edit(
            ("estimator: vimco, samples: 4", ""),
            sweep(
                "objective.estimator: {kind: categorical, choices: [vimco, reinforce]}\n"
                "    objective.samples: {kind: int, low: 1, high: 16, log: true}"
            ),
        )
    )

    assert found == [
        "x.yaml:13: search.space.objective.samples.low: VIMCO leaves one sample out, so it needs "
        "samples >= 2; with one sample use estimator: reinforce "
        "(at objective.estimator=vimco, objective.samples=1)"
    ]


def test_what_is_swept_can_depend_on_what_is_swept() -> None:
    objective = "objective.name: {kind: categorical, choices: [kl, renyi]}"
    free = edit(("name: renyi, ", ""), sweep(objective))

    assert problems(free) == [
        "x.yaml:11: search.space.objective.alpha: objective 'kl' has no 'alpha'; sweep it only "
        "where there is one, with when: {objective.name: [renyi, power]}"
    ]
    conditional = loaded(free.replace("high: 16.0", "high: 16.0, when: {objective.name: renyi}"))
    assert conditional.arms["x"].space.is_conditional


def test_a_condition_may_be_about_a_default() -> None:
    l2 = "training.l2: {kind: float, low: 0.1, high: 1, when: {evaluation.split: validation}}"

    by_default = loaded(edit(sweep(l2)))
    on_train = loaded(edit(sweep(l2)), overrides=["trial.evaluation.split=train"])

    assert "training.l2" in by_default.arms["x"].space
    assert "training.l2" not in on_train.arms["x"].space


def test_a_parameter_that_no_arm_sweeps_may_be_set() -> None:
    l2 = "training.l2: {kind: float, low: 0.1, high: 1, when: {evaluation.split: test}}"
    experiment = loaded(edit(sweep(l2), ("steps: 10", "steps: 10, l2: 0.5")))

    assert experiment.example_trials()["x"].training.l2 == 0.5


ARMS = """\
arms:
  a: {}
  b: {objective: {samples: 4}}
  c: {objective: {samples: 1}}
  d: {objective: {name: kl}}
  e: {model: {latents: {kind: gaussian}}, training: {stepz: 3}}
  f:
  g: 5
  ../h: {training: {steps: 1}}
  i: {training: {learning_rate: 1.0}}
search:"""


def test_each_problem_of_several_arms_is_told_once() -> None:
    assert problems(edit(("search:", ARMS), ("batch_size: 4", "batch_size: 0"))) == [
        "x.yaml:4: trial.model.latents.categories: unknown key 'categories'; "
        "known: dimensions, kind (arm e)",
        "x.yaml:4: trial.model.latents.variables: unknown key 'variables'; "
        "known: dimensions, kind (arm e)",
        "x.yaml:6: trial.training.batch_size: must be greater than 0, got 0",
        "x.yaml:10: arms.c.objective.samples: VIMCO leaves one sample out, so it needs "
        "samples >= 2; with one sample use estimator: reinforce",
        "x.yaml:12: arms.e.training.stepz: unknown key 'stepz'; did you mean 'steps'?",
        "x.yaml:13: arms.f: there is no such arm to remove; an arm without changes is {}",
        "x.yaml:14: arms.g: a mapping was expected, got 5",
        "x.yaml:15: arms.../h: a name has 1 to 64 letters, digits, '-', '_' and '.', and starts "
        "with a letter, digit or '_'; got '../h'",
        "x.yaml:19: search.space.training.learning_rate: is swept, but also set (x.yaml:16); "
        "remove one of them (arm i)",
        "x.yaml:21: search.space.objective.alpha: objective 'kl' has no 'alpha'; sweep it only "
        "where there is one, with when: {objective.name: [renyi, power]} (arm d)",
    ]


def test_a_problem_of_some_arms_names_them() -> None:
    arms = (
        "search:",
        "arms: {a: {}, b: {objective: {name: power}}, c: {objective: {name: bound}}}\nsearch:",
    )

    alpha, bound = problems(edit(arms))[:2]

    assert alpha == (
        "x.yaml:11: search.space.objective.lambda: objective 'power' has no 'lambda'; sweep it "
        "only where there is one, with when: {objective.name: [kl, renyi, critic_self, "
        "critic_neural, critic_hybrid]} (arm b)"
    )
    assert bound.endswith("(arm c)")


def test_arms_that_are_the_same_trial_are_refused() -> None:
    arms = (
        "search:",
        "arms:\n  a: {}\n  b: {objective: {samples: 4}}\n"
        "  c: {evaluation: {split: validation}}\n  d: {objective: {samples: 5}}\nsearch:",
    )

    assert problems(edit(arms)) == [
        "x.yaml:9: arms.b: resolves to the same trial as arm 'a'; change or remove one",
        "x.yaml:10: arms.c: resolves to the same trial as arm 'a'; change or remove one",
    ]


def test_a_broken_parameter_does_not_make_its_field_missing() -> None:
    assert problems(edit(("low: -0.05, high: 0.9999", "low: 1, high: 0"))) == [
        "x.yaml:10: search.space.objective.lambda: low must be below high; got low=1.0, high=0.0"
    ]


@pytest.mark.parametrize(
    "name", sorted(name for name, it in OBJECTIVES.items() if "estimator" in it.model_fields)
)
def test_the_hint_for_a_missing_knob_leads_to_a_valid_file(name: str) -> None:
    when = ", when: {objective.name: [renyi, kl]}", ", when: {objective.name: [renyi, power]}"
    text = edit(
        ("name: renyi", f"name: {name}"),
        ("high: 0.9999", f"high: 0.9999{when[0]}"),
        ("high: 16.0", f"high: 16.0{when[1]}"),
    )

    assert loaded(text).example_trials()["x"].objective.name == name
