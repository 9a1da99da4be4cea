"""The Ray Trainable: a thin shell round `TrainingRun`, and the only Ray import of this room."""

import contextlib
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ray import tune

from trainables import checkpoint, failures
from trainables.data.files import DataError
from trainables.training import DivergedError, TrainingRun
from trainables.trial import TrialConfig

REPORT_SECONDS = 1.0  # how long a step of Tune's trains, hence how soon a trial can stop
WORTH_SAVING_SECONDS = 5.0  # of training that an evaluation, which can be long, puts at stake


class Assignment(NamedTuple):
    """What a worker is told to train, and where it may keep its state meanwhile.

    A trained `model` that is there is only evaluated. `keep` is where the trained model goes.
    """

    trial: dict[str, Any]  # the resolved `TrialConfig`
    seed: int
    data_root: str
    checkpoint: str
    device: str = "cpu"
    threads: int = 1
    checkpoint_seconds: float = 60.0
    model: str | None = None
    keep: str | None = None


class LatentVariableTrial(tune.Trainable):
    """Ray's view of one training run; the run knows nothing of Ray.

    Every way a trial can end is a result with a `status` ("done", "diverged" or "failed") and a
    `reason`, so that none of them is lost. A trial whose data cannot be read has not ended: it is
    "blocked", which is no fault of its own.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take an assignment; the work begins with the first step."""
        self.assignment = Assignment(**config)
        self.training: TrainingRun | None = None
        self.saved_at = time.monotonic()

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
        except Exception as error:  # the sweep goes on, and the row says what happened
            status = "failed"
            reason, full = failures.describe(error)
        ended = status != "running"
        run = self.training
        return {
            "done": ended,
            "status": status,
            "reason": reason,
            "traceback": full,
            "step": run.step if run else 0,
            "n_steps": run.n_steps if run else None,
            "evaluations": run.evaluations if run and ended else [],
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
            run.train(seconds=REPORT_SECONDS)
        if run.finished:
            self._keep(run)
            return "done"
        if time.monotonic() - self.saved_at > self.assignment.checkpoint_seconds:
            self._save()
        return "running"

    def _begin(self) -> TrainingRun:
        task = self.assignment
        torch.set_num_threads(task.threads)
        config = TrialConfig.model_validate(task.trial)
        new = partial(
            TrainingRun, config, task.seed, data_root=Path(task.data_root), device=task.device
        )
        trained = checkpoint.adopt_model(new, Path(task.model)) if task.model else None
        self.training = trained or checkpoint.restore(new, Path(task.checkpoint))
        return self.training

    def _keep(self, run: TrainingRun) -> None:
        if self.assignment.keep is not None:
            with contextlib.suppress(OSError):  # it can be trained again
                checkpoint.save_model(run, Path(self.assignment.keep))

    def _save(self) -> None:
        if self.training is not None:
            # A full disk costs the state, not the trial; the driver tells of it in time.
            with contextlib.suppress(OSError):
                checkpoint.save(self.training, Path(self.assignment.checkpoint))
            self.saved_at = time.monotonic()

    def _device_name(self) -> str:
        if self.assignment.device.startswith("cuda"):
            return torch.cuda.get_device_name(self.assignment.device)
        return self.assignment.device

    def cleanup(self) -> None:
        """Keep the state of a trial that is stopped before its end."""
        if self.training is not None and not self.training.finished:
            self._save()
