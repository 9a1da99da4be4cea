"""Pictures as files: for the screen, for the web and for paper."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

# Text stays text, so that it can be searched, and edited by whoever sets the paper.
_TEXT: dict[Any, Any] = {"svg.hashsalt": "sweeper", "svg.fonttype": "none", "pdf.fonttype": 42}


def picture_writers(
    figure: Figure, lines: Sequence[str] = ()
) -> dict[str, Callable[[Path], object]]:
    """Give what writes a figure as PDF, PNG and SVG; `lines` go into each file's description."""
    text = "\n".join(lines)
    kinds: Mapping[str, dict[str, str | None]] = {
        "pdf": {"CreationDate": None, "Subject": text},
        "png": {"Description": text},
        "svg": {"Date": None, "Description": text},
    }

    def writer(kind: str) -> Callable[[Path], object]:
        def write(path: Path) -> None:
            with mpl.rc_context(_TEXT):
                figure.savefig(path, format=kind, metadata=kinds[kind], dpi=200)

        return write

    return {kind: writer(kind) for kind in kinds}


def writers(
    name: str,
    table: pd.DataFrame | None = None,
    figure: Figure | None = None,
    lines: Sequence[str] = (),
) -> dict[str, Callable[[Path], object]]:
    """Give what writes a table as `name.csv` and a figure as `name.pdf`, `.png` and `.svg`."""
    found: dict[str, Callable[[Path], object]] = {}
    if table is not None:
        found[f"{name}.csv"] = partial(table.to_csv, index=False)
    if figure is not None:
        pictures = picture_writers(figure, lines).items()
        found |= {f"{name}.{kind}": write for kind, write in pictures}
    return found


def write_all(writers: Mapping[str, Callable[[Path], object]], directory: Path) -> list[Path]:
    """Call each writer for the file it is named by, whole or not at all, and give the paths.

    Raises `OSError` where the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, write in writers.items():
        path = directory / name
        partial = path.with_name(f"{name}.partial")
        try:
            write(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        paths.append(path)
    return paths
