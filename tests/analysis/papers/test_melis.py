import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from analysis.claims import Arm, Below, Range, arms_of
from analysis.frontier import frontier_points
from analysis.papers import PAPERS
from analysis.papers.melis import MELIS
from analysis.papers.melis_figures import CLAIMS
from analysis.papers.paper import Claim, answer
from analysis.papers.tables import KL, NLL, PERPLEXITY, Method
from sweeper.experiment import load, shipped

Rows = Callable[..., pd.DataFrame]


def test_papers_are_registered_under_their_names() -> None:
    assert all(paper.name == name for name, paper in PAPERS.items())


def test_every_arm_is_one_of_a_shipped_experiment() -> None:
    assert set(MELIS.experiments) <= set(shipped())
    there_are = {(name, arm) for name in MELIS.experiments for arm in load(name).arms}

    assert {tuple(arm) for arm in MELIS.arms} <= there_are


def test_every_claim_of_the_figures_is_covered_or_says_why_not() -> None:
    """`methods.md`, section 11, numbers them from 1 to 10."""
    told = {claim.number for claim in (*MELIS.claims, *MELIS.not_covered)}

    assert told == {*map(str, range(1, 11)), "Table 1"}
    assert all(claim.why for claim in MELIS.not_covered)


def test_no_claim_is_made_twice() -> None:
    made = [(claim.setting, claim.text) for claim in MELIS.claims]

    assert len(set(made)) == len(made)
    for claim in MELIS.claims:
        assert len(set(claim.statements)) == len(claim.statements)
        assert all(arms_of(statement) for statement in claim.statements)
        assert all(str(arm) in str(s) for s in claim.statements for arm in arms_of(s))


@pytest.mark.parametrize("method", MELIS.tables[0].methods, ids=lambda method: method.name)
def test_published_perplexities_are_those_of_the_published_nll(method: Method) -> None:
    """Up to rounding: half a unit in the third decimal of the NLL, and 0.05."""
    published = {name: figure.value for name, figure in method.published.items()}

    assert set(published) == {PERPLEXITY, NLL, KL}
    expected = math.exp(published[NLL])
    assert published[PERPLEXITY] == pytest.approx(expected, abs=0.05 + 0.0005 * expected + 0.02)


def test_every_figure_that_says_more_than_its_curves_order_is_claimed_with_its_split() -> None:
    claimed = {name for claim in CLAIMS for name in claim.experiments}
    expected = set(range(2, 30)) - {18}  # which has no margin
    assert claimed == {f"melis/fig{number:02d}" for number in expected}
    for claim in CLAIMS:
        for name in claim.experiments:
            trials = load(name).example_trials().values()
            assert {trial.evaluation.split for trial in trials} == {claim.split}


def frontier(rows: Rows, arm: Arm, nll: NDArray[np.float64]) -> pd.DataFrame:
    """Points with these NLLs at equidistant MIs from 0.1 to 5 nats, without any error."""
    mi = np.linspace(0.1, 5.0, len(nll))
    names = [f"{arm.name}-{number}" for number in range(len(nll))]
    columns = {"config_hash": names, "nll_mi_covariance": math.nan, "nll_floor": 6.0}
    columns |= {"mi_ceiling": 8.0, "train_seconds": 1.0, "device": "cpu", "host": "here"}
    return frontier_points(rows(list(zip(nll, mi, strict=True)), **columns)).points


ORDERED = [claim for claim in CLAIMS if all(isinstance(s, Below) for s in claim.statements)]


def depths(claim: Claim) -> dict[Arm, int]:
    """How many arms a claim says lie below each of its arms, one below another."""
    pairs = [(s.a, s.b) for s in claim.statements if isinstance(s, Below)]
    depth = dict.fromkeys(claim.arms, 0)
    for _ in claim.arms:
        for a, b in pairs:
            depth[b] = max(depth[b], depth[a] + 1)
    assert max(depth.values()) < len(claim.arms), "a claim that contradicts itself"
    return depth


@pytest.mark.parametrize("claim", ORDERED, ids=lambda claim: f"{claim.setting}: {claim.text}")
def test_each_claim_of_an_order_is_answered(rows: Rows, claim: Claim) -> None:
    """By curves in that order, in its reverse, that cross in the middle, and of few points."""

    def verdict(step: float, n: int = 10, slope: float = 0.0) -> str:
        line = np.linspace(-1.0, 1.0, n)
        points = {
            arm: frontier(rows, arm, 9.0 + depth * (step + slope * line))
            for arm, depth in depths(claim).items()
        }
        return answer(claim, points, "observation").verdict

    assert verdict(0.2) == "holds"
    assert verdict(-0.2) == "does not hold"
    assert verdict(0.2, n=3) == "not enough data"
    somewhere = {s.between for s in claim.statements if isinstance(s, Below)} != {Range()}
    by = max(s.by for s in claim.statements if isinstance(s, Below))
    if not somewhere and not by:
        assert verdict(0.0, n=40, slope=0.2) == "not enough data"


FLAT, RISING = np.full(40, 9.3), np.linspace(9.2, 9.8, 40)


@pytest.mark.parametrize(
    ("of_16", "of_64", "verdict"),
    [
        (FLAT, FLAT + 0.1, "holds"),
        (FLAT, FLAT - 0.1, "does not hold"),
        (RISING, RISING + 0.05, "holds"),
        (RISING, FLAT, "does not hold"),  # they cross, and 64 samples are better on average
        (FLAT[:3], FLAT[:3] + 0.1, "not enough data"),
    ],
)
def test_a_claim_of_a_figure_is_answered_by_its_curves(
    rows: Rows, of_16: NDArray[np.float64], of_64: NDArray[np.float64], verdict: str
) -> None:
    [claim] = [claim for claim in CLAIMS if claim.text == "VIMCO-64 is worse than VIMCO-16"]
    points = {
        arm: frontier(rows, arm, of_16 if "-16-" in arm.name else of_64) for arm in claim.arms
    }

    assert len(points) == 4
    assert answer(claim, points, "observation").verdict == verdict
