"""Panels for many things of a kind on axes that they share, so that each can be read alone."""

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SIZE = (2.9, 2.15)  # of a panel, in inches
_HEAD = 0.25  # the height of a row above them, in panels
_WIDTH = 30  # characters of a panel


def panels(
    names: Sequence[str], x_label: str, unit: str, *, head: bool = False
) -> tuple[Figure, list[Axes], Axes | None]:
    """Make a figure with an empty panel for each name, and with `head` axes for a legend above.

    The panels share their axes. Numbers are where nothing lies below, `x_label` at the last row.
    """
    n = len(names)
    n_columns = n if n <= 3 else math.ceil(n / 2) if n <= 6 else 4
    n_rows = math.ceil(n / n_columns)
    size = max(7.0, _SIZE[0] * n_columns), _SIZE[1] * n_rows + 1.4 + 0.6 * head
    figure = Figure(figsize=size, layout="constrained")
    heights = [*[_HEAD] * head, *[1.0] * n_rows]
    grid = figure.add_gridspec(len(heights), n_columns, height_ratios=heights)
    found: list[Axes] = []
    for number, name in enumerate(names):
        row, column = divmod(number, n_columns)
        first = found[0] if found else None
        axes = figure.add_subplot(grid[row + head, column], sharex=first, sharey=first)
        axes.set_title(_wrapped(name), loc="left", fontsize="small", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelbottom=number + n_columns >= n, labelleft=column == 0)
        if row == n_rows - 1:
            text = f"{textwrap.fill(x_label, _WIDTH)}\n(nats per {unit})"
            axes.set_xlabel(text, fontsize="small")
        found.append(axes)
    above = figure.add_subplot(grid[0, :]) if head else None
    if above is not None:
        above.set_axis_off()
    return figure, found, above


def _wrapped(name: str) -> str:
    """A name in at most two lines of a panel's width, its middle left out where it is longer."""
    kept = name if len(name) <= 2 * _WIDTH else f"{name[: _WIDTH - 1]}…{name[-_WIDTH:]}"
    return textwrap.fill(kept, _WIDTH)
