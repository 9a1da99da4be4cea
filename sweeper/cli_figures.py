"""The commands that draw conclusions from stored results; `sweeper.cli` has the others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeper.errors import SweeperError
from sweeper.options import (
    AllowPartial,
    Mi,
    Output,
    Runs,
    Scale,
    Storage,
    Workers,
    naming_damage,
)


def frontier(
    runs: Runs,
    output: Output = None,
    per: Annotated[
        str | None,
        typer.Option(help="observation or token.  [default: token for sentences]"),
    ] = None,
    allow_partial: AllowPartial = False,
    view: Annotated[
        str,
        typer.Option(
            help="frontier, rate-distortion, panels: one for each arm, or training: NLL and MI "
            "by step."
        ),
    ] = "frontier",
    style: Annotated[
        str, typer.Option(help="default, or paper: the frontiers alone, for one column.")
    ] = "default",
    band: Annotated[
        str | None,
        typer.Option(
            metavar="seeds|error",
            help="Draw what a share of the seeds, or of draws of the error, attain.",
        ),
    ] = None,
    mi: Mi = None,
    force: Annotated[
        bool, typer.Option("--force", help="Draw different experiments on one plot.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Write the frontier of one or several runs as CSV, Parquet, PDF, PNG and SVG; print it."""
    from sweeper.roots import find_run
    from sweeper.stored import reading

    found = [find_run(name, storage) for name in runs]
    with naming_damage(allow_partial) as damaged:
        print(
            reading.frontier(
                found,
                output=output,
                per=per,
                view=view,
                style=style,
                band=band,
                mi=mi,
                force=force,
                damaged=damaged,
            )
        )


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="SIDE...",
            help="Runs, each for all its arms, or RUN:ARM; two sides or more in all.",
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE",
            help="What every other side is compared with: an arm's name or RUN:ARM.  [default: "
            "the second of two sides; of more the first, so of a run its file's first arm]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where to write.  [default: in the run's comparison directory]"),
    ] = None,
    per: Annotated[
        str | None,
        typer.Option(help="observation or token.  [default: token for sentences]"),
    ] = None,
    hull: Annotated[
        bool, typer.Option("--hull", help="Compare lower convex hulls and not staircases.")
    ] = False,
    level: Annotated[float, typer.Option(help="The probability of the intervals.")] = 0.9,
    mi: Mi = None,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare other data, splits or scales all the same.")
    ] = False,
) -> None:
    """Say which arm fits better at equal mutual information, by how much, how sure."""
    from sweeper.stored import comparing

    with naming_damage(allow_partial) as damaged:
        print(
            comparing.comparison(
                sides,
                against=against,
                storage=storage,
                output=output,
                per=per,
                hull=hull,
                level=level,
                mi=mi,
                force=force,
                damaged=damaged,
            )
        )


def report(
    runs: Runs,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write.  [default: report.html beside the run's frontier]"),
    ] = None,
    per: Annotated[
        str | None,
        typer.Option(help="observation or token, shown first.  [default: token for sentences]"),
    ] = None,
    mi: Mi = None,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
    force: Annotated[
        bool, typer.Option("--force", help="Report different experiments on one page.")
    ] = False,
) -> None:
    """Write one self-contained, interactive HTML page about one or several runs."""
    from sweeper.roots import find_run
    from sweeper.stored import reporting

    found = [find_run(name, storage) for name in runs]
    with naming_damage(allow_partial) as damaged:
        print(
            reporting.report(
                found,
                output=output,
                per=per,
                mi=mi,
                force=force,
                storage=storage,
                damaged=damaged,
            )
        )


def knobs(
    runs: Runs,
    output: Output = None,
    collapsed_below: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="MI",
            help="A trial with less MI, in nats, is collapsed.  [default: 1% of the MI ceiling, "
            "or 0.05 nats per observation without one]",
        ),
    ] = None,
    mi: Mi = None,
    force: Annotated[
        bool, typer.Option("--force", help="Mix runs of several experiments.")
    ] = False,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
) -> None:
    """Say which swept knob moved NLL and MI, and where trials collapsed, and draw it."""
    from sweeper.roots import find_run
    from sweeper.stored import knobs as mattering

    found = [find_run(name, storage) for name in runs]
    with naming_damage(allow_partial) as damaged:
        print(
            mattering.describe(
                found,
                output=output,
                force=force,
                collapsed_below=collapsed_below,
                mi=mi,
                damaged=damaged,
            )
        )


def meters(
    runs: Runs,
    output: Output = None,
    of: Annotated[
        str, typer.Option(help="Curves over the trials on the frontier, or over all.")
    ] = "frontier",
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="TRIAL_ID",
            help="Draw the map of this trial, by its id or how it begins; repeatable.  [default: "
            "that of lowest NLL on the frontier of each arm]",
        ),
    ] = None,
    mi: Mi = None,
    force: Annotated[
        bool, typer.Option("--force", help="Draw different experiments on one plot.")
    ] = False,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
) -> None:
    """Say which latent dimensions collapsed and what latents tell of labels, and draw it."""
    from sweeper.roots import find_run
    from sweeper.stored import meters as measured

    found = [find_run(name, storage) for name in runs]
    with naming_damage(allow_partial) as damaged:
        print(
            measured.describe(
                found,
                output=output,
                of=of,
                maps=maps or (),
                mi=mi,
                force=force,
                damaged=damaged,
            )
        )


def paper(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A paper; lists them without this.")
    ] = None,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Names or directories.  [default: all stored runs of the paper's experiments]",
        ),
    ] = None,
    figure: Annotated[
        int | None,
        typer.Option(help="Train what is missing of this figure, draw it, and judge its claims."),
    ] = None,
    scale: Scale = None,
    workers: Workers = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write the tables and claims.csv.")
    ] = None,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
) -> None:
    """Set stored runs beside a paper: its tables, and whether its claims hold."""
    from sweeper.roots import find_run
    from sweeper.stored import papers

    if name is None:
        print(papers.listing())
        return
    if figure is not None:
        from sweeper import figures

        if runs or output or allow_partial:
            raise SweeperError(
                "--figure finds its run itself; leave RUN, --output and the like out"
            )
        sys.exit(figures.figure(name, figure, scale=scale, storage=storage, workers=workers))
    if scale is not None or workers is not None:
        raise SweeperError("--scale and --workers are for what is trained; give a --figure")
    chosen = [find_run(run, storage) for run in runs or []]
    with naming_damage(allow_partial) as damaged:
        print(papers.describe(name, chosen, storage=storage, output=output, damaged=damaged))
