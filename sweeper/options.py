"""What several commands have in common: their options, and how they tell of damaged results."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

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
    str | None,
    typer.Option(
        help="What holds the runs: a directory, or s3://BUCKET/PREFIX or gs://…  [default: runs]"
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Trials at a time.  [default: as many as fit]")
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Train on the Ray cluster that runs there.  [default: this machine alone]",
    ),
]
Log = Annotated[
    list[str] | None,
    typer.Option(metavar="LOGGER", help="Log to tensorboard, mlflow or wandb too; repeatable."),
]
Mi = Annotated[
    str | None,
    typer.Option(
        "--mi",
        metavar="mi|mi_q|mi_q_batch|code_space",
        help="Show the information of the model, that of q by a large pool or within batches as "
        "published, or the log of a VQ-VAE's code space.  [default: what the experiment "
        "maximises]",
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or directory.")]
Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Names or directories.")]
Output = Annotated[
    Path | None, typer.Option(help="Where to write.  [default: the run's frontier directory]")
]
AllowPartial = Annotated[
    bool,
    typer.Option("--allow-partial", help="Be content with what can be read of damaged results."),
]


@contextmanager
def naming_damage(allow_partial: bool) -> Iterator[list[str]]:
    """Give a list for damaged parts; name them at the end, and exit with 1 unless allowed."""
    damaged: list[str] = []
    try:
        yield damaged
    finally:
        for problem in damaged:
            print(f"{'warning' if allow_partial else 'error'}: {problem}", file=sys.stderr)
    if damaged and not allow_partial:
        sys.exit(1)
