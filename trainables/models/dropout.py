"""Dropout whose masks the K samples of an observation can share."""

from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

Rate = Annotated[float, Field(ge=0, lt=1)]
"""The probability with which a unit is dropped."""


class Dropout(nn.Module):
    """Zero each unit with probability `rate` in training, and scale up the others.

    With one mask for all K samples of a sentence, a multi-sample objective compares latents and
    not networks; independent masks spoil it (Melis, György and Blunsom, 2022).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(
        self, values: Float[Tensor, "K ..."], *, share_first_axis: bool
    ) -> Float[Tensor, "K ..."]:
        """Drop units of `values`, the same for every entry of the first axis if shared."""
        if not self.training or self.rate == 0:
            return values
        masked = values[:1] if share_first_axis else values
        keep = masked.new_empty(masked.shape).bernoulli_(1 - self.rate)
        return values * (keep / (1 - self.rate))
