"""What one trial is: the typed form of an experiment file's `trial`, and its identity."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from trainables.config import Config
from trainables.data import AnyData
from trainables.data.corpus import DataConfig
from trainables.evaluation.config import EvaluationConfig
from trainables.models import AnyModel
from trainables.objectives import AnyObjective, ObjectiveConfig
from trainables.optimisation import TrainingConfig

_TELLS_APART = (
    "tells the observations of a batch of B from one another, which shows at most ln B nats of "
    "information"
)


class TrialConfig(Config):
    """One configuration of one training run and its evaluation.

    Refuses what no single section can see: a model on data it cannot read, an estimator on latents
    it cannot differentiate through, batches too small for the objective.
    """

    # In this order: each validator below compares a section with one before it.
    model: AnyModel
    objective: AnyObjective
    data: AnyData
    training: TrainingConfig
    evaluation: Annotated[EvaluationConfig, Field(validate_default=True)] = EvaluationConfig()

    # Validators of fields, so that they speak even where another section is wrong too.
    @field_validator("objective")
    @classmethod
    def _trains_the_latents(cls, objective: ObjectiveConfig, info: Any) -> ObjectiveConfig:
        model = info.data.get("model")
        if model is not None and (why := objective.refuses_model(model)):
            names = model.latents.kind == "vq" or "estimator" not in type(objective).model_fields
            field = "name" if names else "estimator"
            raise _mismatch(field, why)
        return objective

    @field_validator("data")
    @classmethod
    def _suits_the_model(cls, data: DataConfig, info: Any) -> DataConfig:
        model = info.data.get("model")
        if model is not None and data.kind != model.reads:
            why = (
                f"data {data.name!r} is {data.kind}, but model {model.name!r} reads {model.reads}"
            )
            raise _mismatch("name", why)
        if model is not None and (why := model.refuses(data.shape)):
            raise _mismatch("side" if "side" in type(data).model_fields else "name", why)
        return data

    @field_validator("training")
    @classmethod
    def _has_large_enough_batches(cls, training: TrainingConfig, info: Any) -> TrainingConfig:
        for part, what in (("objective", _TELLS_APART), ("model", "normalises batches")):
            asks = info.data.get(part)
            if asks is not None and training.batch_size < asks.least_batch:
                why = (
                    f"{part} {asks.name!r} {what}; it needs batch_size >= {asks.least_batch}, "
                    f"got {training.batch_size}"
                )
                raise _mismatch("batch_size", why)
        return training

    @field_validator("training")
    @classmethod
    def _has_batches_that_suit_the_objective(
        cls, training: TrainingConfig, info: Any
    ) -> TrainingConfig:
        objective = info.data.get("objective")
        n_observations = getattr(info.data.get("data"), "train_limit", None)
        if objective is not None and (
            why := objective.refuses_batches(training.batch_size, n_observations)
        ):
            raise _mismatch("batch_size", f"objective {objective.name!r}: {why}")
        return training

    @field_validator("training")
    @classmethod
    def _suits_the_data(cls, training: TrainingConfig, info: Any) -> TrainingConfig:
        data = info.data.get("data")
        if data is not None and training.batching == "exact_length" and data.kind != "sentences":
            why = f"exact_length is for sentences, but data {data.name!r} is {data.kind}"
            raise _mismatch("batching", f"{why}; use shuffled")
        return training

    @field_validator("training")
    @classmethod
    def _can_be_attacked(cls, training: TrainingConfig, info: Any) -> TrainingConfig:
        model, objective = info.data.get("model"), info.data.get("objective")
        if training.adversarial is None:
            return training
        if model is not None and model.latents.kind != "gaussian":
            why = (
                f"finds noise by differentiating the ELBO through z, which {model.latents.kind} "
                "latents do not allow; remove it, or use gaussian latents"
            )
            raise _mismatch("adversarial", why)
        if model is not None and model.inference is not None:
            why = (
                "adds noise to what the encoder reads, but model.inference goes on to refine "
                "q(z|x) on x without it; remove one of them"
            )
            raise _mismatch("adversarial", why)
        if objective is not None and objective.augments:
            why = (
                f"finds noise for the observations of a batch, but objective {objective.name!r} "
                "trains on views that it draws of them; remove it, or use another objective"
            )
            raise _mismatch("adversarial", why)
        return training

    @field_validator("training")
    @classmethod
    def _can_let_the_encoder_catch_up(cls, training: TrainingConfig, info: Any) -> TrainingConfig:
        objective = info.data.get("objective")
        aggressive = training.procedure.name == "aggressive"
        if objective is not None and objective.quantises and aggressive:
            why = (
                "updates the encoder while p(x|z) stands still, but codes are part of both and "
                f"move with every pass of objective {objective.name!r}; use procedure plain"
            )
            raise _mismatch("procedure", why)
        return training

    @field_validator("training")
    @classmethod
    def _can_be_trained_beforehand(cls, training: TrainingConfig, info: Any) -> TrainingConfig:
        model, data = info.data.get("model"), info.data.get("data")
        if training.pretraining is not None and model is not None and data is not None:
            why = training.pretraining.refuses(model.latents, labelled=data.labelled)
            if why:
                raise _mismatch("pretraining", why)
        return training

    @field_validator("training")
    @classmethod
    def _looks_at_a_split_of_the_data(cls, training: TrainingConfig, info: Any) -> TrainingConfig:
        data = info.data.get("data")
        if data is None or data.held_out:
            return training
        has_none = (
            f"looks at the validation split, but data {data.name!r} has none, all of it is "
            "trained on"
        )
        if training.schedule is not None:
            raise _mismatch("schedule", f"{training.schedule.kind} {has_none}; leave it out")
        if training.procedure.validates:
            raise _mismatch("procedure", f"{training.procedure.name} {has_none}; use plain")
        return training

    @field_validator("evaluation")
    @classmethod
    def _is_of_a_split_of_the_data(
        cls, evaluation: EvaluationConfig, info: Any
    ) -> EvaluationConfig:
        data = info.data.get("data")
        if data is not None and not data.held_out and evaluation.split != "train":
            why = f"data {data.name!r} has no {evaluation.split} split, all of it is trained on"
            raise _mismatch("split", f"{why}; set it to train")
        return evaluation

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


def _mismatch(field: str, why: str) -> ValidationError:
    """Blame a field of the section at hand for not fitting another section."""
    error = PydanticCustomError("sections_do_not_fit", "{why}", {"why": why})
    return ValidationError.from_exception_data(
        "TrialConfig", [InitErrorDetails(type=error, loc=(field,), input=None)]
    )
