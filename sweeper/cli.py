"""`sweeper …`: one thin command per verb, nothing but parsing and printing.

Each command imports what it needs when it is called: help needs nothing, stored results are read
without torch, and only a sweep starts Ray.
"""

import io
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from sweeper import cli_cluster, cli_figures, cli_runs
from sweeper.errors import SweeperError
from sweeper.options import (
    Address,
    AllowPartial,
    ExperimentName,
    Log,
    RunName,
    Scale,
    Set,
    Storage,
    Workers,
    naming_damage,
)

TRAINING_PACKAGES = {"filelock", "jaxtyping", "optuna", "ray", "torch"}

app = typer.Typer(
    help="Sweep training objectives of latent-variable models; compare their frontiers of "
    "NLL against mutual information.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    from trainables.masking import mask

    print(f"error: {mask(problem)}", file=sys.stderr)
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
    address: Address = None,
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

    sys.exit(
        sweeping.run(resolved, storage=storage, workers=workers, log=log or [], address=address)
    )


@app.command()
def resume(
    run: RunName,
    workers: Workers = None,
    address: Address = None,
    log: Log = None,
    storage: Storage = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train the trials that failed again.")
    ] = False,
) -> None:
    """Continue a run after an interruption; finished trials are never run again."""
    from sweeper import sweeping
    from sweeper.roots import find_run

    found = find_run(run, storage, to_drive=True)
    sys.exit(
        sweeping.resume(
            found, workers=workers, log=log or [], address=address, retry_failed=retry_failed
        )
    )


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
def status(
    run: RunName,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again until it is at rest, or Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")
    ] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="All of it as JSON; with --watch, one look a line.")
    ] = False,
    allow_partial: AllowPartial = False,
    storage: Storage = None,
) -> None:
    """Say how far a run is, what is at work, what failed and why, and its frontier so far.

    From any terminal, and any machine that can read the run's directory.
    """
    from sweeper.roots import find_run
    from sweeper.stored import watching

    found = find_run(run, storage)
    with naming_damage(allow_partial) as damaged:
        if watch:
            watching.watch(found, every, as_json=as_json, damaged=damaged)
        else:
            print(watching.show(found, as_json=as_json, damaged=damaged))


@app.command()
def confirm(
    run: RunName,
    samples: Annotated[int, typer.Option(min=2, help="K of the fresh evaluations.")] = 1000,
    seeds: Annotated[int, typer.Option(min=0, help="New trainings of each configuration.")] = 2,
    workers: Workers = None,
    address: Address = None,
    storage: Storage = None,
) -> None:
    """Measure the frontier again: its models with new samples, its configurations with new seeds.

    What was chosen for its figures looks better than it is; this says by how much. What an earlier
    confirmation finished is not done again.
    """
    from sweeper import confirming
    from sweeper.roots import find_run

    found = find_run(run, storage, to_drive=True)
    sys.exit(
        confirming.confirm(found, samples=samples, seeds=seeds, workers=workers, address=address)
    )


for command in (
    *(cli_figures.frontier, cli_figures.compare, cli_figures.report, cli_figures.knobs),
    *(cli_figures.meters, cli_figures.paper, cli_runs.rerun, cli_runs.extend, cli_runs.merge),
    *(cli_runs.export, cli_cluster.submit),
):
    app.command()(command)


data = typer.Typer(
    help="List, fetch and verify corpora.",
    invoke_without_command=True,
    callback=_help_without_command,
)
app.add_typer(data, name="data")
app.add_typer(
    cli_cluster.job, name="job", callback=_help_without_command, invoke_without_command=True
)

_OF_DATA = "Data sets, or NAME/FILE for one file of a set (medmnist/bloodmnist)"
DataNames = Annotated[list[str], typer.Argument(metavar="NAME...", help=f"{_OF_DATA}.")]
AnyDataNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help=f"{_OF_DATA}; all of them without this."),
]


@data.command("list")
def data_list() -> None:
    """List the data sets, where they lie and whether they are complete."""
    from sweeper import corpora

    print(corpora.listing())


@data.command("fetch")
def data_fetch(
    names: DataNames,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files whose checksum is wrong.")
    ] = False,
) -> None:
    """Fetch data sets from their public homes, resuming what was begun."""
    from sweeper import corpora

    corpora.fetch_all(names, force=force)


@data.command("verify")
def data_verify(names: AnyDataNames = None) -> None:
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
