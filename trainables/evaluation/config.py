"""How a trained model is measured."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from trainables.config import Config, Count


def _is_none(value: object) -> bool:
    return value is None


class CollapseConfig(Config):
    """The (epsilon, delta)-collapse of latent dimensions.

    A dimension is collapsed where its KL is below `epsilon` for all but a share `delta` of the
    observations. The curve holds every epsilon; `epsilon` is that of the column `collapsed_share`.
    """

    epsilon: float = Field(default=0.01, gt=0, description="nats")
    delta: float = Field(default=0.01, ge=0, lt=1, description="share of the observations")


class ProbesConfig(Config):
    """A linear probe and k-NN from posterior means to labels, where the data have labels.

    Both know `train` observations of the training split, a fixed random subset. `k` is 200 in the
    source of CR-VAE, and never more than the observations known.
    """

    train: Count = 10_000
    k: Count = 200


class TsneConfig(Config):
    """A t-SNE of the posterior means of `points` observations, a fixed random subset.

    The perplexity is never more than a third of the other points.
    """

    points: int = Field(default=1_000, ge=10, le=2_000)
    perplexity: float = Field(default=30.0, ge=1.0)


class MetersConfig(Config):
    """What else is measured of the latents: each meter only where it is named.

    `at` says whether at the last evaluation or at all of them. What is not named is left out of
    the resolved trial, so that meters that are added later change no other trial's identity.
    """

    at: Literal["final", "every"] = "final"
    collapse: CollapseConfig | None = Field(default=None, exclude_if=_is_none)
    probes: ProbesConfig | None = Field(default=None, exclude_if=_is_none)
    tsne: TsneConfig | None = Field(default=None, exclude_if=_is_none)

    @model_validator(mode="after")
    def _measures_something(self) -> "MetersConfig":
        if not (self.collapse or self.probes or self.tsne):
            raise ValueError(
                "names no meter; name collapse, probes or tsne, e.g. `collapse: {}`, or leave "
                "meters out"
            )
        return self


class EvaluationConfig(Config):
    """What is measured, on which observations and with how many samples.

    `limit` evaluates a fixed random subset of the split, the same one for every trial of every
    experiment; without it the whole split is used. `every` adds an evaluation after that many
    training steps; the last step is always evaluated. Evaluations with different `seed` draw
    different samples of z, whatever the trial's own seed.

    `mi_batch_size` is for what is published of batches: it is the size of those in which
    `mi_q_batch` is measured, and of those in which a model infers q(z|x). He et al. (2019) take
    32 sentences, of one length, and 50 images.

    Without `meters` the resolved trial has no such field.
    """

    split: Literal["train", "validation", "test"] = "validation"
    samples: int = Field(default=100, ge=2, description="K, samples of q(z|x) an observation")
    every: Count | None = None
    limit: Count | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    mi_batch_size: int = Field(
        default=32, ge=2, description="B, observations in a batch of the published MI of q"
    )
    enumerate_up_to: int = Field(
        default=65_536, ge=0, description="exact NLL and MI for at most this many latent states"
    )
    meters: MetersConfig | None = Field(default=None, exclude_if=_is_none)

    @field_validator("meters")
    @classmethod
    def _probes_what_it_has_not_seen(
        cls, meters: MetersConfig | None, info: Any
    ) -> MetersConfig | None:
        if meters is not None and meters.probes is not None and info.data.get("split") == "train":
            raise ValueError(
                "probes are fitted on the training split and measured on another one; set split "
                "to validation or test"
            )
        return meters
