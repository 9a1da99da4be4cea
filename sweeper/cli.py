"""`sweeper …`: one thin command per verb, nothing but parsing and printing.

Each command imports what it needs when it is called: help needs nothing, stored results are read
without torch, and only a sweep starts Ray.
"""

import io
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from sweeper.errors import SweeperError

TRAINING_PACKAGES = {"filelock", "jaxtyping", "optuna", "ray", "scipy", "torch"}

app = typer.Typer(
    help="Sweep training objectives of latent-variable models; compare their frontiers of "
    "NLL against mutual information.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ExperimentName = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A YAML file, or a shipped experiment's name.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override a field, e.g. trial.training.steps=50."
    ),
]
Scale = Annotated[
    str | None, typer.Option(help="Apply one of the file's named scales, e.g. small.")
]
Storage = Annotated[
    Path | None, typer.Option(help="The directory that holds the runs.  [default: runs]")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Trials at a time.  [default: as many as fit]")
]
Log = Annotated[
    list[str] | None,
    typer.Option(metavar="LOGGER", help="Log to tensorboard, mlflow or wandb too; repeatable."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or directory.")]


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # descriptions hold more than ASCII
    try:
        sys.exit(app(prog_name="sweeper", standalone_mode=False))
    except SweeperError as error:
        problem = str(error)
    except typer.TyperException as error:  # what was typed is no command
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sweeper"
        problem = f"{error.format_message().rstrip('.')}; see `{command} --help`"
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in TRAINING_PACKAGES:
            raise
        problem = (
            f"this command needs {missing}, which is not installed; pip install 'sweeper[train]'"
        )
    print(f"error: {problem}", file=sys.stderr)
    sys.exit(2)


@app.callback()
def _root(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        print(f"sweeper {version('sweeper')}")
        raise typer.Exit
    _help_without_command(context)


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command()
def run(
    experiment: ExperimentName,
    overrides: Set = None,
    scale: Scale = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations per arm.")] = None,
    name: Annotated[str | None, typer.Option(help="The run's name.")] = None,
    workers: Workers = None,
    log: Log = None,
    storage: Storage = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and stop.")
    ] = False,
) -> None:
    """Train an experiment's trials and draw their frontier.

    A run that was interrupted continues. Exit codes: 0 done, 1 more trials failed than the
    experiment allows, 2 a mistake in the file or on the command line, 130 interrupted.
    """
    from sweeper import experiment as experiments
    from sweeper import plan

    resolved = experiments.load(
        experiment, scale=scale, overrides=overrides or [], name=name, trials=trials
    )
    if dry_run:
        print(plan.describe(resolved, storage))
        return
    from sweeper import sweeping

    sys.exit(sweeping.run(resolved, storage=storage, workers=workers, log=log or []))


@app.command()
def resume(
    run: RunName, workers: Workers = None, log: Log = None, storage: Storage = None
) -> None:
    """Continue a run after an interruption; finished trials are never run again."""
    from sweeper import sweeping
    from sweeper.runs import find_run

    sys.exit(sweeping.resume(find_run(run, storage), workers=workers, log=log or []))


@app.command()
def validate(
    experiments: Annotated[
        list[str], typer.Argument(metavar="EXPERIMENT...", help="YAML files or shipped names.")
    ],
    scale: Scale = None,
) -> None:
    """Check experiment files and name every problem in them."""
    from sweeper.experiment import load

    problems = []
    for source in experiments:
        try:
            resolved = load(source, scale=scale)
            print(f"{source}: valid; {_arms(len(resolved.arms))}")
        except SweeperError as error:
            problems.append(str(error))
    if problems:
        raise SweeperError("\n".join(problems))


@app.command()
def show(experiment: ExperimentName, overrides: Set = None, scale: Scale = None) -> None:
    """Print an experiment as it resolves, with the place that each value comes from."""
    from sweeper.experiment import load

    print(load(experiment, scale=scale, overrides=overrides or []).explained(), end="")


@app.command("list")
def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            help="experiments, objectives, estimators, models, data, spaces or runs; all of "
            "them without this."
        ),
    ] = None,
    storage: Storage = None,
) -> None:
    """List what can be named: experiments, objectives, estimators, models, data, spaces, runs."""
    from sweeper import listing

    print(listing.text(what, storage))


@app.command()
def status(run: RunName, storage: Storage = None) -> None:
    """Say how far a run is, what failed and why, and its frontier so far."""
    from sweeper import reading
    from sweeper.runs import find_run

    print(reading.status(find_run(run, storage)))


@app.command()
def frontier(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names or directories.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Where to write.  [default: the run's frontier directory]"),
    ] = None,
    per: Annotated[
        str | None,
        typer.Option(help="observation or token.  [default: token for sentences]"),
    ] = None,
    view: Annotated[
        str, typer.Option(help="frontier, rate-distortion, or training: NLL and MI by step.")
    ] = "frontier",
    style: Annotated[
        str, typer.Option(help="default, or paper: the frontiers alone, for one column.")
    ] = "default",
    band: Annotated[
        str | None,
        typer.Option(help="Draw what a share of the seeds, or of draws of the error, attain."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Draw different experiments on one plot.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Write the frontier of one or several runs as CSV, Parquet, PDF, PNG and SVG; print it."""
    from sweeper import reading
    from sweeper.runs import find_run

    found = [find_run(name, storage) for name in runs]
    print(
        reading.frontier(
            found, output=output, per=per, view=view, style=style, band=band, force=force
        )
    )


@app.command()
def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="A [B]",
            help="Two runs of one arm or RUN:ARM; or one run that has two arms.",
        ),
    ],
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
    storage: Storage = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare other data, splits or scales all the same.")
    ] = False,
) -> None:
    """Say which of two arms fits better at equal mutual information, by how much, how sure."""
    from sweeper import comparing

    print(
        comparing.comparison(
            sides,
            storage=storage,
            output=output,
            per=per,
            hull=hull,
            level=level,
            force=force,
        )
    )


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names or directories.")],
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write.  [default: report.html beside the run's frontier]"),
    ] = None,
    per: Annotated[
        str | None,
        typer.Option(help="observation or token, shown first.  [default: token for sentences]"),
    ] = None,
    storage: Storage = None,
    force: Annotated[
        bool, typer.Option("--force", help="Report different experiments on one page.")
    ] = False,
) -> None:
    """Write one self-contained, interactive HTML page about one or several runs."""
    from sweeper import reporting
    from sweeper.runs import find_run

    found = [find_run(name, storage) for name in runs]
    print(reporting.report(found, output=output, per=per, force=force, storage=storage))


@app.command()
def confirm(
    run: RunName,
    samples: Annotated[int, typer.Option(min=2, help="K of the fresh evaluations.")] = 1000,
    seeds: Annotated[int, typer.Option(min=0, help="New trainings of each configuration.")] = 2,
    workers: Workers = None,
    storage: Storage = None,
) -> None:
    """Measure the frontier again: its models with new samples, its configurations with new seeds.

    What was chosen for its figures looks better than it is; this says by how much. What an earlier
    confirmation finished is not done again.
    """
    from sweeper import confirming
    from sweeper.runs import find_run

    found = find_run(run, storage)
    sys.exit(confirming.confirm(found, samples=samples, seeds=seeds, workers=workers))


@app.command()
def knobs(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names or directories.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Where to write.  [default: the run's frontier directory]"),
    ] = None,
    collapsed_below: Annotated[
        float | None,
        typer.Option(
            metavar="MI",
            help="A trial with less MI, in nats, is collapsed.  [default: 1% of the MI ceiling, "
            "or 0.05 nats per observation without one]",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Mix runs of several experiments.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Say which swept knob moved NLL and MI, and where trials collapsed, and draw it."""
    from sweeper import knobs as mattering
    from sweeper.runs import find_run

    found = [find_run(name, storage) for name in runs]
    print(mattering.describe(found, output=output, force=force, collapsed_below=collapsed_below))


@app.command()
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
    output: Annotated[
        Path | None, typer.Option(help="Where to write table.csv and claims.csv.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Set stored runs beside a paper: its table, and whether its claims hold."""
    from sweeper import papers
    from sweeper.runs import find_run

    if name is None:
        print(papers.listing())
        return
    chosen = [find_run(run, storage) for run in runs or []]
    print(papers.describe(name, chosen, storage=storage, output=output))


data = typer.Typer(
    help="List, fetch and verify corpora.",
    invoke_without_command=True,
    callback=_help_without_command,
)
app.add_typer(data, name="data")

DataNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Data sets; all without this.")
]


@data.command("list")
def data_list() -> None:
    """List the data sets, where they lie and whether they are complete."""
    from sweeper import corpora

    print(corpora.listing())


@data.command("fetch")
def data_fetch(
    names: DataNames = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files whose checksum is wrong.")
    ] = False,
) -> None:
    """Fetch data sets from their public homes, resuming what was begun."""
    from sweeper import corpora

    corpora.fetch_all(names, force=force)


@data.command("verify")
def data_verify(names: DataNames = None) -> None:
    """Compare the files of data sets with their checksums."""
    from sweeper import corpora

    text, complete = corpora.verification(names)
    print(text)
    if not complete:
        raise SweeperError(
            "not all files are as published; `sweeper data fetch` gets what is missing, and with "
            "--force what is wrong"
        )


def _arms(n: int) -> str:
    return f"{n} arm" if n == 1 else f"{n} arms"
