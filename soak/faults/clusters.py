"""Clusters: a sweep on three nodes, nodes that are lost, and a job of Ray that is stopped."""

import json
import time

from soak.machine import Machine, wait_until
from soak.ray_cluster import RayCluster, ray_cluster
from soak.scene import Fault, Scene
from soak.sweeps import check, n_trials, parts, write_experiment

NODES = 3
JOB_SECONDS = 600


def _joined(stage: Scene) -> str:
    """Train on three nodes instead of this machine."""
    stage = stage.small
    path = write_experiment(stage.directory, "joined", stage.quick)
    with (
        ray_cluster(stage.machine, NODES) as cluster,
        stage.machine.start("run", str(path), "--address", cluster.address) as driver,
    ):
        out, err = driver.communicate(timeout=JOB_SECONDS)
    assert (driver.returncode, err) == (0, ""), (out, err)
    [said] = [line for line in out.splitlines() if line.startswith("joined the Ray cluster")]
    assert f": {NODES} nodes (" in said, said
    assert said.endswith(f"; {NODES} trials at a time"), said
    return f"{NODES} nodes of one CPU; {check(stage, 'joined')}"


def _lost(stage: Scene) -> str:
    """Kill all processes of a node while it trains, and later those of another."""
    losses = stage.times(2, 1)
    path = write_experiment(stage.directory, "lost", stage.quick)
    machine = stage.machine
    with ray_cluster(machine, NODES) as cluster:
        with machine.start("run", str(path), "--address", cluster.address) as driver:
            for node in range(1, losses + 1):
                cluster.lose(node)
                if node < losses:  # let the rest get on with it
                    wait_until(lambda: len(parts(machine, "lost")) > 10)
            stored = parts(machine, "lost")
            out, _ = driver.communicate(timeout=JOB_SECONDS)
        assert driver.returncode == 0, out
        wait_until(lambda: cluster.n_alive() == NODES - losses)  # Ray notices after seconds
    printed = sum("  left " in line for line in out.splitlines())
    assert printed == n_trials(stage.quick), f"{printed} trials ended"
    restarts = _restarts(machine, "lost")
    assert restarts >= losses, f"{restarts} trials were started again"
    return (
        f"{losses} of {NODES} nodes lost, {restarts} trials started again elsewhere; "
        f"{check(stage, 'lost', stored)}"
    )


def _restarts(machine: Machine, run: str) -> int:
    """Count the starts of trials beyond the first of each."""
    lines = machine.run(run).events.read_text("utf-8").splitlines()
    starts = [event for event in map(json.loads, lines) if event["event"] == "trial_started"]
    return len(starts) - len({event["trial"] for event in starts})


def _job(stage: Scene) -> str:
    """Submit a job, stop it, and submit it again."""
    stage = stage.small
    path = write_experiment(stage.directory, "job", stage.quick)
    machine = stage.machine
    storage = ["--storage", str(stage.directory / "runs")]
    with ray_cluster(machine, 1) as cluster:
        at = ["--to", "ray-job", "--address", f"http://127.0.0.1:{cluster.dashboard}"]
        submit = ["submit", str(path), *at, *storage]
        _done(machine, *submit)
        wait_until(lambda: parts(machine, "job"))
        _done(machine, "job", "stop", "job", *at)
        assert _state(cluster, at) == "STOPPED"
        stored = parts(machine, "job")
        assert len(stored) < n_trials(stage.quick), "the job was done before it was stopped"
        _, log, _ = machine.sweeper("job", "logs", "job", *at)
        assert any(line.startswith("interrupted with ") for line in log), log
        _done(machine, *submit)
        assert _state(cluster, at) == "SUCCEEDED"
        listed = _done(machine, "job", "list", *at)
    assert sorted(line.split()[1] for line in listed) == ["STOPPED", "SUCCEEDED"], listed
    return (
        f"stopped after {len(stored)} trials, submitted again: SUCCEEDED; "
        f"{check(stage, 'job', stored)}"
    )


def _done(machine: Machine, *arguments: str) -> list[str]:
    code, lines, err = machine.sweeper(*arguments)
    assert (code, err) == (0, ""), (code, lines, err)
    return lines


def _state(cluster: RayCluster, at: list[str]) -> str:
    """Wait for the end of the latest job, and say how it ended."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        state = _done(cluster.machine, "job", "status", "job", *at)[-1].split()[1]
        if state not in ("PENDING", "RUNNING"):
            return state
    raise AssertionError("the job does not end")


FAULTS = (
    Fault(
        "three-nodes",
        "a 3-node Ray cluster instead of one machine",
        "the same results as local",
        _joined,
    ),
    Fault(
        "node-loss",
        "loss of a node of a 3-node Ray cluster, twice",
        "40 final rows, 40 identities, metrics equal to an undisturbed run",
        _lost,
    ),
    Fault(
        "ray-job",
        "a job of Ray, stopped, and submitted again",
        "it resumes; the same results as local",
        _job,
        long=True,
    ),
)
