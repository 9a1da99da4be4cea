"""What a paper holds that stored runs can be set beside: its claims, tables and pictures."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from analysis.bounds import AlongTraining
from analysis.checking import Evidence, check
from analysis.claims import FAILS, HOLDS, UNDECIDED, Arm, Statement, Verdict, arms_of
from analysis.frontier import Unit
from analysis.papers.tables import Table


class Claim(NamedTuple):
    """A claim of a paper, in some setting: it holds where all of its statements do.

    `number` says where the paper has it: for Melis et al. as `methods.md`, section 11, "What the
    figures say", numbers them. `split` is the one that has to be evaluated.
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


class Picture(NamedTuple):
    """A picture that runs of a shipped experiment give, by `sweeper frontier` with `options`."""

    number: str
    title: str
    experiment: str
    options: tuple[str, ...] = ()


class Paper(NamedTuple):
    """A paper, as far as the shipped experiments cover it; `notes` are sentences about it.

    `figures` has the shipped experiment of each of its figures, by number.
    """

    name: str
    title: str
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...]
    not_covered: tuple[NotCovered, ...]
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Mapping[int, str] = {}

    def only(self, experiment: str) -> "Paper":
        """Leave out all that is not about this experiment, among others or alone."""
        return self._replace(
            tables=tuple(t for t in self.tables if {a.experiment for a in t.arms} == {experiment}),
            claims=tuple(c for c in self.claims if experiment in c.experiments),
            not_covered=(),
            pictures=tuple(p for p in self.pictures if p.experiment == experiment),
        )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Give the arms that claims and tables are about, each once."""
        claimed = (arm for claim in self.claims for arm in claim.arms)
        shown = (arm for table in self.tables for arm in table.arms)
        return tuple(dict.fromkeys([*claimed, *shown]))

    @property
    def experiments(self) -> tuple[str, ...]:
        """Give the names of the shipped experiments that have those arms or make the pictures."""
        drawn = (picture.experiment for picture in self.pictures)
        return tuple(dict.fromkeys([*(arm.experiment for arm in self.arms), *drawn]))


class Answer(NamedTuple):
    """A claim's verdict, and the evidence for each of its statements, in order."""

    claim: Claim
    verdict: Verdict
    evidence: tuple[Evidence, ...]


def answer(
    claim: Claim,
    points: Mapping[Arm, pd.DataFrame],
    unit: Unit,
    curves: Mapping[Arm, pd.DataFrame] | None = None,
) -> Answer:
    """Answer a claim: one statement that does not hold is enough for the claim not to hold.

    `curves` are the rows of `analysis.training`, for statements about what is so along training.
    """
    evidence = tuple(
        check(statement, (curves or {}) if isinstance(statement, AlongTraining) else points, unit)
        for statement in claim.statements
    )
    verdicts = {found.verdict for found in evidence}
    verdict = FAILS if FAILS in verdicts else UNDECIDED if UNDECIDED in verdicts else HOLDS
    return Answer(claim, verdict, evidence)
