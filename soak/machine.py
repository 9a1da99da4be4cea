"""The command line in processes of its own, and what can be done to those that it starts."""

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

from sweeper.results import ResultStore
from sweeper.runs import RunDirectory

ROOT = Path(__file__).parents[1]
PATIENCE = 300  # seconds; only what fails waits so long
LONGEST = 1200  # seconds for a whole sweep, on a machine that is busy
# The titles that Ray gives a worker's process: while it is called, then between two calls.
WORKER = ("ray::ResourceTrainable.", "ray::LatentVariableTrial")
AT_WORK = "ray::ResourceTrainable.train"


class Machine:
    """Runs the command line below a directory, and finds the processes that belong to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ray = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))
        self.mark = f"SWEEPER_TEST_MARK={uuid4().hex}"
        name, _, value = self.mark.partition("=")
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),  # this code, whatever is installed
            "RAY_TMPDIR": str(self.ray),
            "TERM": "xterm",
            name: value,
        }

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
            out, err = process.communicate(timeout=LONGEST)
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


def resident(pid: int) -> int:
    """The bytes of memory that a process has; none where it has just ended."""
    fields = _content(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def wait_until(
    condition: Callable[[], object], driver: subprocess.Popen[str] | None = None
) -> None:
    """Wait for something to happen; while it does not, a `driver` has to stay alive."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if driver is not None:
            assert driver.poll() is None, f"the driver ended with {driver.communicate()}"
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def kill_worker(machine: Machine) -> None:
    found: list[int] = []
    wait_until(lambda: found or found.extend(machine.processes(*WORKER)))  # type: ignore[func-returns-value]
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
