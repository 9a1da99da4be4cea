"""A training run on disk: written whole or not at all, read as data and never as code."""

import os
import pickle
from pathlib import Path

import torch

from trainables.training import TrainingRun


def save(run: TrainingRun, path: Path) -> None:
    """Write what `run` needs to continue; a reader sees this state or the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(run.state_dict(), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(run: TrainingRun, path: Path) -> bool:
    """Continue `run` from `path`; say whether there was a state to continue from.

    A file that cannot be read is as good as none: the run starts again from its seed.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, EOFError, RuntimeError, pickle.UnpicklingError):
        return False
    run.load_state_dict(state)
    return True
