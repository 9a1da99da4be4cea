"""What a paper holds that stored runs can be set beside: its claims and its table."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from analysis.checking import Evidence, check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, Statement, Verdict, arms_of
from analysis.frontier import Unit


class Claim(NamedTuple):
    """A claim of a paper, in some setting: it holds where all of its statements do.

    `number` is that of `methods.md`, section 11, "What the figures say". `split` is the one that
    has to be evaluated.
    """

    number: str
    text: str
    setting: str
    statements: tuple[Statement, ...]
    split: str = "train"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Give the arms of its statements, each once."""
        arms = (arm for statement in self.statements for arm in arms_of(statement))
        return tuple(dict.fromkeys(arms))

    @property
    def experiments(self) -> tuple[str, ...]:
        """Give the names of the shipped experiments that have those arms."""
        return tuple(dict.fromkeys(arm.experiment for arm in self.arms))


class NotCovered(NamedTuple):
    """A claim that no shipped experiment can answer, and why."""

    number: str
    text: str
    why: str


class Column(NamedTuple):
    """A column of a paper's table: a method, its published figures by row, and its arm here."""

    name: str
    published: Mapping[str, float]
    arm: Arm


class Table(NamedTuple):
    """A table of best results, each figure that of the configuration with the lowest NLL.

    `rows` name figures that `best_figures` gives.
    """

    number: str
    title: str
    split: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]


class Paper(NamedTuple):
    """A paper, as far as the shipped experiments cover it."""

    name: str
    title: str
    table: Table
    claims: tuple[Claim, ...]
    not_covered: tuple[NotCovered, ...]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Give the arms that claims and table are about, each once."""
        claimed = (arm for claim in self.claims for arm in claim.arms)
        return tuple(dict.fromkeys([*claimed, *(column.arm for column in self.table.columns)]))

    @property
    def experiments(self) -> tuple[str, ...]:
        """Give the names of the shipped experiments that have those arms."""
        return tuple(dict.fromkeys(arm.experiment for arm in self.arms))


class Answer(NamedTuple):
    """A claim's verdict, and the evidence for each of its statements, in order."""

    claim: Claim
    verdict: Verdict
    evidence: tuple[Evidence, ...]


def answer(claim: Claim, points: Mapping[Arm, pd.DataFrame], unit: Unit) -> Answer:
    """Answer a claim: one statement that does not hold is enough for the claim not to hold."""
    evidence = tuple(check(statement, points, unit) for statement in claim.statements)
    verdicts = {found.verdict for found in evidence}
    verdict = FAILS if FAILS in verdicts else UNDECIDED if UNDECIDED in verdicts else HOLDS
    return Answer(claim, verdict, evidence)


PERPLEXITY = "perplexity"
NLL = "NLL per token"
KL = "KL per token"


def best_figures(points: pd.DataFrame) -> dict[str, float]:
    """Give the figures of the configuration with the lowest NLL, on average over its seeds.

    `points` are in nats per token. The paper's KL is that of the model, E KL(p(z|x) || p(z)): our
    mutual information.
    """
    means = points.groupby("config_hash")[["nll_value", "mi_value"]].mean()
    best = means.sort_values(["nll_value", "mi_value"]).iloc[0]
    nll, mi = float(best["nll_value"]), float(best["mi_value"])
    return {PERPLEXITY: math.exp(nll), NLL: nll, KL: mi}
