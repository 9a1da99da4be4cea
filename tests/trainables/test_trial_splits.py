"""Splits that data lack: nothing of a trial may look at one."""

import pytest

from tests.trainables.test_trial import changed, problems
from trainables.trial import TrialConfig


@pytest.mark.parametrize("split", ["validation", "test", None])
def test_symbols_have_nothing_held_out(split: str | None) -> None:
    trial = changed(evaluation={"split": split} if split else {})
    whole = {**trial, "evaluation": {"split": "train"}}

    assert problems(trial) == {
        ("evaluation", "split"): (
            f"data 'symbols' has no {split or 'validation'} split, all of it is trained "
            "on; set it to train"
        )
    }
    assert TrialConfig.model_validate(whole).evaluation.split == "train"
    del trial["evaluation"]
    assert list(problems(trial)) == [("evaluation", "split")]


@pytest.mark.parametrize(
    ("field", "value", "what_to_do"),
    [
        ("schedule", {"kind": "plateau"}, "leave it out"),
        ("schedule", {"kind": "keep_best"}, "leave it out"),
        ("procedure", {"name": "aggressive"}, "use plain"),
    ],
)
def test_nothing_looks_at_a_validation_split_of_symbols(
    field: str, value: dict[str, str], what_to_do: str
) -> None:
    [name] = value.values()

    assert problems(changed(**{f"training__{field}": value})) == {
        ("training", field): (
            f"{name} looks at the validation split, but data 'symbols' has none, all of it is "
            f"trained on; {what_to_do}"
        )
    }
