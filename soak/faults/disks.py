"""Disks that are full."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak.machine import PATIENCE, wait_until
from soak.scene import Fault, Scene, UnavailableError
from soak.sweeps import check, parts, write_experiment

DISK = "24m"


def _full(stage: Scene) -> str:
    """Fill the disk under a running sweep, once where it keeps no states and once with them."""
    stage = stage.small
    machine = stage.machine
    observed, earlier = [], dict[str, str]()
    with small_disk(stage.directory / "runs"):
        for what, policy, enough in (
            ("keeping no states", {"seconds": 3600, "steps": None}, 2),
            ("a state every 20 steps", {"seconds": 3600, "steps": 20}, 4),
        ):
            path = write_experiment(stage.directory, "full", stage.quick, checkpoints=policy)
            with machine.start("run", str(path), "--workers", "2") as driver:
                wait_until(lambda n=enough: len(parts(machine, "full")) >= n, driver)  # type: ignore[misc]
                filler = fill(stage.directory / "runs")
                _, err = driver.communicate(timeout=PATIENCE)
            assert driver.returncode == 2, (driver.returncode, err)
            assert len(err.splitlines()) == 1, err
            assert err.startswith("error: cannot write "), err
            assert "No space left on device" in err, err
            now = parts(machine, "full")
            assert earlier.items() <= now.items(), "earlier rows changed"
            assert len(machine.final("full")) == len(now)  # all of them can be read
            observed.append(f"{what}, with {len(now)} trials stored: “{_short(err, stage)}”")
            earlier = now
            filler.unlink()
        code, lines, err = machine.sweeper("resume", "full", "--workers", "2")
        assert (code, err) == (0, ""), (code, lines, err)
        same = check(stage, "full", earlier)
    return f"{'; '.join(observed)}; each time exit 2, rows intact; after space was freed {same}"


def _short(error: str, stage: Scene) -> str:
    return (
        error.removeprefix("error: ").replace(str(stage.directory), "").partition(". ")[0].strip()
    )


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "soak", str(directory)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError("there is no `mount`") from None
    if done.returncode:
        raise UnavailableError(f"cannot mount a small disk: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Take all space that is left, to the last page."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return filler


FAULTS = (
    Fault(
        "disk-full",
        "disk full while writing a row part or a checkpoint (a tmpfs of 24 MiB)",
        "one clear error, earlier rows intact, resume after space is freed completes",
        _full,
    ),
)
