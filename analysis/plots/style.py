"""What all pictures share: colours, markers and greys that survive print and colour blindness."""

from collections.abc import Iterable
from typing import Any, NamedTuple

# Okabe and Ito's palette for all kinds of colour vision, without its yellow, which paper swallows.
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#000000", "#999933"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one fewer than colours: 56 pairs before a repeat
GREY = "0.35"


# For lines, which have no markers: one for as many labels as there are colours.
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))


class Look(NamedTuple):
    """How the points of a label look, in every picture, and the line between them."""

    colour: str
    marker: str
    dashes: Any


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Give each label its look, by their sorted order."""
    return {
        label: Look(
            COLOURS[n % len(COLOURS)],
            MARKERS[n % len(MARKERS)],
            DASHES[n // len(COLOURS) % len(DASHES)],
        )
        for n, label in enumerate(sorted(set(labels)))
    }


def line_looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Give each label its line: the colour of all pictures and, where colours repeat, dashes."""
    return {
        label: {"color": look.colour, "linestyle": look.dashes}
        for label, look in looks(labels).items()
    }
