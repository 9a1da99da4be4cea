import math

import pytest

from analysis.claims import arms_of
from analysis.papers import PAPERS
from analysis.papers.melis import MELIS
from analysis.papers.tables import KL, NLL, PERPLEXITY, Method
from sweeper.experiment import load, shipped


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
