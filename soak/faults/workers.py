"""Workers that are killed, run out of memory, or cannot do what they are told."""

import os
import random
import signal
import time

from soak.machine import AT_WORK, PATIENCE, Machine, wait_until
from soak.scene import Fault, Scene
from soak.sweeps import check, write_experiment


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
    """Train some trials beside one that needs more memory than there is, and one that cannot be.

    Ray watches the memory of the machine, and kills what asks for more than a set share of it.
    """
    used, total = _memory()
    stage.machine.env["RAY_memory_usage_threshold"] = f"{(used + 2.5 * 2**30) / total:.4f}"
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
        search={"trials": 1, "seeds": stage.times(4, 1)},
        resources={"max_failures": 1},
    )
    code, lines, err = stage.machine.sweeper("run", str(path), "--workers", "1")
    final = stage.machine.final("crashed")
    assert (code, err) == (1, ""), (code, err, lines)
    statuses = final.groupby("arm")["status"].agg(lambda all_: "/".join(sorted(set(all_))))
    assert statuses.to_dict() == {"one": "done", "hungry": "failed", "impossible": "failed"}
    reasons = final.groupby("arm")["reason"].first()
    assert reasons["hungry"].startswith("the worker process was lost 2 times, for lack of memory")
    assert reasons["impossible"].startswith("RuntimeError: "), reasons["impossible"]
    n = final["arm"].value_counts()
    return (
        f"{n['one']} trials done; {n['hungry']} of 4 GiB a layer failed, each after 1 + 1 tries: "
        f"“{reasons['hungry']}”; {n['impossible']} impossible ones failed at once: "
        f"“{reasons['impossible'][:60]}…”; exit 1"
    )


def _memory() -> tuple[int, int]:
    """The bytes in use, and all there are, as Ray counts them."""
    from ray._private.utils import get_system_memory, get_used_memory

    return get_used_memory(), get_system_memory()


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
