"""`sweeper submit` and `sweeper job`: a run handed to an engine, and what becomes of it there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeper.clusters import settings as cluster_settings
from sweeper.clusters.jobs import Engine, Job
from sweeper.clusters.kuberay import KubeRay
from sweeper.clusters.ray_job import RayJob
from sweeper.clusters.slurm import Slurm
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.located import unknown
from sweeper.plan import refuse_another
from sweeper.roots import Storage, runs_root
from sweeper.runs import RunDirectory

ENGINES: dict[str, Engine] = {"ray-job": RayJob(), "slurm": Slurm(), "kuberay": KubeRay()}
_ON_SHARED_DISK = ("slurm",)  # engines that start from the run's own directory


def submit(
    experiment: Experiment,
    to: str,
    *,
    storage: Storage,
    cluster: Path | None,
    flags: Mapping[str, Any],
    options: Sequence[str] = (),
    dry_run: bool = False,
    follow: bool = False,
) -> None:
    """Hand an experiment to an engine, or print what would be handed in.

    `cluster` is a file of settings and `flags` some on the command line; `options` are for the
    run. Raises `SweeperError` where something is wrong with them, where the run directory holds
    another experiment, and where the engine refuses.
    """
    engine = _engine(to)
    settings = cluster_settings.load(cluster, flags, to, engine.takes)
    root = runs_root(storage)
    location = root.location if root.is_remote else str(Path(root.location).absolute())
    job = Job(experiment, location, settings, options)
    if dry_run:
        print(engine.described(job), end="")
        return
    if to in _ON_SHARED_DISK:
        _prepare(experiment, root.run(experiment.name, to_drive=True))
    print(engine.submit(job))
    there = f" --address {flags['address']}" if flags.get("address") else ""
    print(
        f"follow it with `sweeper job logs {experiment.name} --to {to}{there} --follow`; "
        "submitting it again resumes the run"
    )
    if follow:
        engine.logs(experiment.name, job.storage, settings, follow=True)


def job(
    action: str,
    run: str,
    to: str,
    *,
    storage: Storage,
    flags: Mapping[str, Any],
    follow: bool = False,
) -> None:
    """Print the `status` or `logs` of a run's jobs, or `stop` them."""
    engine = _engine(to)
    settings = cluster_settings.load(None, flags, to, engine.takes)
    if action == "status":
        print(engine.status(run, settings))
    elif action == "stop":
        print(engine.stop(run, settings))
    else:
        engine.logs(run, runs_root(storage).location, settings, follow=follow)


def jobs(to: str, flags: Mapping[str, Any]) -> None:
    """List the jobs of all runs."""
    engine = _engine(to)
    print(engine.jobs(cluster_settings.load(None, flags, to, engine.takes)))


def _engine(to: str) -> Engine:
    if to not in ENGINES:
        raise SweeperError(f"--to {to}: {unknown('engine', to, ENGINES)}")
    return ENGINES[to]


def _prepare(experiment: Experiment, directory: RunDirectory) -> None:
    """Make the run's directory, or see that it holds this experiment."""
    if directory.exists:
        directory.refuse_merged()
        refuse_another(experiment, directory)
    else:
        directory.create(experiment.to_yaml())
