"""The Ray Trainable: a thin shell round `TrainingRun`, and the only Ray import of this room."""

import contextlib
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ray import tune

from trainables import checkpoint, failures
from trainables.checkpoint import Checkpoints
from trainables.data.files import DataError
from trainables.training import DivergedError, TrainingRun
from trainables.trial import TrialConfig

REPORT_SECONDS = 1.0  # how long a step of Tune's trains, hence how soon a trial can stop
WORTH_SAVING_SECONDS = 5.0  # of training that an evaluation, which can be long, puts at stake


class _StorageLostError(Exception):
    """States can be neither kept nor read: no fault of the trial, but it cannot go on."""


class Assignment(NamedTuple):
    """What a worker is told to train, and where it may keep its states meanwhile.

    A state is kept after every `checkpoint_seconds` of work or every `checkpoint_steps`, whichever
    comes first. A trained `model` that is there is only evaluated. `keep` is where the trained
    model goes. These three are locations of `trainables.storage`, `checkpoints` a directory.
    """

    trial: dict[str, Any]  # the resolved `TrialConfig`
    seed: int
    data_root: str
    checkpoints: str
    device: str = "cpu"
    threads: int = 1
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int | None = None
    model: str | None = None
    keep: str | None = None


class LatentVariableTrial(tune.Trainable):
    """Ray's view of one training run; the run knows nothing of Ray.

    Every way a trial can end is a result with a `status` ("done", "diverged" or "failed") and a
    `reason`, so that none of them is lost. A trial whose data cannot be read, or whose state
    cannot be kept, has not ended: it is "blocked", which is no fault of its own. `notes` tell once
    what a person should know of.

    A result of a trial that goes on has the evaluations that are new since the one before; that
    of its end has all of them.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take an assignment; the work begins with the first step."""
        self.assignment = Assignment(**config)
        self.checkpoints = Checkpoints(self.assignment.checkpoints)
        self.training: TrainingRun | None = None
        self.saved_at, self.saved_step = time.monotonic(), 0
        self.n_reported = 0  # evaluations; of a restored run, all are new to the driver

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another assignment in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train for about a second, or evaluate, and report."""
        status, reason, full = "running", None, None
        try:
            status = self._advance()
        except DivergedError as error:
            status, reason = "diverged", str(error)
        except DataError as error:
            status, reason = "blocked", str(error)
        except _StorageLostError as error:
            status, reason = "blocked", str(error)
        except torch.OutOfMemoryError as error:
            if self.training is None:  # others may have left no room for it yet: as a lost worker
                raise
            status = "failed"
            reason, full = failures.describe(error)
        except Exception as error:  # the sweep goes on, and the row says what happened
            status = "failed"
            reason, full = failures.describe(error)
        ended = status != "running"
        run = self.training
        evaluations = run.evaluations if run else []
        new, self.n_reported = evaluations[self.n_reported :], len(evaluations)
        return {
            "done": ended,
            "status": status,
            "reason": reason,
            "traceback": full,
            "notes": self._notes(),
            "step": run.step if run else 0,
            "n_steps": run.n_steps if run else None,
            "evaluations": evaluations if ended else new,
            "train_loss": run.train_loss if run else None,
            "cost": [run.cost()] if run else [],
            "host": socket.gethostname(),
            "device": self._device_name(),
        }

    def _advance(self) -> str:
        run = self.training or self._begin()
        if run.evaluation_due:
            if time.monotonic() - self.saved_at > WORTH_SAVING_SECONDS:
                self._save()
            run.evaluate()
        elif not run.finished:
            run.train(seconds=REPORT_SECONDS, steps=self._steps_to_save(run))
        if run.finished:
            self._keep(run)
            return "done"
        seconds = time.monotonic() - self.saved_at
        if seconds > self.assignment.checkpoint_seconds or self._steps_to_save(run) == 0:
            self._save()
        return "running"

    def _steps_to_save(self, run: TrainingRun) -> int | None:
        """Say how many steps are left until a state is to be kept, if steps count at all."""
        every = self.assignment.checkpoint_steps
        return None if every is None else max(0, self.saved_step + every - run.step)

    def _begin(self) -> TrainingRun:
        task = self.assignment
        torch.set_num_threads(task.threads)
        config = TrialConfig.model_validate(task.trial)
        new = partial(
            TrainingRun, config, task.seed, data_root=Path(task.data_root), device=task.device
        )
        run = checkpoint.adopt_model(new, task.model) if task.model else None
        if run is None:
            with self._storage_needed("read"):
                run = self.checkpoints.restore(new)
        self.training, self.saved_step = run, run.step
        return run

    def _keep(self, run: TrainingRun) -> None:
        if self.assignment.keep is not None:
            with contextlib.suppress(OSError):  # it can be trained again
                checkpoint.save_model(run, self.assignment.keep)

    def _save(self) -> None:
        if self.training is not None:
            with self._storage_needed("write"):
                self.checkpoints.save(self.training)
            self.saved_at, self.saved_step = time.monotonic(), self.training.step

    @contextlib.contextmanager
    def _storage_needed(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _StorageLostError(
                f"cannot {what} {self.assignment.checkpoints}: {error.strerror or error}; free "
                "space or mend the access."
            ) from error

    def _notes(self) -> list[str]:
        """Tell of states that were set aside, once."""
        notes = [
            f"{state} is damaged or of another version; it was set aside, and its trial goes on "
            "from what was before it"
            for state in self.checkpoints.damaged
        ]
        self.checkpoints.damaged.clear()
        return notes

    def _device_name(self) -> str:
        if self.assignment.device.startswith("cuda"):
            return torch.cuda.get_device_name(self.assignment.device)
        return self.assignment.device

    def cleanup(self) -> None:
        """Keep the state of a trial that is stopped before its end."""
        if self.training is not None and not self.training.finished:
            with contextlib.suppress(_StorageLostError):  # the states before are still there
                self._save()
