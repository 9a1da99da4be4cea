"""A job of Slurm whose time limit is reached."""

import json
import subprocess
import time

import pandas as pd

from soak.machine import Machine
from soak.scene import Fault, Scene, UnavailableError
from soak.slurm import available, one_node_slurm
from soak.sweeps import TIMINGS, parts, write_experiment

# The least that sweeper accepts: Slurm may then warn within the first minute.
TIME_LIMIT_MINUTES, GRACE_SECONDS = 2, 60
JOB_SECONDS = 900
LONG = {"training": {"steps": 4000, "batch_size": 16}}  # about 14 s


def _limited(stage: Scene) -> str:
    """Give a sweep less time than it needs."""
    if why := available(install=not stage.quick):
        raise UnavailableError(why)
    machine = stage.machine
    # Six long trials, one at a time: the limit falls into them.
    path = write_experiment(stage.directory, "limited", quick=True, trial=LONG)
    settings = stage.directory / "cluster.yml"
    settings.write_text(f"grace: {GRACE_SECONDS}\ntime: '{TIME_LIMIT_MINUTES}'\n")
    with one_node_slurm() as environment:
        machine.env |= {"SLURM_CONF": environment["SLURM_CONF"]}
        submit = ["submit", str(path), "--to", "slurm", "--cluster", str(settings)]
        submit += ["--workers", "1"]
        code, lines, err = machine.sweeper(*submit)
        assert (code, err) == (0, ""), (code, lines, err)
        seen = _watch(machine)
        code, _, err = machine.sweeper(*submit)  # of what is done
        assert (code, err) == (0, ""), err
        _watch(machine)
    requeues = _requeues(machine)
    assert requeues >= 1, "the time limit was not reached"
    lost = [trial for trial, part in seen.items() if parts(machine, "limited")[trial] != part]
    assert not lost, f"{len(lost)} finished trials were trained again"
    n = _as_local(machine, str(path))
    tokens = list((machine.run("limited").path / "submit").glob("token-*"))
    assert not tokens, "a token is left behind"
    return (
        f"time limit reached, requeued ({requeues}), then done; {n} final rows, {n} "
        "identities, all metrics equal to those of a local run"
    )


def _watch(machine: Machine) -> dict[str, str]:
    """Wait until the queue is empty; give the parts that were stored before the last requeue."""
    deadline, before = time.monotonic() + JOB_SECONDS, dict[str, str]()
    while time.monotonic() < deadline:
        queue = subprocess.run(
            ["squeue", "--noheader", "--format=%T"],
            env=machine.env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        if not queue:
            return before
        if queue[0] == "PENDING" and _requeues(machine):
            before = parts(machine, "limited")
            # Once is enough, and a slow machine would need many times.
            subprocess.run(
                ["scontrol", "update", "JobId=1", f"TimeLimit={JOB_SECONDS // 60}"],
                env=machine.env,
                check=True,
            )
        time.sleep(1)
    raise AssertionError("the job does not end")


def _requeues(machine: Machine) -> int:
    """Count what the first job says of its time limit."""
    log = machine.run("limited").path / "submit" / "slurm-1.log"
    return log.read_text("utf-8").count("is requeued and will resume") if log.exists() else 0


def _as_local(machine: Machine, path: str) -> int:
    """Compare with the same sweep run here; give the number of trials."""
    with machine.start("run", path, "--name", "local", "--workers", "2") as process:
        out, err = process.communicate(timeout=JOB_SECONDS)
    assert (process.returncode, err) == (0, ""), (out, err)
    local, limited = machine.stored("local"), machine.stored("limited")
    final = limited[limited["final"]]
    assert final.index.get_level_values("trial_id").is_unique
    columns = [name for name in local.columns if name not in TIMINGS]
    assert {"nll", "mi", "nll_exact"} <= set(columns)
    pd.testing.assert_frame_equal(
        limited[columns].sort_index(),
        local[columns].sort_index(),
        check_exact=True,
        check_dtype=False,
    )
    document = json.dumps(final["status"].value_counts().to_dict())
    assert (final["status"] == "done").all(), document
    return len(final)


FAULTS = (
    Fault(
        "slurm",
        "Slurm (Debian's, one node): time limit reached",
        "requeued, completes, every row unique",
        _limited,
        long=True,
    ),
)
