"""Faults of the soak, a few times, in the tests of every change.

Those that take longest to stage are left to `make soak`; what they show of one process alone is
tested beside its module: signals, locks, full disks, lack of memory, jobs.
"""

from pathlib import Path

import pytest

from soak.faults import FAULTS
from soak.scene import play

FAST = ["driver-kill", "worker-kill", "damage", "store", "node-loss"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]


@pytest.mark.parametrize("name", FAST)
def test_a_fault_ends_as_expected(name: str) -> None:
    row = play(FAULTS[name], quick=True)
    if row.outcome == "not run":
        pytest.skip(row.observed)

    assert row.outcome == "ok", row.observed
