"""Arms: what they make of the trial, and everything that is wrong with it, told before it runs."""

import pytest

from tests.sweeper.edits import VALID, edit, loaded, problems, sweep
from trainables.data import DATA
from trainables.objectives import OBJECTIVES

pytestmark = pytest.mark.usefixtures("here")


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
        "  b: {training: {clip_norm: null, steps: 20}, evaluation: {samples: 7}}\n"
        "search:",
    )
    experiment = loaded(edit(arms, ("batch_size: 4", "batch_size: 4, clip_norm: 1.0")))

    assert list(experiment.arms) == ["a", "b"]
    a, b = (dict(arm.trial) for arm in experiment.arms.values())
    assert a["training"]["clip_norm"] == 1.0
    assert "clip_norm" not in b["training"]
    assert (a["training"].pop("steps"), b["training"].pop("steps")) == (10, 20)
    assert (a["evaluation"].pop("samples"), b["evaluation"].pop("samples")) == (100, 7)
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
            f"x.yaml:5: trial.objective.name: is required; known: {', '.join(sorted(OBJECTIVES))}",
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
        "x.yaml:11: arms.c.objective.samples: VIMCO leaves one sample out, so it needs "
        "samples >= 2; with one sample use estimator: reinforce",
        "x.yaml:13: arms.e.training.stepz: unknown key 'stepz'; did you mean 'steps'?",
        "x.yaml:14: arms.f: there is no such arm to remove; an arm without changes is {}",
        "x.yaml:15: arms.g: a mapping was expected, got 5",
        "x.yaml:16: arms.../h: a name has 1 to 64 letters, digits, '-', '_' and '.', and starts "
        "with a letter, digit or '_'; got '../h'",
        "x.yaml:20: search.space.training.learning_rate: is swept, but also set (x.yaml:17); "
        "remove one of them (arm i)",
        "x.yaml:22: search.space.objective.alpha: objective 'kl' has no 'alpha'; sweep it only "
        "where there is one, with when: {objective.name: [renyi, power]} (arm d)",
    ]


def test_a_problem_of_some_arms_names_them() -> None:
    arms = (
        "search:",
        "arms: {a: {}, b: {objective: {name: power}}, c: {objective: {name: bound}}}\nsearch:",
    )

    alpha, bound = problems(edit(arms))[:2]

    assert alpha == (
        "x.yaml:12: search.space.objective.lambda: objective 'power' has no 'lambda'; sweep it "
        "only where there is one, with when: {objective.name: [kl, renyi, critic_self, "
        "critic_neural, critic_hybrid]} (arm b)"
    )
    assert bound.endswith("(arm c)")


def test_arms_that_are_the_same_trial_are_refused() -> None:
    arms = (
        "search:",
        "arms:\n  a: {}\n  b: {objective: {samples: 4}}\n"
        "  c: {evaluation: {samples: 100}}\n  d: {objective: {samples: 5}}\nsearch:",
    )

    assert problems(edit(arms)) == [
        "x.yaml:10: arms.b: resolves to the same trial as arm 'a'; change or remove one",
        "x.yaml:11: arms.c: resolves to the same trial as arm 'a'; change or remove one",
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
