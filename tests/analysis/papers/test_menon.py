import math
from itertools import pairwise

import pytest

from analysis.claims import arms_of
from analysis.papers.menon import MENON
from analysis.papers.tables import EPOCHS, HOURS, TIME, Table
from analysis.seeds import OfSeeds
from sweeper.layers import compose, shipped
from sweeper.located import Problems

RESULTS = MENON.tables[:3]
BATCH_SIZE = {"table1_yahoo": 32, "table1_yelp": 32, "table2_omniglot": 50}


def published(table: Table) -> dict[str, dict[str, float]]:
    return {
        method.name: {name: figure.value for name, figure in method.published.items()}
        for method in table.methods
    }


def test_every_arm_is_one_of_a_shipped_experiment() -> None:
    there_are = {
        (name, arm)
        for name in MENON.experiments
        for arm, change in compose(shipped()[name], None, (), Problems(name))
        .children["arms"]
        .children.items()
        if change.value is not None
    }

    assert {tuple(arm) for arm in MENON.arms} <= there_are


def test_what_is_claimed_and_shown_is_of_seeds_on_the_test_split() -> None:
    for claim in MENON.claims:
        assert claim.split == "test"
        assert len(claim.experiments) == 1
        for statement in claim.statements:
            assert isinstance(statement, OfSeeds)
            assert all(str(arm) in str(statement) for arm in arms_of(statement))
    assert {table.split for table in MENON.tables} == {"test"}
    assert len({table.file for table in MENON.tables}) == len(MENON.tables)


def test_no_claim_is_made_twice() -> None:
    made = [(claim.setting, claim.text) for claim in MENON.claims]

    assert len(set(made)) == len(made)


@pytest.mark.parametrize("table", RESULTS, ids=lambda table: table.file)
def test_published_figures_are_in_the_published_order(table: Table) -> None:
    """What the paper claims holds for its own figures, so none is out of place."""
    of = published(table)
    order = [of[name] for name in ("critic, NN", "critic, hybrid", "critic, self", "VAE")]

    for figure in ("KL", "MI"):
        assert all(above[figure] > below[figure] for above, below in pairwise(order))
    assert of["critic, hybrid"]["NLL"] <= of["VAE"]["NLL"]
    if table.file != "table2_omniglot":
        assert of["critic, NN"]["NLL"] > of["VAE"]["NLL"] + 10 - 0.05


@pytest.mark.parametrize("table", RESULTS, ids=lambda table: table.file)
def test_published_figures_are_possible(table: Table) -> None:
    """MI is under ln B and, up to rounding and sampling, under the KL; AU is of 32 latents."""
    ceiling = math.log(BATCH_SIZE[table.file])

    assert len(table.methods) == 7
    for figures in published(table).values():
        assert set(figures) == {"NLL", "KL", "MI", "AU"}
        assert 0 <= figures["MI"] <= min(ceiling, figures["KL"] + 0.05)
        assert 0 <= figures["AU"] <= 32
    assert any(f"ln {BATCH_SIZE[table.file]} = {ceiling:.2f} nats" in n for n in table.notes)
    assert all(f.deviation >= 0 for m in table.methods for f in m.published.values())


def test_published_times_are_those_of_the_published_hours() -> None:
    """Up to the rounding of the hours."""
    of = {name: figures for name, figures in published(MENON.tables[3]).items() if figures}

    assert {name: figures[EPOCHS] for name, figures in of.items()} == {
        "VAE": 54,
        "Lagging-VAE": 49,
        "critic, hybrid": 54,
    }
    for figures in of.values():
        assert figures[TIME] == pytest.approx(figures[HOURS] / of["VAE"][HOURS], abs=0.05)
