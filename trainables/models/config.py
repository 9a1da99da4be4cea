"""What every model's configuration says."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from pydantic import Field, field_validator

from trainables.config import Config
from trainables.models.latents import Latents, VqLatents
from trainables.models.model import Model
from trainables.models.semi_amortised import SemiAmortised, SemiAmortisedModel
from trainables.models.vq import VqModel


class ModelConfig(Config, ABC):
    """The base of a model's configuration. `reads` is the kind of data it is for.

    With `inference` the encoder's q(z|x) is only where each observation's own refinement starts,
    in training and evaluation alike.
    """

    reads: ClassVar[str]
    least_batch: ClassVar[int] = 1  # the smallest that it can be trained on
    name: str
    latents: Latents
    inference: SemiAmortised | None = Field(
        default=None, description="steps that refine the encoder's q(z|x) for each observation"
    )

    @field_validator("inference")
    @classmethod
    def _refines_gaussians(cls, inference: SemiAmortised | None, info: Any) -> Any:
        latents = info.data.get("latents")
        if inference is not None and latents is not None and latents.kind != "gaussian":
            raise ValueError(
                f"refining q(z|x) differentiates through z, which {latents.kind} latents do not "
                "allow; remove it, or use gaussian latents"
            )
        return inference

    def refuses(self, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002 - most have no images
        """Say why the model cannot be built for images of `shape`, () for none, or nothing."""
        return None

    def create(self, vocabulary: int, shape: tuple[int, ...] = ()) -> Model:
        """Build the model for a corpus, with parameters drawn from torch's global generator.

        `vocabulary` and `shape` are those of `trainables.data.corpus.Corpus`.
        """
        model = self.build(vocabulary, shape)
        if isinstance(self.latents, VqLatents):
            return VqModel(model, self.latents)
        return model if self.inference is None else SemiAmortisedModel(model, self.inference)

    @abstractmethod
    def build(self, vocabulary: int, shape: tuple[int, ...]) -> Model:
        """Build the model itself, without what `inference` or quantising adds to it.

        With vq latents its encoder gives the vectors and its decoder reads z as codes, `[K, rows,
        variables, dimension]`.
        """
