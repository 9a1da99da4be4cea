"""VQ-VAE: reconstruction from the nearest codes, and a term that keeps vectors near them.

    -ln p(x|z_q) + beta ||z_e - sg[e]||^2,    z_q = z_e + sg[e - z_e]

summed over the dimensions and averaged over the batch; sg stops gradients, so that the encoder
gets the decoder's gradient at the codes. The KL to the uniform prior is L ln J whatever x is, for
L variables of J codes, and plays no part in training. Codes are moving averages of what is
quantised to them, or take || sg[z_e] - e ||^2 into the loss. Van den Oord, Vinyals and Kavukcuoglu
(2017), https://arxiv.org/abs/1711.00937, Eq. 3 and Appendix A.1.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator
from torch import Tensor

from trainables.models import Model
from trainables.models.vq import VqModel
from trainables.objectives.objective import Objective, ObjectiveConfig, ObjectiveOutput


class VqVae(ObjectiveConfig):
    """The loss of the VQ-VAE. Beta is the commitment's weight, 0.25 in the paper.

    With `codebook: ema` codes follow moving averages with `decay`, smoothed by `epsilon`
    observations a code where they are read; with `gradient` the optimiser moves them, and neither
    plays a part. Some code has means over dimensions where this has the paper's sums: there the
    same beta is as many times weaker as there are dimensions.
    """

    quantises: ClassVar[bool] = True

    name: Literal["vq_vae"]
    beta: NonNegativeFloat = 0.25
    codebook: Literal["ema", "gradient"] = "ema"
    decay: float = Field(default=0.99, ge=0, lt=1)
    epsilon: PositiveFloat = 1e-5

    @field_validator("decay", "epsilon")
    @classmethod
    def _belongs_to_averages(cls, value: float, info: Any) -> float:
        default = cls.model_fields[info.field_name].default
        if info.data.get("codebook") == "gradient" and value != default:
            raise ValueError(
                "it is for codes that are moving averages; remove it, or use codebook: ema"
            )
        return value

    def refuses(self, latents: str) -> str | None:
        """Say that latents that are not quantised have no codes."""
        if latents == "vq":
            return None
        return (
            f"objective {self.name} trains codes, which {latents} latents do not have; set the "
            "model's latents to kind vq, or use another objective"
        )

    def create(self, model: Model | None = None) -> "VqVaeObjective":  # noqa: ARG002
        """Build the objective."""
        return VqVaeObjective(self)


class VqVaeObjective(Objective):
    """The loss of a batch; in training mode each pass moves the averages that are codes."""

    def __init__(self, config: VqVae) -> None:
        super().__init__()
        self.config = config

    def forward(self, model: Model, x: Tensor) -> ObjectiveOutput:
        """Give the loss, averaged over the batch.

        Metrics: `reconstruction`, -ln p(x|z_q); `commitment`, the squared distance of vectors to
        their codes, before it is weighed; and of the codes of this batch `code_perplexity`, exp of
        the entropy of those of a book, and `codes_used`, the share of a book that is there, both
        means over books.

        Raises `TypeError` for a model that does not quantise.
        """
        if not isinstance(model, VqModel):
            raise TypeError(f"{self.config.name} trains models that quantise, not {type(model)}")
        book = model.codebook
        vectors = model.vectors(x)
        index = book.nearest(vectors)
        codes = book.look_up(index)
        # z_e + sg[e - z_e], without its rounding: the decoder reads the codes themselves.
        straight_through = codes.detach() + (vectors - vectors.detach())
        log_p = model.log_likelihood_of_codes(x, straight_through[None])
        reconstruction = -log_p.mean()
        commitment = _squared_distance(vectors, codes.detach())
        loss = reconstruction + self.config.beta * commitment
        if self.config.codebook == "gradient":
            loss = loss + _squared_distance(vectors.detach(), codes)
        elif self.training:
            book.follow(vectors.detach(), index, self.config.decay, self.config.epsilon)
        share = book.usage(index)
        share = share / share.sum(dim=-1, keepdim=True)
        entropy = torch.special.entr(share).sum(dim=-1)
        metrics = {
            "objective": -loss.detach(),
            "reconstruction": reconstruction.detach(),
            "commitment": commitment.detach(),
            "code_perplexity": entropy.exp().mean(),
            "codes_used": (share > 0).to(share.dtype).mean(),
        }
        return ObjectiveOutput(loss, metrics)


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Give ||a - b||^2 of each observation, averaged over the batch."""
    return (a - b).square().flatten(1).sum(dim=1).mean()
