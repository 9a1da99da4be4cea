"""The best weights kept by validation, and learning rates that fall when it stops getting better.

`KeepBest` keeps weights and does no more. `Plateau` is the schedule of He et al. (2019), "Lagging
Inference Networks and Posterior Collapse in Variational Autoencoders", as their code has it: after
every epoch the validation loss is compared with a reference. Once it has been worse `patience`
times in a row, from epoch `first_epoch` on, the best weights so far are loaded, the optimiser
starts anew at `factor` times its learning rate, and after `max_decays` of these training is over.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from trainables.config import Config, Count
from trainables.feeding import Measure, elbo_loss, importance_loss
from trainables.learner import Learner


class _Checked(Config):
    """What both share. `ends_early` says whether training may have fewer steps than its length."""

    ends_early: ClassVar[bool]

    every: Count | None = Field(default=None, description="steps between checks, not an epoch")
    limit: Count | None = Field(default=None, description="validation observations of a check")


class KeepBest(_Checked):
    """No other learning rates: training ends with the weights of the lowest validation NLL.

    The NLL is by importance sampling with `samples` samples of z an observation, as evaluation
    has it, so that weights are chosen by what is reported and not by the objective. Where q(z|x)
    is certain of one z it is the bound -ln p(z) p(x|z).

    Where an objective asks for information at the price of NLL, early weights that have neither
    been fitted nor use their latents may be the best.

    A check follows every epoch or, with `every`, that many steps, on all or `limit` of the
    validation observations. The last step is always checked.
    """

    ends_early: ClassVar[bool] = False

    kind: Literal["keep_best"]
    samples: Count = 16

    def create(self) -> "KeepBestSchedule":
        """Build what does it."""
        return KeepBestSchedule(self)


class Plateau(_Checked):
    """A learning-rate schedule on the validation loss, which is -ELBO with one sample of z.

    The defaults are those for text; for images `patience: 20`, `first_epoch: 0`, `against: best`.

    `against` says what a loss has to beat. The `best` loss is the lowest of all. The `reference`
    is the last loss that was no worse than the reference before it, and a decay makes it the
    current, worse, loss: after a decay a loss may pass that is far from the best. Losses that are
    worse count from the start, so the first decay can fall on epoch `first_epoch` itself.

    A check follows every epoch or, with `every`, that many steps, on all or `limit` of the
    validation observations. The last step is always checked.
    """

    ends_early: ClassVar[bool] = True

    kind: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: Count = Field(default=2, description="worse losses in a row before a decay")
    first_epoch: int = Field(default=15, ge=0, description="from 0; no decay before its end")
    max_decays: Count = Field(default=5, description="decays after which training is over")
    against: Literal["reference", "best"] = "reference"

    def create(self) -> "PlateauSchedule":
        """Build what does it."""
        return PlateauSchedule(self)


AnySchedule = Annotated[Plateau | KeepBest, Field(discriminator="kind")]


class Verdict(NamedTuple):
    """What follows from a validation loss."""

    is_best: bool
    decays: bool


class PlateauRule:
    """The rule alone: it is told losses and says what follows."""

    def __init__(self, config: Plateau) -> None:
        self.config = config
        self.best: float | None = None
        self.reference: float | None = None
        self.n_worse, self.n_decays = 0, 0

    @property
    def stops(self) -> bool:
        """Say whether training is over."""
        return self.n_decays >= self.config.max_decays

    def judge(self, loss: float, epoch: int) -> Verdict:
        """Take note of the loss after a part of epoch `epoch`, from 0.

        A loss that equals the reference is no worse; one that equals the best is no better.
        """
        is_best = self.best is None or loss < self.best
        if self.config.against == "best":
            is_worse = not is_best
        else:
            is_worse = self.reference is not None and loss > self.reference
        if is_best:
            self.best = loss
        self.n_worse = self.n_worse + 1 if is_worse else 0
        decays = self.n_worse >= self.config.patience and epoch >= self.config.first_epoch
        if decays:
            self.n_worse = 0
            self.n_decays += 1
        if decays or not is_worse:
            self.reference = loss
        return Verdict(is_best, decays)

    def state_dict(self) -> dict[str, Any]:
        """Give all that is remembered, as plain values."""
        names = ("best", "reference", "n_worse", "n_decays")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.best, self.reference = state["best"], state["reference"]
        self.n_worse, self.n_decays = state["n_worse"], state["n_decays"]


class Schedule(ABC):
    """Looks at the validation set now and then, and keeps a learner's best weights."""

    config: _Checked

    def __init__(self) -> None:
        self._best: dict[str, Any] | None = None

    @property
    @abstractmethod
    def figure(self) -> Measure:
        """What is measured on the validation set; the lowest is best."""

    @property
    def stops(self) -> bool:
        """Say whether training is over."""
        return False

    @abstractmethod
    def check(self, learner: Learner, loss: float, epoch: int) -> None:
        """Act on the figure of the learner as it is, after a part of epoch `epoch`, from 0."""

    def finish(self, learner: Learner) -> None:
        """Give the learner the best weights of all checks."""
        if self._best is not None:
            learner.load_weights(self._best)

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Give what is remembered, the best weights too; no copies."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, whose tensors are taken over."""


class KeepBestSchedule(Schedule):
    """Remembers the lowest NLL and its weights; of equal ones, the first."""

    def __init__(self, config: KeepBest) -> None:
        super().__init__()
        self.config = config
        self._samples = config.samples
        self._lowest: float | None = None

    @property
    def figure(self) -> Measure:
        """The NLL by importance sampling."""
        return importance_loss(self._samples)

    def check(self, learner: Learner, loss: float, epoch: int) -> None:  # noqa: ARG002
        """Keep the learner's weights where they are the best so far."""
        if self._lowest is None or loss < self._lowest:
            self._lowest, self._best = loss, learner.weights()

    def state_dict(self) -> dict[str, Any]:
        """Give what is remembered, the best weights too; no copies."""
        return {"lowest": self._lowest, "weights": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, whose tensors are taken over."""
        self._lowest, self._best = state["lowest"], state["weights"]


class PlateauSchedule(Schedule):
    """The rule at work on a learner."""

    def __init__(self, config: Plateau) -> None:
        super().__init__()
        self.config, self.rule = config, PlateauRule(config)
        self._factor = config.factor

    @property
    def figure(self) -> Measure:
        """The loss by which He et al. choose their models."""
        return elbo_loss

    @property
    def stops(self) -> bool:
        """Say whether training is over."""
        return self.rule.stops

    def check(self, learner: Learner, loss: float, epoch: int) -> None:
        """Act on the validation loss of the learner as it is."""
        verdict = self.rule.judge(loss, epoch)
        if verdict.is_best:
            self._best = learner.weights()
        if verdict.decays:
            self.finish(learner)
            learner.begin_again(self._factor * learner.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Give what is remembered, the best weights too; no copies."""
        return {**self.rule.state_dict(), "weights": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, whose tensors are taken over."""
        self.rule.load_state_dict(state)
        self._best = state["weights"]
