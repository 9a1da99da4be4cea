"""What all pictures share: colours, markers and greys that survive print and colour blindness."""

from collections.abc import Iterable
from itertools import cycle
from typing import NamedTuple

# Okabe and Ito's palette for all kinds of colour vision, without its yellow, which paper swallows.
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#000000", "#999933"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one fewer than colours: 56 pairs before a repeat
GREY = "0.35"


class Look(NamedTuple):
    """How the points of a label look, in every picture."""

    colour: str
    marker: str


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Give each label its look, by their sorted order."""
    known = sorted(set(labels))
    return dict(zip(known, map(Look, cycle(COLOURS), cycle(MARKERS)), strict=False))
