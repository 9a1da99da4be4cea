"""Files that are not what was written: truncated, torn, or changed by a bit."""

import os
import signal
from pathlib import Path

from soak.machine import AT_WORK, PATIENCE, wait_until
from soak.scene import Fault, Scene
from soak.sweeps import check, parts, write_experiment


def _damaged(stage: Scene) -> str:
    """Stop a sweep and damage every kind of file it has; then do so to the whole journal."""
    stage = stage.small
    path = write_experiment(stage.directory, "damaged", stage.quick)
    machine, run = stage.machine, stage.machine.run("damaged")
    with machine.start("run", str(path), "--workers", "2") as driver:
        wait_until(
            lambda: len(parts(machine, "damaged")) >= 2 and machine.processes(AT_WORK), driver
        )
        driver.send_signal(signal.SIGINT)
        driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 130
    states = {trial: sorted(trial.glob("*.pt")) for trial in run.checkpoints.glob("*/")}
    newest = [kept[-1] for kept in states.values() if kept]
    assert newest, "no trial was interrupted with a state"
    for state in newest:
        _truncate(state)
    truncated, flipped = sorted(run.results.glob("*.parquet"))[:2]
    _truncate(truncated)
    _flip(flipped)
    with run.journal.open("ab") as journal:
        journal.write(b'{"op_code":4,"worker_id":"to')
    whole = {
        t: p for t, p in parts(machine, "damaged").items() if t not in _ids(truncated, flipped)
    }

    code, lines, err = machine.sweeper("resume", "damaged", "--workers", "2")
    assert (code, err) == (0, ""), (code, lines, err)
    told = "\n".join(lines)
    for damaged in (truncated, flipped, run.journal):
        assert damaged.name in told, f"{damaged.name} is not named: {told}"
    for state in newest:
        assert str(Path(*state.parts[-2:])) in told, f"{state} is not named: {told}"
    aside = sorted(file.name for file in (run.results / "damaged").iterdir())
    assert aside == sorted([truncated.name, flipped.name])
    same = check(stage, "damaged", whole)

    content = bytearray(run.journal.read_bytes())
    content[len(content) // 2] = 0
    run.journal.write_bytes(content)
    stored = parts(machine, "damaged")
    code, lines, err = machine.sweeper("resume", "damaged", "--workers", "2")
    assert (code, err) == (0, ""), (code, lines, err)
    assert any(f"{run.journal.name} is damaged" in line for line in lines), lines
    assert (run.path / "damaged" / run.journal.name).read_bytes() == content
    check(stage, "damaged", stored)
    return (
        f"{len(newest)} newest states and 1 part truncated, 1 part with a bit changed, the "
        f"journal torn: each named, states and parts set aside; {same}. Then a byte within the "
        "journal: set aside, made again from the rows, nothing trained again"
    )


def _ids(*paths: Path) -> set[str]:
    return {path.stem for path in paths}


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


FAULTS = (
    Fault(
        "damage",
        "newest checkpoint truncated; row parts truncated or changed by a bit; the journal's last "
        "line torn, or one within it damaged",
        "continues from what is whole; what is damaged is named and set aside",
        _damaged,
    ),
)
