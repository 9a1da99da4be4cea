"""`sweeper submit` and `sweeper job …`: runs as batch jobs; `sweeper.cli` has the others."""

from pathlib import Path
from typing import Annotated

import typer

from sweeper.options import ExperimentName, Log, Scale, Set, Storage, Workers

To = Annotated[str, typer.Option(metavar="ray-job|slurm|kuberay", help="The engine.")]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The Ray dashboard.  [default: http://127.0.0.1:8265]"),
]
Namespace = Annotated[str | None, typer.Option(help="The Kubernetes namespace.")]
JobName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name.")]


def submit(
    experiment: ExperimentName,
    to: To,
    cluster: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A YAML file with the settings below.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes of the job.")] = None,
    cpus: Annotated[int | None, typer.Option(help="CPUs of each node.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs of each node.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of each node, e.g. 64GiB.")] = None,
    time: Annotated[str | None, typer.Option(help="The limit, e.g. 12:00:00.")] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm's partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Slurm's account.")] = None,
    image: Annotated[str | None, typer.Option(help="KubeRay's image, with sweeper.")] = None,
    claim: Annotated[str | None, typer.Option(help="KubeRay's volume claim.")] = None,
    namespace: Namespace = None,
    address: Url = None,
    overrides: Set = None,
    scale: Scale = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations per arm.")] = None,
    name: Annotated[str | None, typer.Option(help="The run's name.")] = None,
    workers: Workers = None,
    log: Log = None,
    storage: Storage = None,
    follow: Annotated[bool, typer.Option("--follow", help="Print the job's log.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the script, manifest or command, and stop.")
    ] = False,
) -> None:
    """Run an experiment as a batch job: of a Ray cluster, of Slurm or of KubeRay.

    A job that ends before its run is done can be submitted again and resumes it.
    """
    from sweeper import experiment as experiments
    from sweeper.clusters import submitting

    flags = {
        "nodes": nodes,
        "cpus": cpus,
        "gpus": gpus,
        "memory": memory,
        "time": time,
        "partition": partition,
        "account": account,
        "image": image,
        "claim": claim,
        "namespace": namespace,
        "address": address,
    }
    options = [f"--workers={workers}"] * (workers is not None)
    submitting.submit(
        experiments.load(
            experiment, scale=scale, overrides=overrides or [], name=name, trials=trials
        ),
        to,
        storage=storage,
        cluster=cluster,
        flags=flags,
        options=[*options, *(f"--log={logger}" for logger in log or [])],
        dry_run=dry_run,
        follow=follow,
    )


job = typer.Typer(help="Look after submitted runs: status, logs, stop, list.")


@job.command()
def status(run: JobName, to: To, address: Url = None, namespace: Namespace = None) -> None:
    """Say what became of a run's jobs."""
    _do("status", run, to, address, namespace)


@job.command()
def logs(
    run: JobName,
    to: To,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    address: Url = None,
    namespace: Namespace = None,
    storage: Storage = None,
) -> None:
    """Print the log of a run's latest job."""
    _do("logs", run, to, address, namespace, storage, follow)


@job.command()
def stop(run: JobName, to: To, address: Url = None, namespace: Namespace = None) -> None:
    """End a run's jobs in good order; the run can be submitted again."""
    _do("stop", run, to, address, namespace)


@job.command("list")
def list_(to: To, address: Url = None, namespace: Namespace = None) -> None:
    """List the jobs of all runs."""
    from sweeper.clusters import submitting

    submitting.jobs(to, {"address": address, "namespace": namespace})


def _do(
    action: str,
    run: str,
    to: str,
    address: str | None,
    namespace: str | None,
    storage: str | None = None,
    follow: bool = False,
) -> None:
    from sweeper.clusters import submitting

    flags = {"address": address, "namespace": namespace}
    submitting.job(action, run, to, storage=storage, flags=flags, follow=follow)
