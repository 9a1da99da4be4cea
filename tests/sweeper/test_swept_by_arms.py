"""What single arms sweep otherwise: laid over the space of all arms, as arms over the trial."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.experiment import Experiment, difference, load
from sweeper.swept import swept
from tests.sweeper.edits import edit, loaded, problems

pytestmark = pytest.mark.usefixtures("here")

ARMS = (
    "search:\n",
    "arms:\n"
    "  renyi: {}\n"
    "  kl: {objective: {name: kl}}\n"
    "  critic: {objective: {name: power, samples: 2}}\n"
    "search:\n"
    "  arms:\n"
    "    kl:\n"
    "      objective.lambda: {low: 0.5}\n"
    "      objective.alpha: null\n"
    "    critic:\n"
    "      objective.lambda: null\n"
    "      objective.alpha: {low: 2, high: 3, log: null}\n"
    "      training.clip_norm: {kind: float, low: 1, high: 5}\n",
)


def spaces(experiment: Experiment) -> dict[str, dict[str, Any]]:
    return {name: arm.space.plain() for name, arm in experiment.arms.items()}


def test_an_arm_changes_adds_and_removes_what_is_swept() -> None:
    experiment = loaded(edit(ARMS))

    rate = {"kind": "float", "low": 1e-4, "high": 1e-2, "log": True}
    assert spaces(experiment) == {
        "renyi": {
            "training.learning_rate": rate,
            "objective.lambda": {"kind": "float", "low": -0.05, "high": 0.9999},
            "objective.alpha": {"kind": "float", "low": 1.05, "high": 16.0, "log": True},
        },
        "kl": {
            "training.learning_rate": rate,
            "objective.lambda": {"kind": "float", "low": 0.5, "high": 0.9999},
        },
        "critic": {
            "training.learning_rate": rate,
            "objective.alpha": {"kind": "float", "low": 2.0, "high": 3.0},
            "training.clip_norm": {"kind": "float", "low": 1.0, "high": 5.0},
        },
    }
    assert experiment.space == experiment.arms["renyi"].space


def test_what_an_arm_sweeps_is_the_same_after_it_was_written_and_read() -> None:
    experiment = loaded(edit(ARMS))
    Path("y.yaml").write_text(experiment.to_yaml())

    again = load("y.yaml")

    assert again == experiment
    assert again.document == experiment.document
    assert difference(experiment, again) == []
    search = yaml.safe_load(experiment.to_yaml())["search"]
    assert {arm: swept(search, arm) for arm in experiment.arms} == spaces(experiment)


def test_arms_with_a_named_space_change_that() -> None:
    text = edit(
        ARMS,
        ("  space:\n", "  space:\n    use: melis_table_2\n    training.l2: {when: null}\n"),
    )
    experiment = loaded(text)

    assert "training.l2" in experiment.arms["kl"].space
    assert experiment.arms["kl"].space["objective.lambda"].ends == (0.5, 0.9999)
    raw = yaml.safe_load(text)["search"]
    assert swept(raw, "critic")["training.l2"] == experiment.space.plain()["training.l2"]


def test_a_change_of_what_one_arm_sweeps_is_a_difference() -> None:
    experiment = loaded(edit(ARMS))
    other = load("x.yaml", overrides=["search.arms.kl.objective.lambda.low=0.25"])

    assert difference(experiment, other) == ["search.arms.kl.objective.lambda.low: 0.5 -> 0.25"]
    assert other.arms["kl"].space["objective.lambda"].ends == (0.25, 0.9999)


def test_an_arm_may_be_swept_by_itself_alone() -> None:
    alone = "  arms: {x: {objective.alpha: {low: 2}}}\n  trials: 3"

    assert loaded(edit(("  trials: 3", alone))).arms["x"].space["objective.alpha"].ends[0] == 2.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("    kl:\n", "    k:\n"),
            ["x.yaml:14: search.arms.k: unknown arm 'k'; did you mean 'kl'?"],
        ),
        (
            ("{low: 2, high: 3,", "{low: 4, high: 3,"),
            [
                "x.yaml:19: search.arms.critic.objective.alpha: low must be below high; got "
                "low=4.0, high=3.0"
            ],
        ),
        (
            ("      objective.alpha: null\n", "      objective.alfa: null\n"),
            [
                "x.yaml:16: search.arms.kl.objective.alfa: there is nothing to remove; did you "
                "mean 'objective.alpha'?"
            ],
        ),
        (
            ("training.clip_norm: {", "training.clip_nrm: {"),
            [
                "x.yaml:20: search.arms.critic.training.clip_nrm: a trial has no "
                "'training.clip_nrm'; did you mean 'training.clip_norm'?"
            ],
        ),
        (
            ("training.clip_norm: {", "training.steps: {"),
            [
                "x.yaml:20: search.arms.critic.training.steps: is swept, but also set "
                "(x.yaml:6); remove one of them"
            ],
        ),
        (
            (
                "training.clip_norm: {kind: float, low: 1",
                "training.clip_norm: {kind: float, low: -1",
            ),
            [
                "x.yaml:20: search.arms.critic.training.clip_norm.low: must be greater than 0, "
                "got -1.0"
            ],
        ),
        (
            ("    critic:\n      objective.lambda: null\n", "    critic: 5\n    renyi:\n"),
            ["x.yaml:17: search.arms.critic: a mapping was expected, got 5"],
        ),
    ],
)
def test_what_is_wrong_with_it_is_told_with_its_line(
    change: tuple[str, str], expected: list[str]
) -> None:
    assert set(expected) <= set(problems(edit(ARMS).replace(*change)))
