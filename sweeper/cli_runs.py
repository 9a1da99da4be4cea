"""The commands that make something of stored runs and points; `sweeper.cli` has the others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeper.errors import SweeperError
from sweeper.options import (
    Address,
    AllowPartial,
    Log,
    RunName,
    Runs,
    Storage,
    Workers,
    naming_damage,
)


def rerun(
    point: Annotated[
        str, typer.Argument(metavar="POINT_ID", help="A trial's id, or how it begins.")
    ],
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="The run it is in.  [default: any]")
    ] = None,
    storage: Storage = None,
) -> None:
    """Train one stored trial again, and say whether it ends as it did.

    Exit codes: 0 it agrees, 1 it does not, 130 interrupted. Nothing is stored or changed.
    """
    from sweeper import points, rerunning

    sys.exit(rerunning.rerun(points.find_point(point, run=run, storage=storage)))


def extend(
    run: RunName,
    trials: Annotated[int, typer.Option(min=1, help="Configurations more for every arm.")],
    workers: Workers = None,
    address: Address = None,
    log: Log = None,
    storage: Storage = None,
) -> None:
    """Search further in a run, finished or not, from what its samplers know.

    Exit codes are those of `sweeper run`.
    """
    from sweeper import extending
    from sweeper.roots import find_run

    found = find_run(run, storage, to_drive=True)
    sys.exit(extending.extend(found, trials, workers=workers, log=log or [], address=address))


def merge(
    runs: Runs,
    output: Annotated[str, typer.Option(metavar="NEW_RUN", help="Name or directory.")],
    force: Annotated[
        bool, typer.Option("--force", help="Merge what differs; the run named first counts.")
    ] = False,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
) -> None:
    """Make a new run of the trials of several runs of one experiment, each trial once.

    It is there to be read; to go on, extend one of the runs and merge them again.
    """
    from sweeper.roots import find_run, runs_root
    from sweeper.stored import merging
    from trainables.storage import is_remote

    root = runs_root(storage)
    is_name = len(Path(output).parts) < 2
    if is_remote(output) or (root.is_remote and is_name):
        raise SweeperError("a merged run lies on this machine; name its directory by --output")
    target = Path(root.location) / output if is_name else Path(output)
    found = [find_run(name, storage) for name in runs]
    with naming_damage(allow_partial) as damaged:
        print(
            merging.merge(found, target, force=force, damaged=damaged if allow_partial else None)
        )


def export(
    run: RunName,
    to: Annotated[str, typer.Option(help="csv, parquet or optuna.")],
    output: Annotated[
        str | None, typer.Option(help="The file.  [default: in the run's export directory]")
    ] = None,
    final_only: Annotated[
        bool, typer.Option("--final-only/--all", help="Leave out what came before a trial's end.")
    ] = False,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
) -> None:
    """Write a run's rows as one CSV or Parquet file, or its trials as Optuna studies."""
    from sweeper.roots import find_run
    from sweeper.stored import exporting
    from trainables.storage import is_remote

    if output is not None and is_remote(output):
        raise SweeperError(f"--output {output}: name a file on this machine, and copy it there")
    path = None if output is None else Path(output)
    found = find_run(run, storage)
    with naming_damage(allow_partial) as damaged:
        print(exporting.export(found, to, output=path, final_only=final_only, damaged=damaged))
