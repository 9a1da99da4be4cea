"""What one trial is: the typed form of an experiment file's `trial`, and its identity."""

import hashlib
import json
from typing import Any

from pydantic import ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from trainables.config import Config
from trainables.data import AnyData
from trainables.evaluation.config import EvaluationConfig
from trainables.models import AnyModel
from trainables.objectives import AnyObjective
from trainables.optimisation import TrainingConfig


class TrialConfig(Config):
    """One configuration of one training run and its evaluation.

    Refuses what no single section can see: a model on data it cannot read, an estimator on latents
    it cannot differentiate through.
    """

    data: AnyData
    model: AnyModel
    objective: AnyObjective
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _sections_fit(self) -> "TrialConfig":
        problems: dict[tuple[str, ...], str] = {}
        if self.data.kind != self.model.reads:
            problems["model", "name"] = (
                f"model {self.model.name!r} reads {self.model.reads}, but data "
                f"{self.data.name!r} is {self.data.kind}"
            )
        latents = self.model.latents.kind
        if mismatch := self.objective.refuses(latents):
            problems["objective", "estimator"] = mismatch
        if problems:
            raise ValidationError.from_exception_data(
                "TrialConfig",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("sections_do_not_fit", "{why}", {"why": why}),
                        loc=path,
                        input=None,
                    )
                    for path, why in problems.items()
                ],
            )
        return self

    def resolved(self) -> dict[str, Any]:
        """Give the whole configuration with every default filled in, as plain values."""
        return self.model_dump(mode="json", by_alias=True)


def config_hash(config: TrialConfig, data_sha256: str) -> str:
    """Hash what decides a trial's outcome besides its seed: configuration and data."""
    text = json.dumps([config.resolved(), data_sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def trial_id(config_hash: str, seed: int) -> str:
    """Name a trial after its identity; safe as a file name."""
    return f"{config_hash[:16]}-{seed}"
