"""A thousand trials in one sweep: neither the time nor the memory that one takes grows much."""

import time
from itertools import pairwise

from soak.machine import PATIENCE, resident
from soak.scene import Fault, Scene
from soak.sweeps import write_experiment

MOST_BYTES_A_TRIAL = 40_000  # half of it what Tune keeps of every trial
MOST_GROWTH = 1.5  # of the time of a trial, from the first quarter to the last


def _thousand(stage: Scene) -> str:
    n = stage.times(1000, 40)
    path = write_experiment(
        stage.directory,
        "thousand",
        stage.quick,
        trial={"training": {"steps": 2, "batch_size": 4}, "evaluation": {"samples": 2}},
        search={"sampler": {"name": "random"}, "trials": n, "seeds": 1},
    )
    looks: list[tuple[float, int]] = []  # seconds and bytes when a trial had ended
    with stage.machine.start("run", str(path), "--workers", "2") as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if "  left " in line:
                looks.append((time.monotonic(), resident(driver.pid)))
        _, err = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, err) == (0, ""), err
    final = stage.machine.final("thousand")
    assert len(looks) == len(final) == final.index.nunique() == n
    # Ray and its workers are warm by the end of the first tenth.
    quarters = [n // 10, n // 4, n // 2, 3 * n // 4, n - 1]
    spans = [1000 * (looks[b][0] - looks[a][0]) / (b - a) for a, b in pairwise(quarters)]
    memory = [looks[at][1] / 2**20 for at in quarters]
    growth = spans[-1] / spans[0]
    bytes_a_trial = (looks[-1][1] - looks[n // 4][1]) / (n - n // 4)
    if not stage.quick:
        assert growth < MOST_GROWTH, f"milliseconds a trial by quarter: {spans}"
        assert bytes_a_trial < MOST_BYTES_A_TRIAL, f"MiB of the driver: {memory}"
    return (
        f"{n} trials; ms a trial by quarter: {', '.join(f'{span:.0f}' for span in spans)}; MiB of "
        f"the driver, resident, after a tenth and each quarter: "
        f"{', '.join(f'{size:.0f}' for size in memory)} ({bytes_a_trial / 1000:.1f} kB a trial)"
    )


FAULTS = (
    Fault(
        "thousand",
        "1,000 trials of almost no work in one sweep",
        "the time of a trial does not grow, the driver's memory by less than 40 kB a trial",
        _thousand,
        alone=True,
    ),
)
