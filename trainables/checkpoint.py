"""A training run in storage: written whole or not at all, read as data and never as code.

The states of a trial lie in a directory of its own, each named by the step it was taken at. The
last two are kept, so that one that cannot be read costs the steps since the one before.
"""

import contextlib
import hashlib
import io
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from trainables import storage
from trainables.training import TrainingRun

KEPT = 2  # states of a trial
DAMAGED = ".damaged"  # ends the name of a state that was set aside

_DIGEST_BYTES = hashlib.sha256().digest_size
_STATE = re.compile(r"\d{12}\.pt")
_UNFIT = (pickle.UnpicklingError, KeyError, TypeError, ValueError, RuntimeError)


class Checkpoints:
    """The states of one trial, in a directory of a storage that `location` names.

    `damaged` names the states that `restore` found unfit and set aside.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self.damaged: list[str] = []
        self._names: list[str] | None = None  # of the states there are; none before it was asked

    def save(self, run: TrainingRun) -> None:
        """Write what `run` needs to continue, and let go of all states but the last two.

        Raises `OSError` where it cannot be written; then those before are intact.
        """
        names = self._known()
        name = f"{run.step:012d}.pt"
        storage.write(self._at(name), _bytes(run.state_dict()))
        self._names = sorted({*names, name})
        for old in self._names[:-KEPT]:
            with contextlib.suppress(OSError):  # too many do no harm
                storage.remove(self._at(old))
                self._names.remove(old)

    def restore(self, new: Callable[[], TrainingRun]) -> TrainingRun:
        """Give a `new` run, continued from the newest state that is whole and fits it.

        A state that is damaged, or of another version, is set aside under another name; without
        any other the run starts again from its seed.

        Raises `OSError` where the storage cannot be read, and `torch.OutOfMemoryError` where a GPU
        has no room for the run.
        """
        for name in reversed(self._known()):
            run = new()
            try:
                run.load_state_dict(_state(storage.read(self._at(name))))
            except FileNotFoundError:
                continue
            except torch.OutOfMemoryError:  # which says nothing of the state
                raise
            except _UNFIT:  # perhaps half of it is loaded
                self._set_aside(name)
            else:
                return run
        return new()

    def remove(self) -> None:
        """Remove all states, those that were set aside apart.

        What is left of states that a worker was killed over goes, too. Raises `OSError` where that
        cannot be done.
        """
        for file in storage.files(self.location):
            if _STATE.fullmatch(file.name) or file.name.endswith(storage.PARTIAL):
                storage.remove(self._at(file.name))
        storage.prune(self.location)
        self._names = []

    def _known(self) -> list[str]:
        if self._names is None:
            found = storage.files(self.location)
            self._names = [file.name for file in found if _STATE.fullmatch(file.name)]
        return self._names

    def _set_aside(self, name: str) -> None:
        moved = storage.move(self._at(name), name + DAMAGED)
        self._names = [other for other in self._known() if other != name]
        self.damaged.append(moved)

    def _at(self, name: str) -> str:
        return storage.below(self.location, name)


def save_model(run: TrainingRun, location: str) -> None:
    """Write the parameters of a trained model, and how far it came.

    Raises `OSError` where they cannot be written; then nothing of them is left.
    """
    storage.write(location, _bytes(run.trained_state()))


def adopt_model(new: Callable[[], TrainingRun], location: str) -> TrainingRun | None:
    """Give a `new` run that has only to evaluate the model at a location; none if it is unfit."""
    run = new()
    try:
        run.adopt(_state(storage.read(location)))
    except (OSError, *_UNFIT):
        return None
    return run


def _bytes(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    return hashlib.sha256(content).digest() + content


def _state(content: bytes) -> dict[str, Any]:
    """Read a state as data; raises `ValueError` where it is damaged."""
    digest, state = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(state).digest() != digest:  # PyTorch would read damaged tensors
        raise ValueError("the content does not have its checksum")
    state_dict: dict[str, Any] = torch.load(
        io.BytesIO(state), map_location="cpu", weights_only=True
    )
    return state_dict
