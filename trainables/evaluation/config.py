"""How a trained model is measured."""

from typing import Literal

from pydantic import Field

from trainables.config import Config, Count


class EvaluationConfig(Config):
    """What is measured, on which observations and with how many samples.

    `limit` evaluates a fixed random subset of the split, the same one for every trial of every
    experiment; without it the whole split is used. `every` adds an evaluation after that many
    training steps; the last step is always evaluated. Evaluations with different `seed` draw
    different samples of z, whatever the trial's own seed.

    `mi_batch_size` is for what is published of batches: it is the size of those in which
    `mi_q_batch` is measured, and of those in which a model infers q(z|x). He et al. (2019) take
    32 sentences, of one length, and 50 images.
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
