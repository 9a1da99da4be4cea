"""One training run in plain torch: it can stop after any step and continue to the same bits."""

import copy
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables import optimisation
from trainables.adversarial import Attack
from trainables.data.corpus import PAD, Corpus
from trainables.evaluation.meters import Table, measure
from trainables.evaluation.metrics import Metrics, evaluate
from trainables.feeding import Measure, TrainingData, Validation
from trainables.learner import Learner
from trainables.means import TrainingMeans
from trainables.passes import counted
from trainables.pretraining import Pretrainer, reserve
from trainables.randomness import make_reproducible, random_state
from trainables.trial import TrialConfig

_EVALUATIONS_APART = 0x9E3779B97F4A7C15  # no trial's own seed leads so far
_VALIDATIONS_APART = 0x3C6EF372FE94F82A  # nor here, nor does any evaluation's

ABSURD = 10  # times the NLL of a uniform guess; no trained model is there


class DivergedError(ArithmeticError):
    """The loss or a metric stopped being a finite number; the text says which and when."""


class TrainingRun:
    """A model, its objective and optimiser, and how far they have come.

    A run has at most `n_steps` steps; a schedule may end it before. Whether with its last step or
    before, a run with a schedule ends with the best weights that were validated.

    All randomness follows from `seed`: parameters, data order, dropout and samples. Runs leave
    torch's global generator as they find it, so several can take turns in one process. A run on a
    GPU makes the process choose deterministic kernels from then on.
    """

    def __init__(
        self, config: TrialConfig, seed: int, *, data_root: Path, device: str = "cpu"
    ) -> None:
        self.config, self.seed, self.device = config, seed, torch.device(device)
        make_reproducible(self.device)
        self.corpus: Corpus = config.data.load(data_root)
        self.step = 0
        self._adopted = False
        self._checked = 0  # the last step that the schedule and the procedure have looked at
        self.train_seconds = self.eval_seconds = 0.0
        self.evaluations: list[dict[str, Any]] = []
        self._means = TrainingMeans(self.device)
        training = config.training
        batched = (training.batching, training.batch_size)
        beforehand = training.pretraining
        shares = None if beforehand is None else reserve(self.corpus, beforehand.share)
        trained = self.corpus if shares is None else shares.training
        self._data = TrainingData(trained, *batched, seed, self.device)
        n_observations = len(trained.splits["train"])
        if why := config.objective.refuses_batches(training.batch_size, n_observations):
            raise ValueError(f"objective {config.objective.name!r}: {why}")
        apart = (seed + _VALIDATIONS_APART) % 2**63
        self._validation = Validation(self.corpus, *batched, apart, self.device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = config.model.create(self.corpus.vocabulary, self.corpus.shape)
            self.model.start_from(trained)
            self.objective = config.objective.create(self.model).to(self.device)
            self.model.to(self.device)
            self._random = random_state(self.device)
        self._learner = Learner(
            self.model,
            self.objective,
            partial(optimisation.create, training),
            training.learning_rate,
            training.clip_norm,
            None if training.adversarial is None else Attack(training.adversarial),
        )
        self._schedule = training.schedule.create() if training.schedule else None
        self._procedure = training.procedure.create(config.data.kind)
        self._pretrainer: Pretrainer | None = None  # nor when it is done
        self._n_before = 0  # steps of pre-training
        if beforehand is not None and shares is not None:
            reserved = TrainingData(shares.reserved, *batched, seed, self.device)
            with self._own_randomness():
                self._pretrainer = Pretrainer(beforehand, self._learner, reserved)
            self._reserved, self._n_before = reserved, self._pretrainer.n_steps

    @property
    def steps_per_epoch(self) -> int:
        """How many steps go once through the training data, rounded up."""
        return self._data.order.steps_per_epoch

    @property
    def n_steps(self) -> int:
        """How many steps the run has, unless its schedule ends it before.

        Those of pre-training, which come first, are among them.
        """
        training = self.config.training
        if training.steps is not None:
            return self._n_before + training.steps
        assert training.epochs is not None  # as the configuration makes sure
        return self._n_before + self._data.order.steps(training.epochs)

    @property
    def finished(self) -> bool:
        """Say whether every step is trained and the last one evaluated."""
        return self._trained and not self._check_due and not self.evaluation_due

    @property
    def evaluation_due(self) -> bool:
        """Say whether the current step is to be evaluated and has not been."""
        if self._check_due:  # which may load other weights
            return False
        every = self.config.evaluation.every
        last = self.evaluations[-1]["step"] if self.evaluations else 0
        wanted = self._trained or (every is not None and self.step % every == 0)
        # While the encoder is trained beforehand, nothing has come of the decoder yet.
        return wanted and self.step > max(last, self._n_before)

    @property
    def _steps_proper(self) -> int:
        """How many steps there have been without those of pre-training."""
        return max(0, self.step - self._n_before)

    @property
    def _trained(self) -> bool:
        stopped = self._schedule is not None and self._schedule.stops
        return self._adopted or stopped or self.step == self.n_steps

    @property
    def _check_due(self) -> bool:
        """Say whether the validation set is to be looked at before anything else happens."""
        return self.step > self._checked and (self._schedule_due or self._epoch_watched)

    @property
    def _schedule_due(self) -> bool:
        step = self._steps_proper
        if self._schedule is None or step == 0:
            return False
        if self.step == self.n_steps:
            return True
        every = self._schedule.config.every
        return self._data.order.ends_epoch(step) if every is None else step % every == 0

    @property
    def _epoch_watched(self) -> bool:
        return self._procedure.watches_epochs and self._data.order.ends_epoch(self._steps_proper)

    def train(self, seconds: float = float("inf"), steps: int | None = None) -> None:
        """Take steps until an evaluation is due, `steps` are taken or `seconds` have about passed.

        A step with its inner updates, or one look at the validation set, is finished whatever the
        time. Both are part of the method, and of `train_seconds`.

        Raises `DivergedError` when the loss is no longer finite, or can no longer be computed.
        """
        start, last = time.perf_counter(), math.inf if steps is None else self.step + steps
        self.model.train()
        self.objective.train()
        with self._own_randomness(), self._telling_divergence():
            while not self.evaluation_due and not self.finished and self.step < last:
                if self._check_due:
                    self._check()
                else:
                    with counted(self._learner.passes):
                        self._take_step()
                if self.device.type == "cpu" or self.step % 50 == 0 or self.evaluation_due:
                    self._refuse_divergence()
                if time.perf_counter() - start > seconds:
                    break
        self._synchronise()
        self.train_seconds += time.perf_counter() - start

    def trained_state(self) -> dict[str, Any]:
        """Give what `adopt` takes: the trained model, its last step and what it took."""
        return {
            "model": self.model.state_dict(),
            "step": self.step,
            **self._learner.spent(),
        }

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Take over a model that has been trained; only its evaluation remains.

        Raises what `load_state_dict` does where it is the state of another model.
        """
        self.model.load_state_dict(state["model"])
        self.step = self._checked = state["step"]
        self._learner.load_spent(state)
        self._adopted = True

    def evaluate(self) -> Metrics:
        """Measure the model as it is, and remember the result; gives its figures.

        Tables of meters are remembered with it, under "tables". Raises `DivergedError` when NLL or
        MI is not finite or cannot be computed, and when NLL is over ten times that of a uniform
        guess.
        """
        start = time.perf_counter()
        with self._telling_divergence():
            seed = (self.seed + _EVALUATIONS_APART * self.config.evaluation.seed) % 2**63
            metrics = evaluate(self.model, self.corpus, self.config.evaluation, seed)
        self._synchronise()
        self.eval_seconds += time.perf_counter() - start
        for name in ("nll", "mi"):
            if metrics[name] is not None and not torch.tensor(metrics[name]).isfinite():
                raise DivergedError(f"{name} is {metrics[name]} at step {self.step}")
        guessing = _elements(self.corpus.splits[self.config.evaluation.split]) * math.log(
            self.corpus.vocabulary
        )
        name = "nll" if metrics["nll_exact"] is None else "nll_exact"
        if float(metrics[name] or 0) > ABSURD * guessing:
            raise DivergedError(
                f"{name} is {metrics[name]:.4g} at step {self.step}, over {ABSURD} times that of "
                "guessing uniformly"
            )
        figures, tables = self._measure(seed)
        metrics |= figures | self._means.figures()
        self._means.clear()
        evaluation = {"step": self.step, **metrics, **self.cost()}
        self.evaluations.append(evaluation | ({"tables": tables} if tables else {}))
        return metrics

    def _measure(self, seed: int) -> tuple[Metrics, dict[str, Table]]:
        """Measure with the meters that are asked for at this step."""
        meters = self.config.evaluation.meters
        if meters is None or not (self._trained or meters.at == "every"):
            return {}, {}
        start = time.perf_counter()
        found = measure(self.model, self.corpus, self.config.evaluation, seed)
        self.eval_seconds += time.perf_counter() - start
        return found

    @property
    def train_loss(self) -> float | None:
        """Give the mean training loss since the last evaluation."""
        return self._means.loss

    def cost(self) -> dict[str, float | int]:
        """Give seconds spent so far, and the largest memory this process has ever held.

        `updates` counts updates of parameters, those of inner loops and of pre-training too, and
        `epochs` the passes over the training data, to which inner loops add nothing. There are the
        figures of `trainables.passes` too, unless the run began before these were counted.
        """
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
            "updates": self._learner.updates,
            "epochs": self._epochs(),
            **(passes.figures() if (passes := self._learner.passes) else {}),
        }

    def _epochs(self) -> float:
        """Give how often all training observations have been seen, those reserved too."""
        passes = self._data.order.passes(self._steps_proper)
        if self._n_before == 0:
            return passes
        n, n_reserved = (len(d.corpus.splits["train"]) for d in (self._data, self._reserved))
        beforehand = self._reserved.order.passes(min(self.step, self._n_before))
        return (passes * n + beforehand * n_reserved) / (n + n_reserved)

    def state_dict(self) -> dict[str, Any]:
        """Give everything the rest of the run depends on, as tensors and plain values.

        They are the run's own, not copies: save them before it goes on.
        """
        return {
            "step": self.step,
            "checked": self._checked,
            **self._learner.state_dict(),
            "procedure": self._procedure.state_dict(),
            "schedule": self._schedule.state_dict() if self._schedule else None,
            "pretraining": self._pretrainer.state_dict() if self._pretrainer else None,
            "random": self._random,
            "means": self._means.state_dict(),
            "train_seconds": self.train_seconds,
            "eval_seconds": self.eval_seconds,
            "evaluations": self.evaluations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, which stays as it is."""
        state = copy.deepcopy(state)  # an optimiser works on the tensors that it is given
        self.step, self._checked = state["step"], state["checked"]
        self._learner.load_state_dict(state)
        self._procedure.load_state_dict(state["procedure"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])
        if state["pretraining"] is None:
            self._pretrainer = None
        elif self._pretrainer is not None:
            self._pretrainer.load_state_dict(state["pretraining"])
        self._random = {name: value.cpu() for name, value in state["random"].items()}
        self._means.load_state_dict(state["means"])
        self.train_seconds, self.eval_seconds = state["train_seconds"], state["eval_seconds"]
        self.evaluations = list(state["evaluations"])

    def _take_step(self) -> None:
        if self._pretrainer is not None:
            self._means.add(self._pretrainer.take_step(self.step), {})
            self.step += 1
            if self.step == self._n_before:
                self._refuse_divergence()
                self._means.clear()  # losses of another kind
                self._pretrainer = None
            return
        self.objective.begin_step(self._steps_proper, self.steps_per_epoch)
        loss = self._procedure.take_step(self._learner, self._data, self._steps_proper)
        # A procedure ends with the step's own batch, so these are no inner update's.
        self._means.add(loss, self._learner.metrics)
        self.step += 1

    def _check(self) -> None:
        """Let the procedure and the schedule look at the validation set after a step."""
        if self._epoch_watched and self.step < self.n_steps:
            self._procedure.end_epoch(self._validate)
        if self._schedule is not None:
            if self._schedule_due:
                loss = self._validate(self._schedule.figure, self._schedule.config.limit)
                # The epoch that the step before began in: over now, or still under way.
                epoch = self._data.order.epochs_over(self._steps_proper - 1)
                self._schedule.check(self._learner, loss, epoch)
            if self._trained:
                self._schedule.finish(self._learner)
        self._checked = self.step

    def _validate(self, figure: Measure, limit: int | None) -> float:
        value = self._validation.measure(self.model, figure, limit)
        if not math.isfinite(value):
            name = figure.__name__.replace("_", " ")
            raise DivergedError(f"the {name} of validation is {value} at step {self.step}")
        return value

    def _refuse_divergence(self) -> None:
        if not self._means.is_finite:
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
            largest = (
                torch.stack([p.detach().abs().max() for p in self._learner.parameters])
                .max()
                .item()
            )
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
                self._random = random_state(self.device)


def _elements(x: Tensor) -> float:
    """Give the mean number of tokens or pixels of an observation."""
    return (x.numel() if x.dim() > 2 else (x != PAD).sum().item()) / len(x)
