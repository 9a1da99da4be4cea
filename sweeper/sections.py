"""The sections of an experiment file, typed; each section of a trial has its own configuration."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
)

from sweeper.sizes import parse_size, size
from trainables.config import Config, Count


def _is_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            f"a name has 1 to 64 letters, digits, '-', '_' and '.', and starts with a letter, "
            f"digit or '_'; got {name!r}"
        )
    return name


Name = Annotated[str, AfterValidator(_is_name)]


class Sampler(Config):
    """What proposes configurations; `auto` chooses by the number of trials."""

    name: Literal["auto", "gp", "tpe", "nsga2", "qmc", "random"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class ParetoHalving(Config):
    """Stops trials early that comparable ones dominate; see `sweeper.halving`.

    Trials are looked at on rungs, `first` steps and every power of `reduction` times that. Of
    those whose MI lies within `mi_window` nats an observation, about one in `reduction` goes on.
    """

    name: Literal["pareto_halving"] = "pareto_halving"
    first: Count
    reduction: Annotated[int, Field(ge=2)] = 3
    mi_window: PositiveFloat = 0.5


class Search(Config):
    """How much is searched: `trials` configurations an arm, each with `seeds` replicates.

    Without a `scheduler` every trial is trained to its end.
    """

    sampler: Sampler = Sampler()
    trials: Count
    seeds: Count = 1
    allowed_failures: NonNegativeInt = 0
    scheduler: ParetoHalving | None = None


class Frontier(Config):
    """The two axes: NLL against the information of the model, `mi`, or of the encoder, `mi_q`."""

    minimize: Literal["nll"] = "nll"
    maximize: Literal["mi", "mi_q"] = "mi"


_RAYS_OWN = {"CPU", "GPU", "memory", "object_store_memory", "bundle"}


def _is_resource(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", name) or name in _RAYS_OWN:
        raise ValueError(
            "a custom resource has the name that nodes were started with, other than "
            f"{', '.join(sorted(_RAYS_OWN))}; got {name!r}"
        )
    return name


def _is_whole_beyond_one(amount: float) -> float:
    if amount > 1 and amount != int(amount):
        raise ValueError(f"is a fraction of one, or a whole number; got {amount:g}")
    return amount


Gpus = Annotated[NonNegativeFloat, AfterValidator(_is_whole_beyond_one)]
Amount = Annotated[PositiveFloat, AfterValidator(_is_whole_beyond_one)]
CustomName = Annotated[str, AfterValidator(_is_resource)]


class Resources(Config):
    """What one trial takes of a node, and how often it is started again where that fails it.

    `memory` is in bytes, or a text such as `4GiB`. Ray counts it, a part of a GPU and what is
    `custom` to place trials, and lets a trial use more than it said. `max_failures` counts workers
    that were lost (killed, or out of memory) but not those that went with their node; a trial that
    ends with an error of its own is not repeated.
    """

    cpu: PositiveFloat = 1.0
    gpu: Gpus = 0.0
    memory: Annotated[NonNegativeInt, BeforeValidator(parse_size)] = 0
    custom: dict[CustomName, Amount] = Field(default_factory=dict)
    max_failures: NonNegativeInt = 2

    def __str__(self) -> str:
        """Say what it is, e.g. `1 CPU, 0 GPU, 4 GiB memory, 1 fast_disk`."""
        parts = [f"{self.cpu:g} CPU", f"{self.gpu:g} GPU"]
        parts += [f"{size(self.memory)} memory"] * bool(self.memory)
        return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in self.custom.items())])


class Checkpoints(Config):
    """How often the state of a running trial is kept: after so many seconds, or steps if set.

    It changes no result, so a run may be continued with another.
    """

    seconds: PositiveFloat = 60.0
    steps: Count | None = None


class SearchSection(Search):
    """`Search` as a file has it, with the space and what single arms change in it."""

    space: dict[str, Any]
    arms: dict[Name, dict[str, Any]] = Field(default_factory=dict)


class File(Config):
    """The sections of a file; `trial`, `arms` and what is swept are checked further."""

    extends: str | None = None
    name: Name
    description: str = ""
    trial: dict[str, Any]
    arms: dict[Name, dict[str, Any]] | None = None
    search: SearchSection
    frontier: Frontier = Frontier()
    resources: Resources = Resources()
    checkpoints: Checkpoints = Checkpoints()
    scale: Name | None = None
    scales: dict[Name, dict[str, Any]] = Field(default_factory=dict)
