import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, Below
from analysis.frontier import frontier_points
from analysis.papers.paper import Claim, answer

Rows = Callable[..., pd.DataFrame]
A, B, C = (Arm("experiment", name) for name in "abc")
A_BELOW_B, B_BELOW_A, A_BELOW_C = Below(A, B), Below(B, A), Below(A, C)


@pytest.fixture
def points(rows: Rows) -> dict[Arm, pd.DataFrame]:
    """Arm a lies below b, and c is missing."""

    def arm(nll: float) -> pd.DataFrame:
        stored = rows([(nll, mi) for mi in np.linspace(0.1, 5, 20)]).assign(
            config_hash=[f"c{i}" for i in range(20)], nll_mi_covariance=math.nan, train_seconds=1.0
        )
        return frontier_points(stored).points

    return {A: arm(6.0), B: arm(7.0)}


# One statement that does not hold is enough; one without data leaves the others undecided.
@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ([A_BELOW_B], HOLDS),
        ([A_BELOW_B, A_BELOW_B], HOLDS),
        ([A_BELOW_B, B_BELOW_A], FAILS),
        ([A_BELOW_B, A_BELOW_C], UNDECIDED),
        ([A_BELOW_C, B_BELOW_A], FAILS),
    ],
)
def test_a_claim_holds_where_all_its_statements_do(points, statements, verdict) -> None:
    found = answer(Claim("1", "text", "setting", tuple(statements)), points, "observation")

    assert found.verdict == verdict
    assert len(found.evidence) == len(statements)


def test_a_claim_knows_its_arms_once() -> None:
    claim = Claim("1", "text", "setting", (A_BELOW_B, B_BELOW_A, A_BELOW_C))

    assert claim.arms == (A, B, C)
    assert claim.experiments == ("experiment",)
