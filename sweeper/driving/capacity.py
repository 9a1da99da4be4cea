"""How many trials fit at a time: what one takes, laid into what each node has."""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import torch

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.sections import Resources
from sweeper.sizes import size

_ROUNDING = 1e-9  # so that 3 trials of a third of a GPU fit one
_CGROUP_MEMORY = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Capacity(Protocol):
    """Where trials run, and how many of them at a time."""

    n_workers: int  # when the sweep starts

    def trials_at_a_time(self) -> int:
        """Give the number of trials that may run now.

        Raises `SweeperError` where the place has become unfit for the sweep.
        """


class Here:
    """This machine, which has as much at the end of a sweep as at its start."""

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers

    def trials_at_a_time(self) -> int:
        """Give the number of trials that may run now."""
        return self.n_workers


def bundle(resources: Resources) -> dict[str, float]:
    """Give what one trial takes, under Ray's names and in Ray's units (memory in bytes)."""
    asked = {"CPU": resources.cpu, "GPU": resources.gpu, "memory": float(resources.memory)}
    needed = {name: amount for name, amount in asked.items() if amount or name != "memory"}
    return {**needed, **resources.custom}


def trials_that_fit(resources: Resources, nodes: Iterable[Mapping[str, float]]) -> int:
    """Give the number of trials that fit on nodes at a time; a trial never spans two."""
    return sum(_on_node(resources, node) for node in nodes)


def _on_node(resources: Resources, node: Mapping[str, float]) -> int:
    fits = []
    for name, amount in bundle(resources).items():
        if not amount:
            continue
        has = node.get(name, 0.0)
        if name == "GPU" and amount < 1:  # a trial does not take parts of two GPUs
            fits.append(int(has) * int(1 / amount + _ROUNDING))
        else:
            fits.append(int(has / amount + _ROUNDING))
    return min(fits)


def this_machine(cpu: float = 1.0) -> dict[str, float]:
    """Give what this machine has for trials of `cpu` CPUs: always enough for one."""
    affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    return {
        "CPU": max(float(cores), cpu),
        "GPU": float(torch.cuda.device_count()),
        "memory": float(_memory()),
    }


def _memory() -> int:
    """Give the bytes that this process and its children may have."""
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in map(Path, _CGROUP_MEMORY):
        try:
            bounds.append(int(path.read_text()))
        except (OSError, ValueError):  # no such limit
            continue
    return min(bounds)


def fitting_trials(experiment: Experiment) -> int:
    """Say how many trials this machine can train at a time.

    Raises `SweeperError` where it has not the GPUs, memory or custom resources for one.
    """
    resources = experiment.resources
    machine = this_machine(resources.cpu)
    if resources.custom:
        names = ", ".join(resources.custom)
        raise SweeperError(
            f"resources.custom names {names}, which nodes of a Ray cluster have and this machine "
            "has not; join one with --address"
        )
    if machine["GPU"] < resources.gpu:
        raise SweeperError(
            f"resources.gpu is {resources.gpu:g} but this machine has {machine['GPU']:g} usable "
            "GPUs; run where there are enough, or start a new run with --set resources.gpu=0"
        )
    if machine["memory"] < resources.memory:
        raise SweeperError(
            f"resources.memory is {size(resources.memory)} but this machine has "
            f"{size(math.floor(machine['memory']))}; run where there is enough, or start a new "
            "run with a smaller --set resources.memory"
        )
    return trials_that_fit(resources, [machine])
