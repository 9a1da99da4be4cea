"""Data sets by name. A new one is a file beside these and a line in `DATA`."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trainables.data.corpus import DataConfig
from trainables.data.ptb import PennTreebank
from trainables.data.symbols import Symbols

DATA: dict[str, type[DataConfig]] = {"symbols": Symbols, "ptb": PennTreebank}

if TYPE_CHECKING:
    AnyData = DataConfig
else:
    # What a configuration may hold under `data`: the entry of `DATA` that its `name` tells.
    AnyData = Annotated[reduce(or_, DATA.values()), Field(discriminator="name")]
