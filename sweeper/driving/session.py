"""Ray, started for a sweep on this machine and stopped after it, or joined where it runs."""

import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import ray

from sweeper.driving import cluster
from sweeper.driving.capacity import Capacity, Here, fitting_trials, this_machine
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.runs import RunDirectory

OBJECT_STORE_BYTES = 100 * 2**20  # trials exchange nothing but small reports


def check(experiment: Experiment, address: str | None) -> None:
    """Raise `SweeperError` where the sweep cannot run: here, or on the cluster at an address.

    Changes nothing, and takes seconds for a cluster.
    """
    _refuse_meters(experiment)
    if address is None:
        fitting_trials(experiment)
    else:
        cluster.check(address, experiment)


def _refuse_meters(experiment: Experiment) -> None:
    """Raise `SweeperError` before hours of training that would end without their meters."""
    asked = [trial.evaluation.meters for trial in experiment.example_trials().values()]
    if any(meters and (meters.probes or meters.tsne) for meters in asked) and not find_spec(
        "sklearn"
    ):
        raise SweeperError(
            "evaluation.meters: probes and tsne need scikit-learn, which is not installed; "
            "pip install 'sweeper[train]'"
        )


@contextmanager
def session(
    experiment: Experiment, directory: RunDirectory, workers: int | None, address: str | None
) -> Iterator[Capacity]:
    """Start Ray on this machine, or join the cluster at an address.

    There are as many trials at a time as `workers` says, or as fit. Raises `SweeperError` where
    that fails, or a node of the cluster sees another run directory or other data.
    """
    if address is not None:
        with cluster.joined(address, experiment, directory, workers) as capacity:
            yield capacity
        return
    n_workers = workers or fitting_trials(experiment)
    machine = this_machine(experiment.resources.cpu)
    with _scratch() as scratch:
        try:
            _start_ray(
                math.ceil(n_workers * experiment.resources.cpu),
                int(machine["GPU"]) if experiment.resources.gpu else 0,
                int(machine["memory"]),
                scratch,
            )
            yield Here(n_workers)
        finally:
            ray.shutdown()


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give Ray a directory of its own, and leave nothing of it."""
    root = os.environ.get("RAY_TMPDIR", "/tmp")  # noqa: S108
    try:
        path = tempfile.mkdtemp(prefix="sweeper-", dir=root)
    except OSError as error:
        raise _cannot_start(root, error) from None
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _start_ray(cpus: int, gpus: int, memory: int, scratch: Path) -> None:
    # Ray's ports take commands from all interfaces: its token is what keeps strangers out. Left
    # alone, Ray would make one in a file that everybody on this machine may read.
    if not os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
            _memory=memory,
            _temp_dir=str(scratch),
        )
    except OSError as error:  # such as too long a path for its sockets
        raise _cannot_start(scratch.parent, error) from None


def _cannot_start(root: str | Path, error: OSError) -> SweeperError:
    return SweeperError(
        f"Ray cannot work in {root}: {error.strerror or error}; free space, or set RAY_TMPDIR to "
        "another directory with a short path"
    )
