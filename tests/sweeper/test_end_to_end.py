"""Whole sweeps through the command line and Ray, with everything that can happen to them.

Ray takes seconds to start, so each test lets several things happen to one run.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest

from sweeper.experiment import load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]

WriteExperiment = Callable[..., Path]
PATIENCE = 120  # seconds; only a test that fails waits so long
FRONTIER_FILES = [f"frontier.{kind}" for kind in ("csv", "parquet", "pdf", "png", "svg")]
TIMINGS = [
    *("train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"),
    *("created_at", "host"),
]
# The titles that Ray gives a worker's process: while it is called, then between two calls.
WORKER = ("ray::ResourceTrainable.", "ray::LatentVariableTrial")
AT_WORK = "ray::ResourceTrainable.train"
# Trials of a few seconds: long enough to be caught at work.
LONG = {"training": {"steps": 1500, "batch_size": 16}, "evaluation": {"every": 100}}
STEPS = re.compile(rb" ([1-9]\d*)/1500 ")


class Machine:
    """Runs the command line below a directory, and finds the processes that belong to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ray = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))
        self.mark = f"SWEEPER_TEST_MARK={uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.env = {**os.environ, "RAY_TMPDIR": str(self.ray), "TERM": "xterm", name: value}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sweeper", *arguments],
            cwd=self.directory,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def sweeper(self, *arguments: str) -> tuple[int, list[str], str]:
        """Run a command to its end; give its exit code, output lines and error text."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out.splitlines(), err

    def processes(self, *names: str) -> list[int]:
        """The processes that a command of this machine started, of these names or of any."""
        return [
            int(path.name)
            for path in Path("/proc").glob("[0-9]*")
            if self.mark.encode() in _content(path / "environ")
            and _content(path / "cmdline").decode(errors="replace").startswith(names or "")
        ]

    def clear(self) -> None:
        """Kill what still runs, and remove what it left in Ray's directory."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes())
        for leftover in self.ray.iterdir():
            shutil.rmtree(leftover)

    def run(self, name: str) -> RunDirectory:
        return RunDirectory(self.directory / "runs" / name)

    def stored(self, name: str) -> pd.DataFrame:
        return ResultStore(self.run(name).results).read().set_index(["trial_id", "step"])

    def final(self, name: str) -> pd.DataFrame:
        rows = self.stored(name)
        return rows[rows["final"]].reset_index("step")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has just ended, or is somebody else's
        return b""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
        wait_until(lambda: not machine.processes())  # Ray's daemons watch their parents
        assert list(machine.ray.iterdir()) == []
    finally:
        machine.clear()
        shutil.rmtree(machine.ray, ignore_errors=True)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def kill_worker(machine: Machine) -> None:
    found: list[int] = []
    wait_until(lambda: found.extend(machine.processes(*WORKER)) or found)
    os.kill(found[0], signal.SIGKILL)
    wait_until(lambda: found[0] not in machine.processes())


@contextmanager
def held_still(process: subprocess.Popen[str]) -> Iterator[None]:
    """Stop a process for a while, however fast the machine is."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def lines_until(process: subprocess.Popen[str], start: str) -> list[str]:
    """Read the output of a process up to a line that starts as told."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
    raise AssertionError(f"no line starts with {start!r}: {lines}, {process.stderr}")


class Terminal:
    """A command on a terminal of its own."""

    # A process gets its terminal before it becomes the command.
    _LAUNCH = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, [sys.executable, '-m', 'sweeper', *sys.argv[1:]])"
    )

    def __init__(self, machine: Machine, *arguments: str) -> None:
        self.screen, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (40, 160))
        self.process = subprocess.Popen(
            [sys.executable, "-c", self._LAUNCH, *arguments],
            cwd=machine.directory,
            env=machine.env,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.shown = b""

    def read_until(self, pattern: re.Pattern[bytes] | None) -> bytes:
        """Read what is shown until it holds a pattern, or to the end; give what was new."""
        new = b""
        deadline = time.monotonic() + PATIENCE
        while pattern is None or not pattern.search(new):
            assert time.monotonic() < deadline, self.shown.decode(errors="replace")
            if select.select([self.screen], [], [], 1)[0]:
                try:
                    read = os.read(self.screen, 65536)
                except OSError:  # the other end is closed
                    read = b""
                if not read:
                    assert pattern is None, self.shown.decode(errors="replace")
                    break
                new, self.shown = new + read, self.shown + read
        return new

    def press(self, key: bytes) -> None:
        os.write(self.screen, key)

    def close(self) -> int:
        """Read to the end and give the exit code."""
        self.read_until(None)
        os.close(self.screen)
        return self.process.wait(PATIENCE)


def uninterrupted(row: pd.Series, experiment: Path) -> list[dict[str, Any]]:
    """Train a stored trial in one go, without Ray, and give all its evaluations."""
    [name] = load(experiment).arms
    values = {"training.learning_rate": row["training.learning_rate"]}
    config: TrialConfig = load(experiment).trial_config(name, values)
    run = TrainingRun(config, int(row["seed"]), data_root=Path("/nonexistent"))
    while not run.finished:
        run.train()
        run.evaluate()
    return run.evaluations


def same_as_uninterrupted(rows: pd.DataFrame, trial_id: str, experiment: Path) -> bool:
    stored = rows.loc[trial_id].reset_index()
    fresh = pd.DataFrame(uninterrupted(stored.iloc[0], experiment))
    metrics = [name for name in fresh if name not in TIMINGS]
    assert {"nll", "mi", "nll_exact", "train_loss", "ess"} <= set(metrics)
    pd.testing.assert_frame_equal(
        stored[metrics], fresh[metrics], check_exact=True, check_dtype=False
    )
    return True


def test_a_shipped_experiment_becomes_rows_and_a_frontier_and_is_not_trained_again(
    machine: Machine,
) -> None:
    arguments = ["run", "quickstart.yaml", "--scale", "smoke", "--set", "search.seeds=2"]
    code, lines, err = machine.sweeper(*arguments)

    assert (code, err) == (0, "")
    assert lines[0] == "runs/quickstart: 0 of 8 trials are done; training the rest"
    assert sorted(line[1:4] for line in lines if "  left " in line) == [
        f"{n}/8" for n in range(1, 9)
    ]
    assert lines[-5:] == [f"runs/quickstart/frontier/{name}" for name in FRONTIER_FILES]
    final = machine.final("quickstart")
    assert final.index.is_unique
    assert (final["status"] == "done").all()
    assert (final["scale"] == "smoke").all()
    assert final.groupby(["arm", "seed"]).size().to_dict() == {
        (arm, seed): 2 for arm in ("renyi-vimco-16", "reinforce-1") for seed in (0, 1)
    }
    run = machine.run("quickstart")
    assert sorted(path.name for path in run.path.iterdir()) == [
        "driver.lock",
        "experiment.yaml",
        "frontier",
        "models",
        "results",
        "study.journal",
    ]

    code, lines, err = machine.sweeper(*arguments)

    assert (code, err) == (0, "")
    assert lines[0] == "runs/quickstart: all 8 trials are done"
    pd.testing.assert_frame_equal(machine.final("quickstart"), final)


def test_an_interrupted_sweep_continues_to_the_results_of_an_uninterrupted_one(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(trial=LONG, search={"trials": 1, "seeds": 4})

    with machine.start("run", str(path), "--workers", "2") as driver:
        lines_until(driver, "[1/4]")
        driver.send_signal(signal.SIGINT)
        out, err = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, err) == (130, "")
    assert "stopping: running trials save their state" in out
    first = machine.final("tiny")
    assert 1 <= len(first) < 4
    last_line = out.splitlines()[-1]
    assert last_line == (
        f"interrupted with {len(first)} of 4 trials done; continue with: sweeper resume runs/tiny"
    )

    terminal = Terminal(machine, "resume", "tiny", "--workers", "2")
    terminal.read_until(STEPS)
    terminal.press(b"\x03")
    assert terminal.close() == 130
    assert b"trials: " in terminal.shown  # the live display
    assert b"Traceback" not in terminal.shown
    assert b"continue with: sweeper resume runs/tiny" in terminal.shown
    second = machine.final("tiny")
    assert len(first) <= len(second) < 4
    caught = {state.stem for state in machine.run("tiny").checkpoints.glob("*.pt")}
    assert caught - set(second.index)
    code, lines, _ = machine.sweeper("status", "tiny")
    assert (code, lines[1]) == (0, "continue with: sweeper resume runs/tiny")
    assert lines[0].startswith(f"runs/tiny: stopped; {len(second)} of 4 trials have ended")

    code, lines, err = machine.sweeper("resume", "tiny", "--workers", "2")
    assert (code, err) == (0, "")
    rows, final = machine.stored("tiny"), machine.final("tiny")
    assert final.index.is_unique
    assert sorted(final["seed"]) == [0, 1, 2, 3]
    for earlier in (first, second):
        pd.testing.assert_frame_equal(final.loc[earlier.index], earlier)
    assert len([line for line in lines if "  left " in line]) == 4 - len(second)
    for trial_id in caught:
        assert same_as_uninterrupted(rows, trial_id, path)
    assert not machine.run("tiny").checkpoints.exists()


def test_killed_workers_and_drivers_lose_and_repeat_nothing(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(trial=LONG, search={"trials": 1, "seeds": 2})
    run = machine.run("tiny")

    with machine.start("run", str(path), "--workers", "1") as driver:
        lines_until(driver, "runs/tiny: 0 of 2")
        kill_worker(machine)
        with held_still(driver):
            code, lines, err = machine.sweeper("run", str(path))
            assert (code, lines) == (2, [])
            owner = f"process {driver.pid} on "
            assert re.fullmatch(f"error: runs/tiny is being driven by {owner}.*\n", err)
            code, lines, _ = machine.sweeper("status", "tiny")
            assert (code, lines[0]) == (0, "runs/tiny: running; 0 of 2 trials have ended")

        lines_until(driver, "[1/2]")
        kill_worker(machine)  # just between two trials, mostly
        wait_until(lambda: machine.processes(AT_WORK))
        driver.kill()
    first = machine.final("tiny")
    assert first["status"].tolist() == ["done"]
    assert not run.is_driven()

    # `run` continues, like `resume`, while the daemons of the dead driver's Ray still linger.
    code, lines, err = machine.sweeper("run", str(path))
    assert (code, err) == (0, "")
    assert lines[0] == "runs/tiny: 1 of 2 trials are done; training the rest"
    final = machine.final("tiny")
    assert final["status"].tolist() == ["done", "done"]
    assert sorted(final["seed"]) == [0, 1]
    pd.testing.assert_frame_equal(final.loc[first.index], first)
    [continued] = set(final.index) - set(first.index)
    assert same_as_uninterrupted(machine.stored("tiny"), continued, path)
    machine.clear()  # the daemons would take a minute to notice that their driver is gone


def test_trials_end_well_or_badly_and_wait_for_a_place_to_be_stored(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    rate = {"kind": "float", "low": 0.01, "high": 0.1, "when": {"objective.estimator": "vimco"}}
    space = {"training.learning_rate": rate, "training.l2": {**rate, "low": 0.0, "when": {}}}
    arms = {
        "good": {},
        "diverging": {
            "objective": {"estimator": "reinforce", "samples": 1},
            "training": {"learning_rate": 1e38, "optimizer": {"name": "sgd"}},
        },
        "impossible": {"model": {"embedding": 1, "hidden": 2**23}},  # one layer has 256 TB
    }
    path = experiment_file(arms=arms, search={"trials": 2, "space": space})
    run = machine.run("tiny")
    run.create(load(path).to_yaml())
    run.results.write_text("in the way")

    code, _, err = machine.sweeper("run", str(path))
    assert code == 2
    assert re.fullmatch(r"error: cannot write .*\. What was stored before is intact; .*\n", err)
    assert run.results.read_text() == "in the way"
    run.results.unlink()

    code, lines, err = machine.sweeper("resume", "tiny")
    assert (code, err) == (1, "")
    assert lines[0] == "runs/tiny: 0 of 6 trials are done; training the rest"
    assert lines[-1] == (
        "2 trials failed, more than search.allowed_failures (0); "
        "`sweeper status runs/tiny` says why"
    )
    final = machine.final("tiny")
    assert final.groupby("arm")["status"].agg(list).to_dict() == {
        "good": ["done", "done"],
        "diverging": ["diverged", "diverged"],
        "impossible": ["failed", "failed"],
    }
    assert set(pd.read_csv(run.frontier / "frontier.csv")["arm"]) == {"good"}

    code, lines, err = machine.sweeper("status", "tiny")
    assert (code, err) == (0, "")
    reasons = [line.split(maxsplit=2)[2] for line in lines if line.startswith("  ")]
    found = r"diverged: (parameters as large as|the training loss is not finite)"
    assert len([reason for reason in reasons if re.match(found, reason)]) == 2
    assert len([reason for reason in reasons if reason.startswith("failed: RuntimeError: ")]) == 2
    assert {"left out: 2 diverged", "left out: 2 failed"} <= set(lines)


def test_a_finished_run_is_extended_and_its_points_are_trained_again(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(name="longer")
    assert machine.sweeper("run", str(path), "--workers", "1")[0] == 0
    before = machine.final("longer")

    code, lines, err = machine.sweeper("extend", "longer", "--trials", "2", "--workers", "1")
    assert (code, err) == (0, "")
    assert lines[:2] == [
        "runs/longer: 3 + 2 = 5 configurations an arm from now on",
        "runs/longer: 3 of 5 trials are done; training the rest",
    ]
    after = machine.final("longer")
    assert len(after) == 5
    pd.testing.assert_frame_equal(after.loc[before.index], before)

    code, _, err = machine.sweeper("run", str(path))
    assert code == 2
    assert err.splitlines()[1:] == [
        "  search.trials: 5 -> 3",
        "the run itself has 5 trials an arm; go on with: sweeper resume runs/longer",
    ]
    code, lines, err = machine.sweeper("rerun", str(after.index[-1]))
    assert (code, lines[-1], err) == (0, "it agrees to the bit", "")
