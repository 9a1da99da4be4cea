"""A Ray cluster of several nodes on this machine, each of which can be lost."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak.machine import AT_WORK, Machine, wait_until
from sweeper.driving.joining import answer_in

OBJECT_STORE_BYTES = 80_000_000
NODE = "SOAK_NODE"  # the variable that all processes of a node have


class RayCluster:
    """Nodes of one CPU each; the first has the head, and survives."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.port, self.dashboard, agent = free_ports(3)
        token = machine.ray / "secret" / "token"
        token.parent.mkdir(0o700)
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        machine.env |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            # A job of Ray runs the `python` that its cluster finds.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.head = [
            *("--head", f"--port={self.port}", f"--temp-dir={machine.ray}/c"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={self.dashboard}"),
            f"--dashboard-agent-listen-port={agent}",
        ]
        self.n_nodes = 0

    @property
    def address(self) -> str:
        """What `--address` is given."""
        return f"127.0.0.1:{self.port}"

    def add(self) -> None:
        """Start a node, and wait until it is one of the cluster's."""
        options = [f"--address={self.address}"] if self.n_nodes else self.head
        subprocess.run(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", *options),
                *("--num-cpus=1", "--disable-usage-stats"),
                f"--object-store-memory={OBJECT_STORE_BYTES}",
            ],
            env={**self.machine.env, NODE: str(self.n_nodes)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        self.n_nodes += 1

    def n_alive(self) -> int:
        """Ask the cluster how many nodes it has."""
        asked = subprocess.run(
            [sys.executable, "-m", "sweeper.driving.joining", self.address],
            env=self.machine.env,
            capture_output=True,
            text=True,
            check=True,
        )
        answer = answer_in(asked.stdout)
        assert answer, asked.stderr
        return len(answer["nodes"])

    def at_work(self, node: int) -> list[int]:
        """Give the processes of a node that train."""
        mark = f"{NODE}={node}\0".encode()
        return [pid for pid in self.machine.processes(AT_WORK) if mark in _environment(pid)]

    def lose(self, node: int) -> None:
        """Kill everything that runs on a node, as when its power fails."""
        mark = f"{NODE}={node}\0".encode()
        wait_until(lambda: self.at_work(node))
        for pid in self.machine.processes():
            if mark in _environment(pid):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def ray_cluster(machine: Machine, n_nodes: int) -> Iterator[RayCluster]:
    """Run a cluster of so many nodes; its processes go with the machine's."""
    before = dict(machine.env)
    try:
        cluster = RayCluster(machine)
        for _ in range(n_nodes):
            cluster.add()
        assert (n := cluster.n_alive()) == n_nodes, f"{n} nodes of {n_nodes}"
        yield cluster
    finally:
        machine.clear()
        machine.env = before


def free_ports(n: int) -> list[int]:
    """Give ports on which nobody listens."""
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended
        return b""
