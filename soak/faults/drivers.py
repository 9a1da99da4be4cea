"""Drivers that are killed, told to stop, or meet another one."""

import random
import signal
import time

from soak.machine import AT_WORK, wait_until
from soak.scene import Fault, Scene
from soak.sweeps import check, n_trials, parts, write_experiment

STARTING_SECONDS = 5.0  # of a driver until Ray's workers are at work, about
WORKING_SECONDS = 3.0


def _killed(stage: Scene) -> str:
    """Kill the driver while it starts, while trials train, and between; then resume."""
    moments = random.Random(9)
    kills = stage.times(20, 2)
    path = write_experiment(stage.directory, "killed", stage.quick)
    machine, stored, printed = stage.machine, dict[str, str](), 0
    starting = 0
    for kill in range(kills):
        arguments = ["run", str(path)] if kill % 2 else ["resume", "killed"]
        if not machine.run("killed").exists:
            arguments = ["run", str(path)]
        with machine.start(*arguments, "--workers", "2") as driver:
            if moments.random() < 0.2:
                time.sleep(moments.uniform(0, STARTING_SECONDS))
                starting += 1
            else:
                wait_until(lambda: machine.processes(AT_WORK))
                time.sleep(moments.uniform(0, 1.0 if stage.quick else WORKING_SECONDS))
            driver.send_signal(signal.SIGKILL)
            out, err = driver.communicate()
        assert driver.returncode == -signal.SIGKILL, f"the sweep was over after {kill} kills"
        assert err == "", err
        printed += sum("  left " in line for line in out.splitlines())
        now = parts(machine, "killed")
        lost = [trial for trial, part in stored.items() if now.get(trial) != part]
        assert not lost, f"{lost} changed after they were stored"
        stored = now
        if moments.random() < 0.5:  # else what it leaves behind meets the next driver
            machine.clear()
    code, lines, err = machine.sweeper("resume", "killed", "--workers", "2")
    assert (code, err) == (0, ""), (code, lines, err)
    last = sum("  left " in line for line in lines)
    assert last == n_trials(stage.quick) - len(stored), f"{last} trials after {len(stored)}"
    assert printed + last <= n_trials(stage.quick), "a trial ended twice"
    same = check(stage, "killed", stored)
    return (
        f"{kills} kills ({starting} while it started), {len(stored)} trials finished before the "
        f"last; {same}; trials that ended: {printed + last}, none of them twice"
    )


FAULTS = (
    Fault(
        "driver-kill",
        "SIGKILL of the driver at 20 random moments of a 40-trial sweep, each followed by resume",
        "40 final rows, 40 identities, no finished trial run again, metrics equal to an "
        "undisturbed run",
        _killed,
    ),
)
