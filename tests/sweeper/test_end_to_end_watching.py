"""A sweep, watched from other processes while it runs."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soak.machine import Machine, held_still, kill_worker, lines_until, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]

WriteExperiment = Callable[..., Path]
LONG = {"training": {"steps": 20000, "batch_size": 16}}
ARMS = {
    "good": {},
    "impossible": {"model": {"embedding": 1, "hidden": 2**23}},  # one layer has 256 TB
}


def looked(machine: Machine) -> dict[str, Any]:
    code, lines, err = machine.sweeper("status", "tiny", "--json")
    assert (code, err) == (0, "")
    seen: dict[str, Any] = json.loads("\n".join(lines))
    return seen


def test_a_sweep_is_watched_from_another_process(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(trial=LONG, arms=ARMS, search={"trials": 1})
    looks: list[dict[str, Any]] = []

    def is_at_work() -> bool:
        looks.append(looked(machine))
        return any(trial["step"] > 0 for trial in looks[-1]["running"])

    with machine.start("run", str(path), "--workers", "1") as driver:
        lines_until(driver, "runs/tiny: 0 of 2")
        kill_worker(machine)  # the trial goes on in another
        wait_until(is_at_work)
        seen = looks[-1]
        assert (seen["state"], seen["driver"]["pid"]) == ("running", driver.pid)
        assert (seen["driver"]["workers"], seen["driver"]["lost_workers"]) == (1, 1)
        [trial] = seen["running"]
        assert (trial["arm"], trial["n_steps"]) == ("good", 20000)
        assert 0 < trial["step"] < 20000
        assert isinstance(trial["loss"], float)

        with held_still(driver):  # so that it is seen at work, however slow the machine
            with machine.start("status", "tiny", "--watch", "--every", "0.1") as leaving:
                lines = lines_until(leaving, "  good ")
                assert lines[0].startswith("runs/tiny: running; ")
                assert "running: step " in lines[-1]
                leaving.send_signal(signal.SIGINT)
                out, err = leaving.communicate()
                assert (leaving.returncode, err) == (0, "")
            watching = machine.start("status", "tiny", "--watch", "--every", "0.1", "--json")
            first = lines_until(watching, "{")
        with watching:
            out, err = watching.communicate()
            assert (watching.returncode, err) == (0, "")
        driver.communicate()
    assert driver.returncode == 1

    watched = [json.loads(line) for line in [*first, *out.splitlines()]]
    assert watched[0]["state"] == "running"
    assert watched[-1]["state"] == "finished"
    ended = [document["trials"]["ended"] for document in watched]
    assert ended == sorted(ended)
    assert looked(machine)["trials"]["by_status"] == {"done": 1, "failed": 1}

    [failure] = looked(machine)["failures"]
    assert failure["arm"] == "impossible"
    assert failure["reason"].startswith("RuntimeError: ")
    log = (machine.directory / failure["log"]).read_text().splitlines()
    assert log[1] == "Traceback (most recent call last):"
    assert log[-1] == failure["last_line"]
    [lost] = machine.run("tiny").failures.glob(f"{trial['trial']}.log")
    assert "The actor is dead because its worker process has died" in lost.read_text()

    events = [json.loads(line) for line in machine.run("tiny").events.read_text().splitlines()]
    told = [event["event"] for event in events]
    assert [event for event in told if event != "trial_progress"] == [  # on a slow machine
        *("run_started", "workers_ready", "trial_started", "worker_lost"),
        *("trial_started", "trial_ended", "trial_started", "trial_ended", "run_ended"),
    ]
    assert [event["status"] for event in events if event["event"] == "trial_ended"] == [
        *("done", "failed"),
    ]
