"""Training objectives by name."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from trainables.models import Model
from trainables.objectives.control_vae import ControlVae
from trainables.objectives.cr_vae import CrVae
from trainables.objectives.critics import CriticHybrid, CriticNeural, CriticSelf
from trainables.objectives.micmco import Bound, Kl, Power, Renyi
from trainables.objectives.objective import Objective, ObjectiveConfig, ObjectiveOutput
from trainables.objectives.vae import Vae
from trainables.objectives.vq_vae import VqVae

__all__ = [
    "OBJECTIVES",
    "AnyObjective",
    "Objective",
    "ObjectiveConfig",
    "ObjectiveOutput",
    "create",
]

OBJECTIVES: dict[str, type[ObjectiveConfig]] = {
    "bound": Bound,
    "kl": Kl,
    "renyi": Renyi,
    "power": Power,
    "vae": Vae,
    "control_vae": ControlVae,
    "critic_self": CriticSelf,
    "critic_neural": CriticNeural,
    "critic_hybrid": CriticHybrid,
    "cr_vae": CrVae,
    "vq_vae": VqVae,
}

if TYPE_CHECKING:
    AnyObjective = ObjectiveConfig
else:
    AnyObjective = Annotated[reduce(or_, OBJECTIVES.values()), Field(discriminator="name")]


def create(config: Mapping[str, Any], model: Model | None = None) -> Objective:
    """Build what a mapping such as an experiment file's `objective` describes, for a model.

    Raises `pydantic.ValidationError` where the mapping is wrong.
    """
    parsed: ObjectiveConfig = TypeAdapter(AnyObjective).validate_python(config)
    return parsed.create(model)
