"""A running Ray cluster: whether it can be joined, what it has, whether its nodes see the run."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.driving.capacity import trials_that_fit
from sweeper.driving.joining import Node, alive, answer_in, reason
from sweeper.driving.looking import Look, Seen, look
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.rows import code_version
from sweeper.runs import RunDirectory
from sweeper.sections import Resources
from trainables.data.files import data_root

JOIN_SECONDS = 60.0  # for a cluster to answer
LOOK_SECONDS = 120.0  # for a node to start a worker, import sweeper and check its data
REFRESH_SECONDS = 2.0  # between two looks at which nodes there are
_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.2
_REFUSED = b"InvalidAuthToken"  # what Ray writes of a wrong token, and of none

# What the driver sets for itself, and workers on other machines must have too.
WORKER_ENVIRONMENT = {"RAY_CHDIR_TO_TRIAL_DIR": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def check(address: str, experiment: Experiment) -> None:
    """Raise `SweeperError` where there is no cluster to join, or none of its nodes fits a trial.

    Another process does the asking: Ray retries for long, and tells the reason on stderr alone.
    """
    _refuse_client(address)
    _connect(address)
    answer = _ask(address)
    if "error" in answer:
        raise SweeperError(_why_not(address, str(answer["error"])))
    _refuse_small(address, experiment.resources, [Node(*node) for node in answer["nodes"]])


def _ask(address: str) -> dict[str, Any]:
    """Have another process join the cluster and tell what it has, or why that fails."""
    command = [sys.executable, "-m", "sweeper.driving.joining", address]
    deadline = time.monotonic() + JOIN_SECONDS
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=said, text=True
        ) as asked,
    ):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    out, _ = asked.communicate(timeout=_POLL_SECONDS)
                    break
                if _REFUSED in os.pread(said.fileno(), 2**20, 0):  # and will be, again and again
                    return {"error": "token"}
                if time.monotonic() > deadline:
                    return {"error": f"it does not answer within {JOIN_SECONDS:g} s"}
        finally:
            asked.kill()
        last = os.pread(said.fileno(), 2**20, 0).decode(errors="replace").strip().splitlines()
    return answer_in(out) or {"error": (last or ["Ray ended"])[-1]}


def _refuse_client(address: str) -> None:
    if address.startswith("ray://"):
        raise SweeperError(
            f"--address {address}: a sweep is not driven through Ray Client; give HOST:PORT or "
            "`auto` on a node of the cluster, or `sweeper submit --to ray-job` from elsewhere"
        )


def _connect(address: str) -> None:
    """Raise `SweeperError` where nobody listens; Ray would wait for minutes."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SweeperError(
            f"--address {address}: give `auto`, or HOST:PORT of a running Ray cluster such as "
            "10.0.0.1:6379"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise SweeperError(
            f"there is no Ray cluster at {address}: {error.strerror or error}; start one with "
            "`ray start --head`, or give the address that it printed"
        ) from None


def _why_not(address: str, why: str) -> str:
    """Say what keeps from joining a cluster, and what to do about it."""
    if why == "token":
        which = "that `auto` found" if address == "auto" else f"at {address}"
        return (
            f"the Ray cluster {which} refuses our token; set RAY_AUTH_TOKEN_PATH to a file "
            "with the cluster's, and RAY_AUTH_MODE=token"
        )
    if "Version mismatch" in why:
        return f"the Ray cluster at {address} runs other versions: {why}; use the same on both"
    if address == "auto":
        return (
            f"no running Ray cluster was found ({why}); start one with `ray start --head`, or "
            "give its HOST:PORT"
        )
    return f"cannot join the Ray cluster at {address}: {why}; is this machine one of its nodes?"


def _refuse_small(address: str, resources: Resources, nodes: Sequence[Node]) -> None:
    if trials_that_fit(resources, [node.resources for node in nodes]):
        return
    have = "; ".join(f"{node.name} has {_described(node.resources)}" for node in nodes)
    raise SweeperError(
        f"no node of the Ray cluster at {address} fits one trial, which takes {resources}: "
        f"{have}; ask for less with --set resources.…, or add a node"
    )


def _described(resources: Mapping[str, float]) -> str:
    """Say what a node has, under the names that an experiment uses."""
    shown = Resources(memory=int(resources.get("memory", 0)))
    custom = {
        name: amount
        for name, amount in resources.items()
        if name not in ("CPU", "GPU", "memory", "object_store_memory")
        and not name.startswith(("node:", "accelerator_type:"))
    }
    counts = {"cpu": resources.get("CPU", 0.0), "gpu": resources.get("GPU", 0.0)}
    return str(shown.model_copy(update={**counts, "custom": custom}))


@contextmanager
def joined(
    address: str, experiment: Experiment, directory: RunDirectory, workers: int | None
) -> Iterator["Cluster"]:
    """Be a driver of a running cluster; it runs on when the sweep has ended.

    Raises `SweeperError` where it cannot be joined, or a node sees another run directory, other
    data or another version of sweeper.
    """
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": WORKER_ENVIRONMENT},
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise SweeperError(_why_not(address, reason(error))) from None
    try:
        cluster = Cluster(address, experiment, directory, workers)
        print(cluster.description, flush=True)
        yield cluster
    finally:
        ray.shutdown()


class Cluster:
    """The nodes of a joined cluster, as they come and go.

    Only nodes that have been looked at count.
    """

    def __init__(
        self, address: str, experiment: Experiment, directory: RunDirectory, workers: int | None
    ) -> None:
        self.address, self.resources, self.workers = address, experiment.resources, workers
        self.directory = directory
        trials = experiment.example_trials().values()
        self.data = list(dict.fromkeys(trial.data for trial in trials))
        self.nodes: dict[str, Node] = {}
        self.looked_at = 0.0
        self._refresh()
        _refuse_small(address, self.resources, list(self.nodes.values()))
        self.n_workers = self._room()

    @property
    def description(self) -> str:
        """One line that names what has joined."""
        totals = dict.fromkeys(("CPU", "GPU", "memory", *self.resources.custom), 0.0)
        for node in self.nodes.values():
            for name in totals:
                totals[name] += node.resources.get(name, 0.0)
        nodes = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        names = ", ".join(dict.fromkeys(node.name for node in self.nodes.values()))
        return (
            f"joined the Ray cluster at {self.address}: {nodes} ({names}) with "
            f"{_described(totals)}; {self.n_workers} trials at a time"
        )

    def trials_at_a_time(self) -> int:
        """Give the number of trials that may run on the nodes that there are now.

        Raises `SweeperError` where a new node does not see the run or its data.
        """
        if time.monotonic() - self.looked_at > REFRESH_SECONDS:
            self._refresh()
        return self._room()

    def _room(self) -> int:
        fit = trials_that_fit(self.resources, [node.resources for node in self.nodes.values()])
        return min(fit, self.workers) if self.workers else fit

    def _refresh(self) -> None:
        there = alive()
        self.nodes = {node.id: node for node in there if node.id in self.nodes}
        self._admit([node for node in there if node.id not in self.nodes])
        self.looked_at = time.monotonic()

    def _admit(self, nodes: Sequence[Node]) -> None:
        """Take in nodes that see what they must see."""
        if not nodes:
            return
        with self.directory.marked() as marker:
            task = Look(marker, marker.rpartition("/")[2], self.data, str(data_root()))
            for node, answer in [(node, _look_from(node, task)) for node in nodes]:
                seen = _answer(answer)
                if isinstance(seen, str) and node.id not in {other.id for other in alive()}:
                    continue  # it went as it was looked at
                _refuse(node, seen)
                self.nodes[node.id] = node


def _look_from(node: Node, task: Look) -> Any:
    there = NodeAffinitySchedulingStrategy(node.id, soft=False)
    remote = ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    return remote.remote(task)


def _answer(answer: Any) -> Seen | str:
    try:
        return Seen(*ray.get(answer, timeout=LOOK_SECONDS))
    except ray.exceptions.GetTimeoutError:
        return f"does not answer within {LOOK_SECONDS:g} s"
    except Exception as error:  # such as that sweeper cannot be imported there
        return f"cannot run sweeper ({reason(error)})"


def _refuse(node: Node, seen: Seen | str) -> None:
    """Raise `SweeperError` where a node does not see what the driver sees."""
    if isinstance(seen, str):
        problem, remedy = seen, "install sweeper in the environment that Ray runs in there"
    elif seen.storage is not None:
        problem = f"cannot use the run directory: {seen.storage}"
        remedy = "choose a --storage that all nodes share"
    elif seen.data is not None:
        problem, remedy = f"lacks data: {seen.data}", "let SWEEPER_DATA_DIR name a shared one"
    elif seen.code_version != code_version():
        problem = f"has sweeper {seen.code_version}, not {code_version()}"
        remedy = "install the same on all nodes"
    else:
        return
    raise SweeperError(f"node {node.name} ({node.id[:8]}) {problem}; {remedy}")
