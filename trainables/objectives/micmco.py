"""Mutual-information-constrained Monte Carlo objectives (MICMCO).

    O(lambda, x) = ln p(x) + lambda KL(p(z|x) || p(z))

Averaged over the data the second term is the mutual information of x and z under the model. The
three forms below estimate O from the moments S, S_alpha and U of `trainables.estimators`.
With one sample all three are the beta-VAE, beta = 1 - lambda = 1 / alpha. Melis, György and
Blunsom (2022), "Mutual Information Constraints for Monte-Carlo Objectives to Prevent Posterior
Collapse Especially in Language Modelling".
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field, PositiveFloat, field_validator
from torch import Tensor

from trainables.config import Config, Count
from trainables.estimators import ESTIMATORS, Draw, Estimate, EstimatorName, LatentVariableModel
from trainables.models import Model
from trainables.objectives.objective import Objective, ObjectiveConfig, ObjectiveOutput

BASELINE_DECAY = 0.99
AT_THE_LIMIT = 1e-7  # |alpha - 1| where the KL form is as exact as the Rényi one in float64


class SplitSamples(Config):
    """Different numbers of samples for the two terms of O; the smaller is part of the larger.

    The KL term, U - S or its Rényi form, has an ln p(x) of its own, and `evidence_in_kl` says of
    which samples. With those of `kl` it is an estimator of the divergence by itself. With those of
    `log_evidence` all S of O are one, and `kl` is the number for U or S_alpha alone.

    Not all have a maximum. Let q have the variance s^2 in one dimension that the decoder ignores:
    then KL(q||p) grows as s^2 / 2, and -S of K samples as the least of K squared normal draws
    times that, 0.01 of it for K = 16. Trials diverge

    - with `kl: 1` and the evidence of `kl`, where the KL term is ln q(z|x) - ln p(z) of one sample
      whatever alpha is: from lambda = 0.01 on for K = 16;
    - with `kl: 1` and the evidence of `log_evidence`: for lambda below 0, and alpha below 1;
    - with `log_evidence: 1` and its evidence: in the Rényi form for lambda above 1 - 1 / alpha,
      where the weight of S is negative.
    """

    log_evidence: Count
    kl: Count
    evidence_in_kl: Literal["kl", "log_evidence"] = "kl"


def _largest(samples: int | SplitSamples) -> int:
    return samples if isinstance(samples, int) else max(samples.log_evidence, samples.kl)


class Moment(NamedTuple):
    """One moment of the first K samples: S_alpha, or U where `alpha` is none."""

    K: int
    alpha: float | None


class _Micmco(ObjectiveConfig):
    """What the objectives share: an estimator, its samples and its baseline."""

    may_split: ClassVar[bool] = True

    estimator: EstimatorName
    samples: Count | SplitSamples = Field(default=1, validate_default=True)
    baseline: Literal["moving_average", "none"] | None = Field(
        default=None, description="what REINFORCE subtracts from its signal"
    )

    @field_validator("samples")
    @classmethod
    def _are_defined(cls, samples: int | SplitSamples, info: Any) -> int | SplitSamples:
        estimator, K = info.data.get("estimator"), _largest(samples)
        if isinstance(samples, SplitSamples) and not cls.may_split:
            raise ValueError("this objective has a single term; give one number of samples")
        if estimator == "vimco" and K == 1:
            raise ValueError(
                "VIMCO leaves one sample out, so it needs samples >= 2; "
                "with one sample use estimator: reinforce"
            )
        if estimator and ESTIMATORS[estimator].only_one_sample and K > 1:
            raise ValueError(
                f"STL is biased for more than one sample (got {K}); "
                "use estimator: dreg, which is its form for many samples, or samples: 1"
            )
        return samples

    @field_validator("baseline")
    @classmethod
    def _belongs_to_reinforce(cls, baseline: str | None, info: Any) -> str | None:
        estimator, samples = info.data.get("estimator", "reinforce"), info.data.get("samples")
        if isinstance(samples, SplitSamples) and min(samples.log_evidence, samples.kl) == 1:
            estimator = {"vimco": "reinforce"}.get(estimator, estimator)  # that term is
        if baseline and estimator != "reinforce":
            raise ValueError(
                f"estimator {estimator} takes no baseline; remove it, or use reinforce"
            )
        return baseline

    @property
    def K(self) -> int:  # noqa: N802
        """The number of samples to draw."""
        return _largest(self.samples)

    @property
    def K_log_evidence(self) -> int:  # noqa: N802
        """The number of samples of the ln p(x) term."""
        return self.samples if isinstance(self.samples, int) else self.samples.log_evidence

    @property
    def K_kl(self) -> int:  # noqa: N802
        """The number of samples of the KL term."""
        return self.samples if isinstance(self.samples, int) else self.samples.kl

    @property
    def K_evidence_in_kl(self) -> int:  # noqa: N802
        """The number of samples of ln p(x) within the KL term."""
        if isinstance(self.samples, int):
            return self.samples
        return int(getattr(self.samples, self.samples.evidence_in_kl))

    def refuses(self, latents: str) -> str | None:
        """Say why the estimator cannot train `latents`, if it cannot, and what can."""
        if latents == "categorical" and ESTIMATORS[self.estimator].needs_reparameterisation:
            return (
                f"estimator {self.estimator} differentiates through z, which categorical latents "
                "do not allow; use reinforce or vimco"
            )
        return None

    @abstractmethod
    def terms(self) -> dict[Moment, float]:
        """Write O as a weighted sum of moments."""

    def _kl_terms(self, weight: float) -> dict[Moment, float]:
        return _sum(
            (Moment(self.K_log_evidence, 1.0), 1.0),
            (Moment(self.K_kl, None), weight),
            (Moment(self.K_evidence_in_kl, 1.0), -weight),
        )

    def create(self, model: Model | None = None) -> "Micmco":  # noqa: ARG002
        """Build the objective."""
        return Micmco(self)


class Bound(_Micmco):
    """S alone, which is lambda = 0: the ELBO, the IWAE bound and their like."""

    may_split: ClassVar[bool] = False

    name: Literal["bound"]

    def terms(self) -> dict[Moment, float]:
        """O = S."""
        return {Moment(self.K, 1.0): 1.0}


Lambda = Annotated[float, Field(alias="lambda", le=1.0)]


class Kl(_Micmco):
    """The KL objective: O = (1 - lambda) S + lambda U."""

    name: Literal["kl"]
    lambda_: Lambda

    def terms(self) -> dict[Moment, float]:
        """O = S + lambda (U - S)."""
        return self._kl_terms(self.lambda_)


class Renyi(_Micmco):
    """The Rényi objective: O = S + lambda (S_alpha - alpha S) / (alpha - 1)."""

    name: Literal["renyi"]
    lambda_: Lambda
    alpha: PositiveFloat

    @field_validator("alpha")
    @classmethod
    def _is_not_one(cls, alpha: float) -> float:
        if alpha == 1:
            raise ValueError(
                "the Rényi divergence is not defined at alpha = 1; its limit is objective: kl"
            )
        return alpha

    def terms(self) -> dict[Moment, float]:
        """O = S + lambda (S_alpha - alpha S) / (alpha - 1).

        Closest to alpha = 1 the difference has fewer correct digits than the KL form, its limit,
        which is of order |alpha - 1| away.
        """
        if abs(self.alpha - 1) < AT_THE_LIMIT:
            return self._kl_terms(self.lambda_)
        weight = self.lambda_ / (self.alpha - 1)
        return _sum(
            (Moment(self.K_log_evidence, 1.0), 1.0),
            (Moment(self.K_kl, self.alpha), weight),
            (Moment(self.K_evidence_in_kl, 1.0), -weight * self.alpha),
        )


class Power(_Micmco):
    """The power objective: O = S_alpha / alpha, the Rényi one at lambda = (alpha - 1) / alpha."""

    may_split: ClassVar[bool] = False

    name: Literal["power"]
    alpha: PositiveFloat

    def terms(self) -> dict[Moment, float]:
        """O = S_alpha / alpha."""
        return {Moment(self.K, self.alpha): 1 / self.alpha}


def _sum(*terms: tuple[Moment, float]) -> dict[Moment, float]:
    """Add the weights of equal moments."""
    total: dict[Moment, float] = {}
    for moment, weight in terms:
        total[moment] = total.get(moment, 0.0) + weight
    return total


class Micmco(Objective):
    """A weighted sum of moments of one draw, and the running means its baselines need."""

    def __init__(self, config: _Micmco) -> None:
        super().__init__()
        self.config = config
        self.estimator = ESTIMATORS[config.estimator]
        # A VIMCO term of one sample has no others to compare with, and is REINFORCE.
        scores = config.estimator == "reinforce" or (
            config.estimator == "vimco" and min(config.K_log_evidence, config.K_kl) == 1
        )
        self.uses_baseline = scores and config.baseline != "none"
        # For each term of the objective: the decayed sum of its values, and of the weights.
        self.past_values: Tensor
        self.past_weight: Tensor
        self.register_buffer("past_values", torch.zeros(3))
        self.register_buffer("past_weight", torch.zeros(()))

    def forward(self, model: LatentVariableModel, x: Tensor) -> ObjectiveOutput:
        """Estimate -O, averaged over the batch, and its gradient from fresh samples of q(z|x)."""
        # Moments near alpha = 1 differ by less than float32 tells, and `[K, batch]` is little.
        draw = self.estimator.draw(model, x, self.config.K).double()
        terms = self.config.terms()
        baselines = self._baselines(len(terms))
        estimates = [
            self._estimate(draw.first(moment.K)._replace(baseline=baseline), moment)
            for moment, baseline in zip(terms, baselines, strict=True)
        ]
        if self.training and self.uses_baseline:
            self._remember([estimate.bound.mean() for estimate in estimates])
        weighted = list(zip(terms.values(), estimates, strict=True))
        value = sum(weight * estimate.bound.mean() for weight, estimate in weighted)
        surrogate = sum(weight * estimate.surrogate.mean() for weight, estimate in weighted)
        assert isinstance(surrogate, Tensor)
        loss = -(value + (surrogate - surrogate.detach()))  # a surrogate may be far larger
        return ObjectiveOutput(loss, {"objective": -loss.detach()})

    def _estimate(self, draw: Draw, moment: Moment) -> Estimate:
        if moment.alpha is None:
            return self.estimator.reconstruction(draw)
        return self.estimator.log_evidence(draw, moment.alpha)

    def _baselines(self, n_terms: int) -> Sequence[Tensor | None]:
        """Give each term's mean over earlier batches, which knows nothing of this draw."""
        if not self.uses_baseline:
            return [None] * n_terms
        means = self.past_values / self.past_weight.clamp(min=1 - BASELINE_DECAY)
        return list(means[:n_terms])

    def _remember(self, values: list[Tensor]) -> None:
        new = torch.stack(values).to(self.past_values)
        self.past_values[: len(new)].mul_(BASELINE_DECAY).add_(new, alpha=1 - BASELINE_DECAY)
        self.past_weight.mul_(BASELINE_DECAY).add_(1 - BASELINE_DECAY)
