"""Pictures of maps of latents, one for each arm."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plots.provenance import frame
from analysis.plots.style import COLOURS, GREY

_PER_ROW = 4
_PER_INCH = 20  # characters of small print
_NAMED = 20  # labels up to which each has a name in a legend


def label_colours(labels: Sequence[int]) -> dict[int, str]:
    """Give each label its colour, by their sorted order.

    Few labels have the colours of all pictures, more those of a wheel, where neighbours may be
    hard to tell apart.
    """
    known = sorted(set(labels))
    if len(known) <= len(COLOURS):
        return dict(zip(known, COLOURS, strict=False))
    if len(known) <= _NAMED:
        wheel = [to_hex(colormaps["tab20"](number)) for number in range(_NAMED)]
        return dict(zip(known, [*wheel[::2], *wheel[1::2]], strict=False))
    shades = colormaps["turbo"](np.linspace(0, 1, len(known)))
    return dict(zip(known, map(to_hex, shades), strict=True))


def plot_embedding(embedding: pd.DataFrame, axes: Axes, colours: dict[int, str]) -> Axes:
    """Draw the places `x`, `y` of observations, coloured by `class` where they have one.

    The places have no unit and no direction, so the axes have neither.
    """
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    for spine in axes.spines.values():
        spine.set_color("0.85")
    labels = embedding["class"]
    shade = [GREY if pd.isna(label) else colours[int(label)] for label in labels]
    size = 4.0 if len(embedding) > 300 else 8.0
    axes.scatter(embedding["x"], embedding["y"], s=size, c=shade, linewidths=0.0)
    return axes


def embeddings_figure(
    embeddings: pd.DataFrame, title: pd.DataFrame, lines: Sequence[str]
) -> Figure:
    """Draw a map for each `name` of `embeddings`, in their order, with `lines` below.

    `title` are rows that have an `experiment`.
    """
    names = list(dict.fromkeys(embeddings["name"]))
    n_columns = min(_PER_ROW, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    size = (max(4.6, 3.0 * n_columns), 3.2 * n_rows + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    fitting = int(_PER_INCH * size[0])  # a figure of one map is narrow
    frame(figure, title, [part for line in lines for part in textwrap.wrap(line, fitting)])
    colours = label_colours([int(label) for label in embeddings["class"].dropna()])
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        plot_embedding(embeddings[embeddings["name"] == name], axes, colours)
        axes.set_title(name, fontsize="small", parse_math=False)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    if 0 < len(colours) <= _NAMED:
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="", markeredgewidth=0)
            for colour in colours.values()
        ]
        figure.legend(
            handles,
            [str(label) for label in colours],
            loc="outside right center",
            frameon=False,
            fontsize="small",
        )
    return figure
