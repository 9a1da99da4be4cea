"""Training procedures by name: which parameters a training step updates, and on what."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trainables.procedures.aggressive import Aggressive
from trainables.procedures.plain import Plain
from trainables.procedures.procedure import Procedure, ProcedureConfig

__all__ = ["PROCEDURES", "Aggressive", "AnyProcedure", "Plain", "Procedure", "ProcedureConfig"]

PROCEDURES: dict[str, type[ProcedureConfig]] = {"plain": Plain, "aggressive": Aggressive}

if TYPE_CHECKING:
    AnyProcedure = ProcedureConfig
else:
    AnyProcedure = Annotated[reduce(or_, PROCEDURES.values()), Field(discriminator="name")]
