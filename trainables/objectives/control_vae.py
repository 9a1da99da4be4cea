"""ControlVAE: a controller sets the weight of the KL, so that the KL comes to a set point.

    E_q ln p(x|z) - weight(t) KL(q(z|x) || p(z))
    e(t) = set point - KL(t)
    weight(t) = kp / (1 + exp(e(t))) - ki sum_{j <= t} e(j) + beta_min, cut to its range

KL(t) is the mean of a batch, in nats. Shao et al. (2020), "ControlVAE: Controllable Variational
Autoencoder", https://arxiv.org/abs/2004.05988, Eq. 5 and Algorithm 1, and their code,
https://github.com/shj1987/ControlVAE-ICML2020, whose integral gain has the opposite sign.
"""

import math
from typing import Any, Literal

import torch
from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from torch import Tensor, nn

from trainables.config import Config, Count
from trainables.models import Model
from trainables.objectives.objective import ObjectiveConfig, ObjectiveOutput
from trainables.objectives.vae import ElboObjective, refuse_categorical

AntiWindup = Literal["conditional", "clamp", "freeze", "none"]


class Ramp(Config):
    """A set point that rises by `rise` every so many steps, from `start` to `kl_target`.

    The defaults are those of the published runs on dSprites, whose `kl_target` is 18.
    """

    start: PositiveFloat = 0.5
    rise: PositiveFloat = 0.15
    every: Count = 5_000

    def at(self, step: int, kl_target: float) -> float:
        """Give the set point of a training step, from 0."""
        return min(kl_target, self.start + self.rise * (step // self.every))


class ControlVae(ObjectiveConfig):
    """The ELBO with a weight on its KL that holds the KL at `kl_target` nats per observation.

    The gains and the range are those published for images and text; for dSprites they are
    `ki: 0.001`, `beta_min: 1`, `beta_max: null`, which is no limit, and a `ramp`.

    `anti_windup` says what keeps the integral from running away while the weight is at an end of
    its range. `conditional` lets it move out of the range no further than to its end. `clamp` cuts
    it to [0, beta_max - beta_min] by itself. `freeze` is published: it stands still for a step
    after every one whose weight had to be cut, which can lock it for good. `none` is what the
    published code for images and text does, for its test for freezing is never true.

    `weighs` says which batch a weight is for: the one whose KL it follows from, as published for
    images, or the next one, as published for text, whose first weight is `beta_min`.

    In evaluation mode the weight is 1.
    """

    name: Literal["control_vae"]
    kl_target: PositiveFloat = Field(description="set point of the KL, nats per observation")
    kp: NonNegativeFloat = 0.01
    ki: float = 1e-4
    beta_min: NonNegativeFloat = 0.0
    beta_max: PositiveFloat | None = Field(default=1.0, validate_default=True)
    anti_windup: AntiWindup = "conditional"
    weighs: Literal["same_batch", "next_batch"] = "same_batch"
    ramp: Ramp | None = None
    samples: Count = 1

    @model_validator(mode="before")
    @classmethod
    def _has_no_other_weight(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for other in ("annealing", "beta"):
                if given.get(other) is not None:
                    why = (
                        "control_vae sets the weight of the KL by itself; remove this, or use "
                        "objective vae"
                    )
                    raise _refusal(other, why)
        return given

    @field_validator("ki")
    @classmethod
    def _lowers_a_small_kl(cls, ki: float) -> float:
        if ki < 0:
            raise ValueError(
                f"ki is not negative here, where the published code has the other sign; use {-ki}"
            )
        return ki

    @field_validator("beta_max")
    @classmethod
    def _is_above_the_least(cls, beta_max: float | None, info: Any) -> float | None:
        beta_min = info.data.get("beta_min")
        if beta_max is not None and beta_min is not None and beta_max <= beta_min:
            raise ValueError(f"must be above beta_min, which is {beta_min}; got {beta_max}")
        return beta_max

    @field_validator("ramp")
    @classmethod
    def _starts_below_the_target(cls, ramp: Ramp | None, info: Any) -> Ramp | None:
        target = info.data.get("kl_target")
        if ramp is not None and target is not None and ramp.start >= target:
            raise ValueError(
                f"it rises from start {ramp.start} to kl_target {target}, so that has to be larger"
            )
        return ramp

    def refuses(self, latents: str) -> str | None:
        """Say that categorical latents cannot be trained, and what trains them."""
        return refuse_categorical(self.name, latents)

    def set_point(self, step: int) -> float:
        """Give the set point of a training step, from 0, in nats."""
        return self.kl_target if self.ramp is None else self.ramp.at(step, self.kl_target)

    def create(self, model: Model | None = None) -> "ControlVaeObjective":  # noqa: ARG002
        """Build the objective."""
        return ControlVaeObjective(self)


class PiController(nn.Module):
    """A non-linear proportional-integral controller; what it remembers is module state.

    `integral` is I(t) = I(t-1) - ki e(t), its part of the weight. All is in float64, and nothing
    waits for the device.
    """

    def __init__(self, config: ControlVae) -> None:
        super().__init__()
        self.config = config
        self.integral: Tensor
        self.reach: Tensor
        self.weight: Tensor
        self.register_buffer("integral", torch.zeros((), dtype=torch.float64))
        # How far the last weight was above `beta_min`, before it was cut to its range.
        self.register_buffer("reach", torch.zeros((), dtype=torch.float64))
        self.register_buffer("weight", torch.tensor(config.beta_min, dtype=torch.float64))

    @torch.no_grad()
    def advance(self, kl: Tensor, set_point: float) -> Tensor:
        """Take one step of control on a mean KL, and give the weight that follows from it."""
        config = self.config
        span = math.inf if config.beta_max is None else config.beta_max - config.beta_min
        error = set_point - kl.double()
        # A sigmoid of the argument turned round: exp(e) is not finite for large e.
        proportional = config.kp * torch.sigmoid(-error)
        before, after = self.integral, self.integral - config.ki * error
        match config.anti_windup:
            case "conditional":
                lowest = torch.minimum(before, -proportional)
                highest = torch.maximum(before, span - proportional)
                after = torch.clamp(after, lowest, highest)
            case "clamp":
                after = after.clamp(0.0, span)
            case "freeze":
                after = after.where((self.reach >= 0) & (self.reach <= span), before)
        self.integral.copy_(after)
        self.reach.copy_(proportional + after)
        self.weight.copy_(config.beta_min + self.reach.clamp(0.0, span))
        return self.weight.clone()


class ControlVaeObjective(ElboObjective):
    """The ELBO with the weight that its controller says.

    There is one step of control in each training step, on the first batch that it evaluates; all
    other passes of that step, such as inner updates of the encoder, have the same weight.
    """

    def __init__(self, config: ControlVae) -> None:
        super().__init__()
        self.config = config
        self.controller = PiController(config)
        self._set_point = config.set_point(0)
        self._weight: Tensor | None = None  # of this training step; none before its first pass

    def begin_step(self, step: int, steps_per_epoch: int) -> None:  # noqa: ARG002
        """Take note of the step; where a run continues, it is told again."""
        self._set_point = self.config.set_point(step)
        self._weight = None

    def weigh(self, kl: Tensor) -> Tensor:
        """Give the weight for a batch with this mean KL; it is 1 in evaluation mode."""
        if not self.training:
            return torch.ones_like(kl)
        if self._weight is None:
            before = self.controller.weight.clone()
            after = self.controller.advance(kl, self._set_point)
            self._weight = after if self.config.weighs == "same_batch" else before
        return self._weight.to(kl.dtype)

    def forward(self, model: Model, x: Tensor) -> ObjectiveOutput:
        """Estimate the negative weighted ELBO, averaged over the batch.

        Beside those of the ELBO, metrics are `kl_set_point`, that of this step, and
        `kl_integral`, the integral's part of the controller's last weight.
        """
        q = model.posterior(x)
        value, metrics = self.weighted_elbo(model, x, q, q.rsample((self.config.samples,)))
        metrics |= {
            "kl_set_point": value.new_full((), self._set_point),
            "kl_integral": self.controller.integral.clone(),
        }
        return ObjectiveOutput(-value, {"objective": value.detach(), **metrics})


def _refusal(field: str, why: str) -> ValidationError:
    error = PydanticCustomError("another_weight", "{why}", {"why": why})
    return ValidationError.from_exception_data(
        "ControlVae", [InitErrorDetails(type=error, loc=(field,), input=None)]
    )
