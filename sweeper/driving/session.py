"""Ray, started for a sweep and stopped after it."""

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
import torch

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment

OBJECT_STORE_BYTES = 100 * 2**20  # trials exchange nothing but small reports


def fitting_trials(experiment: Experiment) -> int:
    """Say how many trials this machine can train at a time.

    Raises `SweeperError` where it has not the GPUs for one.
    """
    cpu, gpu = experiment.resources.cpu, experiment.resources.gpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fit = max(1, int((cores or 1) / cpu))
    if not gpu:
        return fit
    gpus = torch.cuda.device_count()
    if gpus < gpu:
        raise SweeperError(
            f"resources.gpu is {gpu:g} but this machine has {gpus} usable GPUs; run where there "
            "are enough, or start a new run with --set resources.gpu=0"
        )
    return min(fit, int(gpus / gpu))


@contextmanager
def session(experiment: Experiment, workers: int | None) -> Iterator[int]:
    """Start Ray on this machine for as many trials at a time as `workers`, or as fit."""
    n_workers = workers or fitting_trials(experiment)
    cpu, gpus = experiment.resources.cpu, 0
    if experiment.resources.gpu:
        gpus = torch.cuda.device_count()
    with _scratch() as scratch:
        try:
            _start_ray(math.ceil(n_workers * cpu), gpus, scratch)
            yield n_workers
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


def _start_ray(cpus: int, gpus: int, scratch: Path) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(scratch),
        )
    except OSError as error:  # such as too long a path for its sockets
        raise _cannot_start(scratch.parent, error) from None


def _cannot_start(root: str | Path, error: OSError) -> SweeperError:
    return SweeperError(
        f"Ray cannot work in {root}: {error.strerror or error}; free space, or set RAY_TMPDIR to "
        "another directory with a short path"
    )
