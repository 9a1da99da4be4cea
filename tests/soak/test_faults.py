"""Every fault of the soak, a few times, in the tests of every change."""

from pathlib import Path

import pytest

from soak.faults import FAULTS
from soak.scene import Fault, play

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_ends_as_expected(fault: Fault) -> None:
    row = play(fault, quick=True)
    if row.outcome == "not run":
        pytest.skip(row.observed)

    assert row.outcome == "ok", row.observed
