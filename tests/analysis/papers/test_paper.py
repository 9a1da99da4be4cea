import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, arms_of
from analysis.frontier import frontier_points
from analysis.orders import Below
from analysis.papers import PAPERS
from analysis.papers.paper import Claim, Paper, answer
from analysis.trends import Trend
from sweeper.layers import compose, shipped
from sweeper.located import Problems
from sweeper.stored.protocols import Shipped

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


WITHOUT_FIGURES = pytest.mark.parametrize(
    "paper", [PAPERS["cr_vae"], PAPERS["control_vae"]], ids=lambda paper: paper.name
)


@WITHOUT_FIGURES
def test_what_is_claimed_and_shown_is_of_shipped_arms_as_they_are_evaluated(paper: Paper) -> None:
    there_are = {
        (name, arm)
        for name in paper.experiments
        for arm in compose(shipped()[name], None, (), Problems(name)).children["arms"].children
    }

    assert {tuple(arm) for arm in paper.arms} <= there_are
    assert {Shipped(name).split for name in paper.experiments} == {"validation"}
    assert {part.split for part in (*paper.claims, *paper.tables)} == {"validation"}


@WITHOUT_FIGURES
def test_every_experiment_of_the_family_is_used(paper: Paper) -> None:
    there_are = {
        name
        for name in shipped()
        if name.startswith(f"{paper.name}/") and not name.partition("/")[2].startswith("_")
    }

    assert set(paper.experiments) == there_are


@WITHOUT_FIGURES
def test_a_knob_whose_trend_is_claimed_is_swept(paper: Paper) -> None:
    trends = [s for claim in paper.claims for s in claim.statements if isinstance(s, Trend)]

    assert trends
    for trend in trends:
        assert trend.knob in Shipped(trend.arm.experiment).document["search"]["space"]


@WITHOUT_FIGURES
def test_nothing_is_published_and_the_page_says_so(paper: Paper) -> None:
    assert not any(table.is_published for table in paper.tables)
    assert "tables show ours alone" in " ".join(paper.notes)
    assert len({table.file for table in paper.tables}) == len(paper.tables)


@WITHOUT_FIGURES
def test_a_claim_is_made_once_and_names_its_arms(paper: Paper) -> None:
    made = [(claim.setting, claim.text) for claim in paper.claims]

    assert len(set(made)) == len(made)
    for claim in paper.claims:
        assert len(claim.experiments) == 1
        assert len(set(claim.statements)) == len(claim.statements)
        assert all(str(arm) in str(s) for s in claim.statements for arm in arms_of(s))
    assert all(claim.why for claim in paper.not_covered)
