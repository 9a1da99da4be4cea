"""A training run on disk: written whole or not at all, read as data and never as code."""

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import torch

from trainables.training import TrainingRun

_DIGEST_BYTES = hashlib.sha256().digest_size


def save(run: TrainingRun, path: Path) -> None:
    """Write what `run` needs to continue; a reader sees this state or the one before.

    Raises `OSError` where it cannot be written; then nothing of it is left.
    """
    buffer = io.BytesIO()
    torch.save(run.state_dict(), buffer)
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


def restore(new: Callable[[], TrainingRun], path: Path) -> TrainingRun:
    """Give a `new` run, continued from `path` where that holds a state of it.

    A file that is damaged or does not fit is as good as none: the run starts again from its seed.
    """
    run = new()
    try:
        content = path.read_bytes()
    except OSError:
        return run
    digest, state = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(state).digest() != digest:  # PyTorch would read damaged tensors
        return run
    try:
        run.load_state_dict(torch.load(io.BytesIO(state), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, RuntimeError):
        return new()  # the state is of another version, and half of it may be loaded
    return run
