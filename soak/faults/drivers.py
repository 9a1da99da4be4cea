"""Drivers that are killed, told to stop, or meet another one."""

import random
import signal
import time

from soak.machine import AT_WORK, PATIENCE, held_still, wait_until
from soak.scene import Fault, Scene
from soak.sweeps import check, n_trials, parts, write_experiment

STARTING_SECONDS = 5.0  # of a driver until Ray's workers are at work, about
WORKING_SECONDS = 1.0  # more, before it is killed
STARTING = 0.4  # of the kills are before that
SHARE = 0.8  # of the trials have ended when the last kill is due


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
            if moments.random() < STARTING:
                time.sleep(moments.uniform(0, STARTING_SECONDS))
                starting += 1
            else:  # all over the sweep, however fast the machine
                due = int(SHARE * n_trials(stage.quick) * kill / kills)
                wait_until(
                    lambda due=due: (  # type: ignore[misc]
                        len(parts(machine, "killed")) >= due and machine.processes(AT_WORK)
                    ),
                    driver,
                )
                time.sleep(moments.uniform(0, WORKING_SECONDS))
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
    assert stored, "no trial had ended before the last kill"
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


def _told_to_stop(stage: Scene) -> str:
    """Stop the sweep by one signal after the other, each time in the midst of trials."""
    stage = stage.small
    path = write_experiment(stage.directory, "stopped", stage.quick)
    machine, seconds, states = stage.machine, [], 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        finished = len(parts(machine, "stopped"))
        with machine.start("run", str(path), "--workers", "2") as driver:
            wait_until(lambda: machine.processes(AT_WORK), driver)
            time.sleep(0.3)
            start = time.monotonic()
            driver.send_signal(number)
            out, err = driver.communicate(timeout=PATIENCE)
        seconds.append(time.monotonic() - start)
        assert (driver.returncode, err) == (130, ""), (number, driver.returncode, err)
        assert out.splitlines()[-1].endswith("continue with: sweeper resume runs/stopped"), out
        caught = list(machine.run("stopped").checkpoints.glob("*/*.pt"))
        assert caught or len(parts(machine, "stopped")) > finished, "no state was saved"
        states += len({state.parent for state in caught})
    stored = parts(machine, "stopped")
    code, lines, err = machine.sweeper("resume", "stopped", "--workers", "2")
    assert (code, err) == (0, ""), (code, lines, err)
    times = ", ".join(f"{span:.1f}" for span in seconds)
    return (
        f"exit 130 after {times} s; {states} states of interrupted trials; resumed: "
        f"{check(stage, 'stopped', stored)}"
    )


def _two(stage: Scene) -> str:
    """Start further drivers while one is at work."""
    stage = stage.small
    path = write_experiment(stage.directory, "two", stage.quick)
    machine = stage.machine
    with machine.start("run", str(path), "--workers", "2") as driver:
        wait_until(lambda: machine.processes(AT_WORK), driver)
        with held_still(driver):
            for arguments in (
                ["run", str(path)],
                ["resume", "two"],
                ["extend", "two", "--trials=1"],
            ):
                code, lines, err = machine.sweeper(*arguments)
                assert (code, lines) == (2, []), (arguments, code, lines)
                wanted = f"error: runs/two is being driven by process {driver.pid} on "
                assert err.startswith(wanted), err
                assert len(err.splitlines()) == 1, err
        _, err = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, err) == (0, ""), err
    same = check(stage, "two")
    return f"run, resume and extend refuse, exit 2, naming the first; that one goes on: {same}"


FAULTS = (
    Fault(
        "driver-kill",
        "SIGKILL of the driver at 20 random moments of a 40-trial sweep, each followed by resume",
        "40 final rows, 40 identities, no finished trial run again, metrics equal to an "
        "undisturbed run",
        _killed,
        long=True,
    ),
    Fault(
        "signals",
        "SIGINT, SIGTERM, SIGUSR1 to the driver",
        "checkpoint, exit 130, resumable",
        _told_to_stop,
    ),
    Fault(
        "two-drivers",
        "two drivers on one run",
        "the second refuses, exit 2",
        _two,
    ),
)
