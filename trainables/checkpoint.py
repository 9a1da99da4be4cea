"""A training run on disk: written whole or not at all, read as data and never as code."""

import hashlib
import io
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from trainables.training import TrainingRun

_DIGEST_BYTES = hashlib.sha256().digest_size


_UNFIT = (pickle.UnpicklingError, KeyError, TypeError, ValueError, RuntimeError)


def save(run: TrainingRun, path: Path) -> None:
    """Write what `run` needs to continue; a reader sees this state or the one before.

    Raises `OSError` where it cannot be written; then nothing of it is left.
    """
    _write(run.state_dict(), path)


def restore(new: Callable[[], TrainingRun], path: Path) -> TrainingRun:
    """Give a `new` run, continued from `path` where that holds a state of it.

    A file that is damaged or does not fit is as good as none: the run starts again from its seed.
    """
    run = new()
    try:
        run.load_state_dict(_read(path))
    except OSError:
        return run
    except _UNFIT:
        return new()  # the state is of another version, and half of it may be loaded
    return run


def save_model(run: TrainingRun, path: Path) -> None:
    """Write the parameters of a trained model, and how far it came.

    Raises `OSError` where they cannot be written; then nothing of them is left.
    """
    _write(run.trained_state(), path)


def adopt_model(new: Callable[[], TrainingRun], path: Path) -> TrainingRun | None:
    """Give a `new` run that has only to evaluate the model at `path`; none where that is unfit."""
    run = new()
    try:
        run.adopt(_read(path))
    except (OSError, *_UNFIT):
        return None
    return run


def _write(state: Mapping[str, Any], path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    """Read a state as data; raises `ValueError` where it is damaged."""
    content = path.read_bytes()
    digest, state = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(state).digest() != digest:  # PyTorch would read damaged tensors
        raise ValueError(f"{path} is damaged")
    state_dict: dict[str, Any] = torch.load(
        io.BytesIO(state), map_location="cpu", weights_only=True
    )
    return state_dict
