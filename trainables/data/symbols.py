"""A uniform source of symbols: the smallest data on which a posterior can collapse."""

import hashlib
import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from trainables.data.corpus import Corpus, DataConfig


class Symbols(DataConfig):
    """`vocabulary` equally likely symbols, 10,000 as published.

    The source has no more to it than its V symbols, so every split is each of them once:
    averages over a split are exact expectations. None is held out: a trial may be evaluated on
    "train" alone, and nothing in its training may look at a validation split. The lowest possible
    NLL is ln V nats.
    """

    kind: ClassVar[str] = "symbols"
    held_out: ClassVar[bool] = False

    name: Literal["symbols"]
    vocabulary: Annotated[int, Field(ge=2, le=10_000_000)] = 10_000

    def load(self, root: Path) -> Corpus:  # noqa: ARG002 - nothing is read
        """Return int64 observations `[V]`, the same tensor for every split; reads no file."""
        symbols = torch.arange(self.vocabulary)
        return Corpus(
            splits={"train": symbols, "validation": symbols, "test": symbols},
            vocabulary=self.vocabulary,
            sha256=hashlib.sha256(f"symbols:{self.vocabulary}".encode()).hexdigest(),
            nll_floor=math.log(self.vocabulary),
        )
