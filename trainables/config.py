"""The base of every configuration: frozen values that refuse unknown keys and silent casts."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(gt=0, lt=2**31)]
"""How many of something: at least one, and no more than a tensor can index."""

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Config(BaseModel):
    """A typed, frozen piece of a trial's configuration.

    Types are strict: `"16"` is not 16 and `true` is not 1. A whole number stands for a float.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
