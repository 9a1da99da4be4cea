"""One training run in plain torch: it can stop after any step and continue to the same bits."""

import copy
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables import optimisation
from trainables.data.corpus import Corpus
from trainables.evaluation.importance import trim
from trainables.evaluation.metrics import Metrics, evaluate
from trainables.trial import TrialConfig

_EVALUATIONS_APART = 0x9E3779B97F4A7C15  # no trial's own seed leads so far

ABSURD = 10  # times the NLL of a uniform guess; no trained model is there


class DivergedError(ArithmeticError):
    """The loss or a metric stopped being a finite number; the text says which and when."""


class TrainingRun:
    """A model, its objective and optimiser, and how far they have come.

    All randomness follows from `seed`: parameters, data order, dropout and samples. Runs leave
    torch's global generator as they find it, so several can take turns in one process.
    """

    def __init__(
        self, config: TrialConfig, seed: int, *, data_root: Path, device: str = "cpu"
    ) -> None:
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self.corpus: Corpus = config.data.load(data_root)
        self.step = 0
        self.train_seconds = self.eval_seconds = 0.0
        self.evaluations: list[dict[str, Any]] = []
        self._loss_sum, self._loss_steps = torch.zeros((), device=self.device), 0
        self._order = DataOrder(len(self.corpus.splits["train"]), config.training.batch_size, seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = config.model.create(self.corpus.vocabulary, self.corpus.shape)
            self.objective = config.objective.create(self.model).to(self.device)
            self.model.to(self.device)
            self._random = _random_state(self.device)
        self._parameters = [*self.model.parameters(), *self.objective.parameters()]
        self.optimizer = optimisation.create(config.training, self._parameters)

    @property
    def finished(self) -> bool:
        """Say whether every step is trained and the last one evaluated."""
        return self.step == self.config.training.steps and not self.evaluation_due

    @property
    def evaluation_due(self) -> bool:
        """Say whether the current step is to be evaluated and has not been."""
        every, steps = self.config.evaluation.every, self.config.training.steps
        last = self.evaluations[-1]["step"] if self.evaluations else 0
        wanted = self.step == steps or (every is not None and self.step % every == 0)
        return wanted and self.step > last

    def train(self, seconds: float = float("inf")) -> None:
        """Take steps until an evaluation is due or about `seconds` have passed.

        Raises `DivergedError` when the loss is no longer finite, or can no longer be computed.
        """
        start = time.perf_counter()
        self.model.train()
        self.objective.train()
        with self._own_randomness(), self._telling_divergence():
            while not self.evaluation_due and not self.finished:
                self._take_step()
                if self.device.type == "cpu" or self.step % 50 == 0 or self.evaluation_due:
                    self._refuse_divergence()
                if time.perf_counter() - start > seconds:
                    break
        self._synchronise()
        self.train_seconds += time.perf_counter() - start

    def adopt(self, model: Mapping[str, Tensor]) -> None:
        """Take over the state of a model that has been trained; only its evaluation remains.

        Raises what `load_state_dict` does where it is the state of another model.
        """
        self.model.load_state_dict(model)
        self.step = self.config.training.steps

    def evaluate(self) -> Metrics:
        """Measure the model as it is, and remember the result.

        Raises `DivergedError` when NLL or MI is not finite or cannot be computed, and when NLL is
        over ten times that of a uniform guess.
        """
        start = time.perf_counter()
        with self._telling_divergence():
            seed = (self.seed + _EVALUATIONS_APART * self.config.evaluation.seed) % 2**63
            metrics = evaluate(self.model, self.corpus, self.config.evaluation, seed)
        self._synchronise()
        self.eval_seconds += time.perf_counter() - start
        for name in ("nll", "mi"):
            if not torch.tensor(metrics[name]).isfinite():
                raise DivergedError(f"{name} is {metrics[name]} at step {self.step}")
        values = float(metrics["tokens"] or 1) * math.prod(self.corpus.shape)  # tokens or pixels
        guessing = values * math.log(self.corpus.vocabulary)
        name = "nll" if metrics["nll_exact"] is None else "nll_exact"
        if float(metrics[name] or 0) > ABSURD * guessing:
            raise DivergedError(
                f"{name} is {metrics[name]:.4g} at step {self.step}, over {ABSURD} times that of "
                "guessing uniformly"
            )
        metrics["train_loss"] = self.train_loss
        self._loss_sum, self._loss_steps = torch.zeros_like(self._loss_sum), 0
        self.evaluations.append({"step": self.step, **metrics, **self.cost()})
        return metrics

    @property
    def train_loss(self) -> float | None:
        """Give the mean training loss since the last evaluation."""
        return (self._loss_sum / self._loss_steps).item() if self._loss_steps else None

    def cost(self) -> dict[str, float | int]:
        """Give seconds spent so far, and the largest memory this process has ever held."""
        if self.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(self.device)
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {
            "train_seconds": self.train_seconds,
            "eval_seconds": self.eval_seconds,
            "steps_per_second": self.step / self.train_seconds if self.train_seconds else 0.0,
            "peak_memory_bytes": memory,
        }

    def state_dict(self) -> dict[str, Any]:
        """Give everything the rest of the run depends on, as tensors and plain values.

        They are the run's own, not copies: save them before it goes on.
        """
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self._random,
            "loss_sum": self._loss_sum,
            "loss_steps": self._loss_steps,
            "train_seconds": self.train_seconds,
            "eval_seconds": self.eval_seconds,
            "evaluations": self.evaluations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, which stays as it is."""
        state = copy.deepcopy(state)  # an optimiser works on the tensors that it is given
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._random = {name: value.cpu() for name, value in state["random"].items()}
        self._loss_sum = state["loss_sum"].to(self.device)
        self._loss_steps = state["loss_steps"]
        self.train_seconds, self.eval_seconds = state["train_seconds"], state["eval_seconds"]
        self.evaluations = list(state["evaluations"])

    def _take_step(self) -> None:
        x = trim(self.corpus.splits["train"][self._order.batch(self.step)])
        self.optimizer.zero_grad()
        loss = self.objective(self.model, x.to(self.device, non_blocking=True)).loss
        loss.backward()
        if self.config.training.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.config.training.clip_norm)
        self.optimizer.step()
        self._loss_sum += loss.detach()
        self._loss_steps += 1
        self.step += 1

    def _refuse_divergence(self) -> None:
        if not self._loss_sum.isfinite():
            raise DivergedError(f"the training loss is not finite at step {self.step}")

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def _telling_divergence(self) -> Iterator[None]:
        """Tell sampling that failed for parameters gone astray from any other failure."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            largest = torch.stack([p.detach().abs().max() for p in self._parameters]).max().item()
            if largest < torch.finfo(torch.float32).max ** 0.5:  # products of these are finite
                raise
            raise DivergedError(
                f"parameters as large as {largest:.3g} at step {self.step}"
            ) from error

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        with torch.random.fork_rng():
            torch.set_rng_state(self._random["cpu"])
            if "device" in self._random:
                torch.cuda.set_rng_state(self._random["device"], self.device)
            try:
                yield
            finally:
                self._random = _random_state(self.device)


class DataOrder:
    """Which observations each training step sees: one permutation after another.

    A function of the step and the seed alone, so a run that continues needs no memory of it.
    """

    def __init__(self, n_observations: int, batch_size: int, seed: int) -> None:
        self.n_observations, self.batch_size, self.seed = n_observations, batch_size, seed
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Tensor:
        """Give the indices of one batch, `[batch_size]`."""
        position, end = step * self.batch_size, (step + 1) * self.batch_size
        pieces = []
        while position < end:
            epoch, start = divmod(position, self.n_observations)
            stop = min(self.n_observations, start + end - position)
            pieces.append(self._permute(epoch)[start:stop])
            position += stop - start
        return torch.cat(pieces)

    def _permute(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed)
            generator.manual_seed(int(torch.randint(2**62, (), generator=generator)) + epoch)
            self._permutation = torch.randperm(self.n_observations, generator=generator)
            self._epoch = epoch
        return self._permutation


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    return state
