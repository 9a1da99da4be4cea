"""Workers that are killed, run out of memory, or cannot do what they are told."""

import os
import random
import signal
import time

from soak.machine import AT_WORK, PATIENCE, WORKER, Machine, resident, wait_until
from soak.scene import Fault, Scene
from soak.sweeps import check, write_experiment

MOST_BYTES = 1.5 * 2**30  # of a worker; those of ordinary trials have a third of it


def _killed(stage: Scene) -> str:
    """Kill one worker after another, whatever it is at."""
    moments = random.Random(7)
    kills = stage.times(20, 2)
    path = write_experiment(stage.directory, "workers", stage.quick)
    with stage.machine.start("run", str(path), "--workers", "2") as driver:
        for kill in range(kills):
            _kill_one(stage.machine, moments)
            assert driver.poll() is None, f"the sweep was over after {kill + 1} kills"
        out, err = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, err) == (0, ""), (out, err)
    logs = stage.machine.run("workers").failures.glob("*.log")
    told = sum(log.read_text().count(" was lost, time ") for log in logs)
    assert told == kills, f"{told} of {kills} lost workers are in the log"
    return f"{kills} kills, each in the run's failure log; {check(stage, 'workers')}"


def _kill_one(machine: Machine, moments: random.Random) -> None:
    while True:
        wait_until(lambda: machine.processes(AT_WORK))
        time.sleep(moments.uniform(0, 0.5))
        if found := machine.processes(AT_WORK):
            os.kill(moments.choice(found), signal.SIGKILL)
            return


def _crashed(stage: Scene) -> str:
    """Train some trials beside one that needs too much memory, and one that cannot be.

    What the kernel does to a process when memory runs out is done here once one has 1.5 GiB.
    """
    hungry = {"model": {"embedding": 1, "hidden": 2**15}}  # one layer has 4 GiB
    path = write_experiment(
        stage.directory,
        "crashed",
        stage.quick,
        arms={
            "one": {},
            "hungry": hungry,
            "impossible": {"model": {"embedding": 1, "hidden": 2**23}},  # 256 TiB
        },
        search={"trials": 1, "seeds": stage.times(2, 1)},
        resources={"max_failures": 1},
    )
    kills = 0
    with stage.machine.start("run", str(path), "--workers", "1") as driver:
        while driver.poll() is None:
            kills += _kill_hungry(stage.machine)
            time.sleep(0.2)
        out, err = driver.communicate()
    final = stage.machine.final("crashed")
    assert (driver.returncode, err) == (1, ""), (driver.returncode, err, out)
    statuses = final.groupby("arm")["status"].agg(lambda all_: "/".join(sorted(set(all_))))
    wanted = {"one": "done", "hungry": "failed", "impossible": "failed"}
    assert statuses.to_dict() == wanted, f"{statuses.to_dict()}; {out}"
    reasons = final.groupby("arm")["reason"].first()
    assert reasons["hungry"].startswith("the worker process was lost 2 times, ")
    assert reasons["impossible"].startswith("RuntimeError: "), reasons["impossible"]
    n = final["arm"].value_counts()
    assert kills == 2 * n["hungry"], f"{kills} kills"
    return (
        f"{n['one']} trials done; {n['hungry']} of 4 GiB a layer failed, each after 1 + 1 tries: "
        f"“{reasons['hungry']}”; {n['impossible']} impossible ones failed at once: "
        f"“{reasons['impossible'][:60]}…”; exit 1"
    )


def _kill_hungry(machine: Machine) -> int:
    """Kill every worker that has too much memory; say how many."""
    hungry = [pid for pid in machine.processes(*WORKER) if resident(pid) > MOST_BYTES]
    for pid in hungry:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: pid not in machine.processes())  # type: ignore[misc]
    return len(hungry)


FAULTS = (
    Fault(
        "worker-kill",
        "SIGKILL of trial workers, 20 times",
        "40 final rows, 40 identities, metrics equal to an undisturbed run",
        _killed,
    ),
    Fault(
        "crash",
        "out of memory, or an error of its own, in one trial",
        "it fails with its reason, after `max_failures` where its worker was lost; others go on",
        _crashed,
    ),
)
