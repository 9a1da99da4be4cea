"""What the commands on stored runs share: their choices, what they refuse and where they write."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from analysis.axes import AXES, MODEL, on_axis
from analysis.frontier import Unit
from sweeper.errors import SweeperError
from sweeper.runs import RunDirectory

UNITS = ("observation", "token")


def check_choice(option: str, given: str | None, choices: Sequence[str]) -> None:
    """Raise `SweeperError` where an option has a value that is not one of its choices."""
    if given is None or given in choices:
        return
    near = difflib.get_close_matches(given, choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise SweeperError(
        f"{option} takes {', '.join(choices[:-1])} or {choices[-1]}; got {given!r}{hint}"
    )


def unit_of(rows: pd.DataFrame, per: str | None = None) -> Unit:
    """Give the unit of figures: `per`, or token where observations have several.

    Raises `SweeperError` for a unit that does not exist.
    """
    check_choice("--per", per, UNITS)
    several = bool((rows["tokens"] > 1).any())
    return "token" if (per == "token" if per else several) else "observation"


def chosen_axis(runs: Sequence[RunDirectory], mi: str | None) -> str:
    """Give the information to show: `mi`, by default what the experiments of the runs maximise.

    It is one of `analysis.axes.AXES`. Raises `SweeperError` where there is no such axis, and where
    the experiments maximise different ones and none is chosen.
    """
    check_choice("--mi", mi, tuple(AXES))
    if mi is not None:
        return mi
    maximised = sorted({run.maximizes for run in runs})
    names = " ".join(run.location for run in runs)
    if len(maximised) > 1:
        raise SweeperError(
            f"{names}: their experiments maximise different information "
            f"({', '.join(maximised)}); choose one with --mi"
        )
    [axis] = maximised
    if axis not in AXES:
        raise SweeperError(
            f"{names}: frontier.maximize is {axis!r}, which this version does not know; choose "
            f"{', '.join(AXES)} with --mi"
        )
    return axis


def placed(rows: pd.DataFrame, runs: Sequence[RunDirectory], mi: str | None) -> pd.DataFrame:
    """Put the stored rows of some runs on the axis that is chosen, as `chosen_axis` says.

    Raises `SweeperError` as that does, and where no trial that is done has what is to be shown.
    """
    axis = chosen_axis(runs, mi)
    if lacks(rows, axis):
        names = " ".join(run.location for run in runs)
        raise SweeperError(
            f"{names}: no trial has a value of {axis}, {AXES[axis].absent}; show the information "
            f"of the model with --mi {MODEL}"
        )
    return on_axis(rows, axis)


def lacks(rows: pd.DataFrame, axis: str) -> bool:
    """Say whether trials are done and none has a value of `axis`, which is not the model's MI."""
    done = rows.loc[rows["status"] == "done"]
    return axis != MODEL and len(done) > 0 and bool(done[axis].isna().all())


def refuse_mixed(rows: pd.DataFrame, runs: Sequence[RunDirectory], force: bool) -> None:
    """Raise `SweeperError` where rows are of several experiments, unless that is forced."""
    experiments = [str(name) for name in rows["experiment"].unique()]
    if len(experiments) > 1 and not force:
        raise SweeperError(
            f"{' '.join(run.location for run in runs)}: points of {len(experiments)} experiments "
            f"({', '.join(experiments)}) may not compare; take them together with --force"
        )


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """Turn a failure to write below `place` into a `SweeperError`."""
    try:
        yield
    except OSError as error:
        raise SweeperError(
            f"cannot write {place}: {error.strerror or error}; "
            "free space or choose another --output"
        ) from None
