"""What is swept in an arm: when it may be, and why it cannot be, told before it runs."""

import pytest

from tests.sweeper.edits import edit, loaded, problems, sweep

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("high: 0.9999", "high: 1.5"),
            "x.yaml:11: search.space.objective.lambda.high: must be less than or equal to 1, "
            "got 1.5",
        ),
        (
            (
                "{kind: float, low: 1.0e-4, high: 1.0e-2, log: true}",
                "{kind: float, low: 0, high: 1}",
            ),
            "x.yaml:10: search.space.training.learning_rate.low: must be greater than 0, got 0.0",
        ),
        (
            sweep("training.optimizr.name: {kind: categorical, choices: [adam, sgd]}"),
            "x.yaml:13: search.space.training.optimizr.name: a trial has no "
            "'training.optimizr.name'; did you mean 'training.optimizer.name'?",
        ),
        (
            sweep("training.optimizer.eps: {kind: float, low: 1.0e-9, high: 1.0e-7}"),
            "x.yaml:13: search.space.training.optimizer.eps: needs "
            "trial.training.optimizer.name, which is required; known: adam, sgd",
        ),
        (
            sweep("steps: {kind: int, low: 1, high: 9}"),
            "x.yaml:13: search.space.steps: a trial has no 'steps'",
        ),
        (
            sweep("training.clip_norm: {kind: categorical, choices: [1.0, -1.0]}"),
            "x.yaml:13: search.space.training.clip_norm: must be greater than 0, got -1.0",
        ),
        (
            ("name: renyi", "name: kl"),
            "x.yaml:12: search.space.objective.alpha: objective 'kl' has no 'alpha'; sweep it "
            "only where there is one, with when: {objective.name: [renyi, power]}",
        ),
        (
            sweep("model.dropout.input: {kind: float, low: 0, high: 0.5}"),
            "x.yaml:13: search.space.model.dropout.input: model 'symbol_mlp' has no 'dropout'; "
            "sweep it only where there is one, with when: {model.name: [sentence_lstm]}",
        ),
        (
            ("steps: 10", "steps: 10, learning_rate: 1.0e-3"),
            "x.yaml:10: search.space.training.learning_rate: is swept, but also set (x.yaml:6); "
            "remove one of them",
        ),
        (
            sweep("training.steps.x: {kind: int, low: 1, high: 9}"),
            "x.yaml:13: search.space.training.steps.x: is swept, but also set (x.yaml:6); "
            "remove one of them",
        ),
        (
            sweep("objective: {kind: categorical, choices: [kl, renyi]}"),
            "x.yaml:13: search.space.objective: is swept, but so is 'objective.lambda'; "
            "keep one of them",
        ),
        (
            ("high: 0.9999", "high: 0.9999, when: {objectve.name: renyi}"),
            "x.yaml:11: search.space.objective.lambda.when: a trial has no 'objectve.name'; "
            "did you mean 'objective.name'?",
        ),
        (
            ("high: 0.9999", "high: 0.9999, when: {objective.name: [kl, reny, renyi]}"),
            "x.yaml:11: search.space.objective.lambda.when.objective.name: unknown value 'reny'; "
            "did you mean 'renyi'?",
        ),
        (
            sweep("data.nam: {kind: int, low: 1, high: 9, when: {objective.name: kl}}"),
            "x.yaml:13: search.space.data.nam: a trial has no 'data.nam'; "
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
        "x.yaml:13: search.space.training.steps.high: a whole number was expected, got 9.0",
        "x.yaml:13: search.space.training.steps.low: a whole number was expected, got 1.0",
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
        "x.yaml:14: search.space.objective.samples.low: VIMCO leaves one sample out, so it needs "
        "samples >= 2; with one sample use estimator: reinforce "
        "(at objective.estimator=vimco, objective.samples=1)"
    ]


def test_what_is_swept_can_depend_on_what_is_swept() -> None:
    objective = "objective.name: {kind: categorical, choices: [kl, renyi]}"
    free = edit(("name: renyi, ", ""), sweep(objective))

    assert problems(free) == [
        "x.yaml:12: search.space.objective.alpha: objective 'kl' has no 'alpha'; sweep it only "
        "where there is one, with when: {objective.name: [renyi, power]}"
    ]
    conditional = loaded(free.replace("high: 16.0", "high: 16.0, when: {objective.name: renyi}"))
    assert conditional.arms["x"].space.is_conditional


def test_a_condition_may_be_about_a_default() -> None:
    l2 = "training.l2: {kind: float, low: 0.1, high: 1, when: {model.join: concatenate}}"

    by_default = loaded(edit(sweep(l2)))
    summed = loaded(edit(sweep(l2)), overrides=["trial.model.join=sum"])

    assert "training.l2" in by_default.arms["x"].space
    assert "training.l2" not in summed.arms["x"].space


def test_a_parameter_that_no_arm_sweeps_may_be_set() -> None:
    l2 = "training.l2: {kind: float, low: 0.1, high: 1, when: {evaluation.split: test}}"
    experiment = loaded(edit(sweep(l2), ("steps: 10", "steps: 10, l2: 0.5")))

    assert experiment.example_trials()["x"].training.l2 == 0.5


def test_a_broken_parameter_does_not_make_its_field_missing() -> None:
    assert problems(edit(("low: -0.05, high: 0.9999", "low: 1, high: 0"))) == [
        "x.yaml:11: search.space.objective.lambda: low must be below high; got low=1.0, high=0.0"
    ]
