import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from analysis.claims import Arm, Statement, arms_of
from analysis.frontier import frontier_points
from analysis.orders import (
    Below,
    FitsBetter,
    Level,
    MoreInformation,
    NoBetter,
    Parallel,
    SomewhereAbove,
)
from analysis.papers import PAPERS
from analysis.papers.melis import MELIS
from analysis.papers.melis_claims import CLAIMS
from analysis.papers.melis_plots import FIGURE, FIGURES, FITTED, Plot
from analysis.papers.paper import Claim, answer
from analysis.papers.tables import KL, NLL, PERPLEXITY, Method
from analysis.shapes import BreaksDown, Collapses, Flat, Rises
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


def test_every_figure_is_claimed_with_its_split() -> None:
    claimed = {name for claim in CLAIMS for name in claim.experiments}

    assert claimed >= set(FIGURES.values())
    for name in claimed:
        trials = load(name).example_trials().values()
        [split] = {claim.split for claim in CLAIMS if name in claim.experiments}
        assert {trial.evaluation.split for trial in trials} == {split}


@pytest.mark.parametrize("number", FIGURES)
def test_a_plot_has_every_curve_of_its_experiment(number: int) -> None:
    arms = {Arm(FIGURES[number], name) for name in load(FIGURES[number]).arms}

    assert set(FIGURE[number].curves.values()) == arms


@pytest.mark.parametrize("plot", FITTED, ids=lambda plot: plot.name)
def test_arms_that_are_said_to_sweep_lambda_do(plot: Plot) -> None:
    [claim] = [c for c in CLAIMS if c.setting == plot.setting and "Without the MI" in c.text]

    for experiment in claim.experiments:
        trials = load(experiment).example_trials()
        mine = {arm.name for arm in claim.arms if arm.experiment == experiment}
        have = {name for name, trial in trials.items() if trial.objective.name in ("kl", "renyi")}
        assert mine == have


def frontier(rows: Rows, nll: NDArray[np.float64]) -> pd.DataFrame:
    """Points with these NLLs at equidistant MIs from 0.1 to 5 nats, without any error."""
    mi = np.linspace(0.1, 5.0, len(nll))
    names = [f"c{number}" for number in range(len(nll))]
    columns = {"config_hash": names, "nll_mi_covariance": math.nan, "nll_floor": 6.0}
    columns |= {"mi_ceiling": 8.0, "train_seconds": 1.0, "device": "cpu", "host": "here"}
    columns |= {"objective.lambda": 0.0}
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
        depth_of = depths(claim)
        made = {
            depth: frontier(rows, 6.01 + depth * (step + slope * line))
            for depth in set(depth_of.values())
        }
        points = {arm: made[depth] for arm, depth in depth_of.items()}
        return answer(claim, points, "observation").verdict

    assert verdict(0.11) == "holds"  # three curves are in view
    assert verdict(-0.11) == "does not hold"
    assert verdict(0.11, n=3) == "not enough data"
    [between] = {s.between for s in claim.statements if isinstance(s, Below)}
    [by] = {s.by for s in claim.statements if isinstance(s, Below)}
    middle, slope = (between.low + between.high) / 2, 0.06
    # Differences that are as large as the claim has it on average over its range, and cross that.
    assert verdict(by + slope * (1 - 2 * middle), n=40, slope=slope) == "not enough data"


N = 40
M = np.linspace(0.1, 5.0, N)
FLAT, RISING, ELBOW = np.full(N, 6.01), 6.0 + M / 50, 6.0 + 5 * np.maximum(M - 3.9, 0.0)
CROSSING = RISING + np.where(M > 3.75, 0.1, -0.1)
# For each kind of statement, curves of A and B by which it holds, and by which it does not.
BUILT = {
    Rises: [((RISING,), (FLAT,))],
    BreaksDown: [((ELBOW,), (RISING,)), ((ELBOW,), (FLAT,))],
    Flat: [((FLAT,), (FLAT + 1,)), ((6.0 + M / 500,), (RISING + 0.2,))],
    Level: [((FLAT + 0.005, FLAT), (FLAT + 0.1, FLAT)), ((FLAT, FLAT), (RISING + 0.5, RISING))],
    NoBetter: [((FLAT, FLAT), (FLAT, FLAT + 0.2)), ((RISING + 0.1, RISING), (FLAT, FLAT + 0.1))],
    SomewhereAbove: [((CROSSING, RISING), (RISING - 0.1, RISING))],
    Parallel: [((RISING - 0.3, RISING), (6.0 + M / 25, RISING))],
    FitsBetter: [((RISING, RISING + 0.5), (RISING + 0.5, RISING))],
    MoreInformation: [((RISING[::-1], RISING), (RISING, RISING[::-1]))],
}


def at_the_margin(statement: Statement) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Curves of A and B that cross so that the number is at the end of the claimed region."""
    if isinstance(statement, Parallel):
        return 6.0 + statement.factor * M / 50, RISING
    if not isinstance(statement, NoBetter | Level):
        return None
    margin = statement.by if isinstance(statement, NoBetter) else statement.within
    low, high, nats, _ = statement.between
    middle = ((low + high) / 2 - M[0]) / np.ptp(M) if nats else (low + high) / 2
    return FLAT, FLAT + margin + 0.06 * ((M - M[0]) / np.ptp(M) - middle)


OTHERS = [claim for claim in CLAIMS if {type(s) for s in claim.statements} <= BUILT.keys()]


@pytest.mark.parametrize("claim", OTHERS, ids=lambda claim: f"{claim.setting}: {claim.text}")
def test_each_other_claim_is_answered(rows: Rows, claim: Claim) -> None:
    """By curves by which it holds, by which it does not, and of few points."""
    [kind] = {type(s) for s in claim.statements}
    sides = [arms_of(s) for s in claim.statements]

    def verdict(curves: tuple[NDArray[np.float64], ...], n: int = N) -> str:
        made = [frontier(rows, curve[:n]) for curve in curves]
        points = {arm: of for arms in sides for arm, of in zip(arms, made, strict=True)}
        return answer(claim, points, "observation").verdict

    for holds, fails in BUILT[kind]:
        assert verdict(holds) == "holds"
        assert verdict(fails) == "does not hold"
        assert verdict(holds, n=3) == "not enough data"
    if (crossing := at_the_margin(claim.statements[0])) is not None:
        assert verdict(crossing) == "not enough data"


COLLAPSING = [claim for claim in CLAIMS if isinstance(claim.statements[0], Collapses)]


@pytest.mark.parametrize("claim", COLLAPSING, ids=lambda claim: claim.setting)
def test_each_claim_of_collapse_is_answered(rows: Rows, claim: Claim) -> None:
    def verdict(most: float, n: int = 10, nll: float = 6.01) -> str:
        made = frontier(rows, np.full(n, nll)).assign(mi_value=most * np.linspace(0, 1, n))
        return answer(claim, dict.fromkeys(claim.arms, made), "observation").verdict

    assert verdict(0.01) == "holds"
    assert verdict(5.0) == "does not hold"
    assert verdict(0.01, nll=6.1) == "does not hold"  # not at the lowest possible NLL
    assert verdict(0.01, n=1) in ("holds", "not enough data")  # there are up to 9 arms


def test_every_claim_is_tried_on_constructed_curves() -> None:
    assert len(ORDERED) + len(OTHERS) + len(COLLAPSING) == len(CLAIMS)


@pytest.mark.parametrize(
    ("of_16", "of_64", "verdict"),
    [
        (FLAT, FLAT + 0.1, "holds"),
        (FLAT, FLAT - 0.1, "does not hold"),
        (RISING, RISING + 0.1, "holds"),
        (RISING, FLAT, "does not hold"),  # they cross, and 64 samples are better on average
        (FLAT[:3], FLAT[:3] + 0.1, "not enough data"),
    ],
)
def test_a_claim_of_a_figure_is_answered_by_its_curves(
    rows: Rows, of_16: NDArray[np.float64], of_64: NDArray[np.float64], verdict: str
) -> None:
    [claim] = [claim for claim in CLAIMS if claim.text.startswith("VIMCO-64 is much worse")]
    points = {arm: frontier(rows, of_16 if "-16-" in arm.name else of_64) for arm in claim.arms}

    assert len(points) == 4
    assert answer(claim, points, "observation").verdict == verdict
