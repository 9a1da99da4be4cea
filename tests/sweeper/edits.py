"""A small experiment with one arm, and edits of it."""

from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load

VALID = """\
name: x
trial:
  data: {name: symbols, vocabulary: 16}
  model: {name: symbol_mlp, latents: {kind: categorical, variables: 2, categories: 4}}
  objective: {name: renyi, estimator: vimco, samples: 4}
  training: {steps: 10, batch_size: 4}
  evaluation: {split: train}
search:
  space:
    training.learning_rate: {kind: float, low: 1.0e-4, high: 1.0e-2, log: true}
    objective.lambda: {kind: float, low: -0.05, high: 0.9999}
    objective.alpha: {kind: float, low: 1.05, high: 16.0, log: true}
  trials: 3
"""


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
