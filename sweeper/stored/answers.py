"""What stored runs answer to a paper's claims, in words and as a table."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import pandas as pd

from analysis.checking import Evidence
from analysis.claims import UNDECIDED, Arm
from analysis.frontier import Unit, frontier_points
from analysis.papers.paper import Answer, Claim, Paper, answer
from analysis.replicates import LEVEL, N_REPLICATES
from analysis.seeds import OfSeeds
from analysis.training import training_curves
from analysis.trends import OfConfigurations
from sweeper.stored.choices import unit_of
from sweeper.stored.protocols import Protocol, Recognised

WIDTH = 99  # of what is printed


class Group(NamedTuple):
    """Runs that were made alike, whose arms therefore compare.

    `points` are those of `analysis.frontier`, `curves` the rows of all evaluations of the same
    trials.
    """

    protocol: Protocol
    runs: tuple[Recognised, ...]
    points: Mapping[Arm, pd.DataFrame]
    units: Mapping[str, Unit]
    curves: Mapping[Arm, pd.DataFrame] = {}

    @property
    def text(self) -> str:
        """Say how the runs were made."""
        return f"{self.protocol.split} split, {self.protocol}"


def group_runs(found: Sequence[Recognised]) -> list[Group]:
    """Group runs by protocol, as shipped first; a trial that lies in two runs counts once."""
    groups = []
    ordered = sorted(found, key=lambda r: (not r.protocol.as_shipped, *map(str, r.protocol)))
    for protocol, alike in groupby(ordered, key=lambda r: r.protocol):
        members = tuple(alike)
        points: dict[Arm, pd.DataFrame] = {}
        curves: dict[Arm, pd.DataFrame] = {}
        units: dict[str, Unit] = {}
        for experiment in dict.fromkeys(member.experiment for member in members):
            evaluated = pd.concat([m.evaluations for m in members if m.experiment == experiment])
            evaluated = evaluated.drop(columns="run").drop_duplicates(
                ["trial_id", "step", "final"]
            )
            rows = evaluated[evaluated["final"]]
            unit = unit_of(rows)
            units[experiment] = unit
            frontier = frontier_points(rows, unit)
            points |= _by_arm(experiment, frontier.points)
            ended = evaluated["trial_id"].isin(frontier.points["trial_id"])
            curves |= _by_arm(experiment, training_curves(evaluated[ended], frontier))
        groups.append(Group(protocol, members, points, units, curves))
    return groups


def _by_arm(experiment: str, rows: pd.DataFrame) -> dict[Arm, pd.DataFrame]:
    return {Arm(experiment, str(arm)): of_arm for arm, of_arm in rows.groupby("arm")}


def answer_all(paper: Paper, groups: Sequence[Group]) -> list[tuple[Answer, Group | None]]:
    """Answer each claim from each group that has some of its arms, or else from nothing."""
    answers: list[tuple[Answer, Group | None]] = []
    for claim in paper.claims:
        able = [
            group
            for group in groups
            if group.protocol.split == claim.split and group.points.keys() & set(claim.arms)
        ]
        for group in able:
            unit = next(group.units[arm.experiment] for arm in claim.arms if arm in group.points)
            answers.append((answer(claim, group.points, unit, group.curves), group))
        if not able:
            answers.append((answer(claim, {}, "observation"), None))
    return answers


def claim_lines(answers: Sequence[tuple[Answer, Group | None]]) -> list[str]:
    """Tell each claim's answer and the evidence for it; those without any run briefly."""
    said = textwrap.wrap(f"claims, with {LEVEL:.0%} intervals {_intervals(answers)}", WIDTH)
    for found, group in answers:
        if group is None:
            continue
        said += ["", f"{_title(found.claim)}: {found.verdict}"]
        if not group.protocol.as_shipped:
            said.append(f"  not as shipped: {group.protocol}")
        for statement, evidence in zip(found.claim.statements, found.evidence, strict=True):
            said.append(f"  {evidence.verdict}: {statement}")
            said += [f"    {line}" for line in _figures(evidence)]
    if without := [found.claim for found, group in answers if group is None]:
        said += ["", f"claims without a run: {UNDECIDED}"]
        settings: dict[tuple[str, str], list[str]] = {}
        for claim in without:
            settings.setdefault((claim.number, claim.text), []).append(claim.setting)
        for (number, text), where in settings.items():
            line = f"[{number}] {text}: {'; '.join(where)}"
            said += textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return said


def _intervals(answers: Sequence[tuple[Answer, Group | None]]) -> str:
    statements = [statement for found, _ in answers for statement in found.claim.statements]
    of_knobs = [isinstance(statement, OfConfigurations) for statement in statements]
    of_seeds = [s.is_of_two_samples for s in statements if isinstance(s, OfSeeds)]
    others = len(of_seeds) + sum(of_knobs) < len(statements)
    ways = {
        f"from {N_REPLICATES} bootstrap replicates of configurations, seeds and Monte Carlo "
        "errors": others,
        "of Welch's t over seeds": any(of_seeds),
        "of Student's t over seeds": not all(of_seeds),
        "of Student's t over configurations": any(of_knobs),
    }
    return ", or ".join(way for way, is_taken in ways.items() if is_taken)


def _title(claim: Claim) -> str:
    return f"[{claim.number}] {claim.setting}: {claim.text}"


def _figures(evidence: Evidence) -> list[str]:
    lines = []
    if (measured := evidence.measured) is not None:
        low, high = (f"{end:.3g}" for end in (measured.low, measured.high))
        text = f"{measured.quantity}: {measured.estimate:.3g} [{low}, {high}]"
        if measured.mi is not None:
            text += f"; MI {measured.mi[0]:.3g} to {measured.mi[1]:.3g}"
        seeds = evidence.n_seeds
        counts = ", ".join(map(str, (seeds or evidence.n_configurations).values()))
        lines.append(f"{text}; {'seeds' if seeds else 'configurations'}: {counts}")
    lines += [evidence.reason] * bool(evidence.reason)
    return [*lines, *(f"beware: {caution}" for caution in evidence.cautions)]


def claim_rows(answers: Sequence[tuple[Answer, Group | None]]) -> pd.DataFrame:
    """Give a row for each statement of each claim: the answer, its figures, the runs behind it."""
    rows = []
    for found, group in answers:
        for statement, evidence in zip(found.claim.statements, found.evidence, strict=True):
            measured = evidence.measured
            rows.append(
                {
                    "number": found.claim.number,
                    "claim": found.claim.text,
                    "setting": found.claim.setting,
                    "protocol": group.text if group else None,
                    "runs": ", ".join(r.run.location for r in group.runs) if group else None,
                    "claim_verdict": found.verdict,
                    "statement": str(statement),
                    "verdict": evidence.verdict,
                    "quantity": measured.quantity if measured else None,
                    "estimate": measured.estimate if measured else None,
                    "low": measured.low if measured else None,
                    "high": measured.high if measured else None,
                    "mi_low": measured.mi[0] if measured and measured.mi else None,
                    "mi_high": measured.mi[1] if measured and measured.mi else None,
                    "configurations": _counted(evidence.n_configurations),
                    "seeds": _counted(evidence.n_seeds) if evidence.n_seeds else None,
                    "reason": evidence.reason or None,
                    "cautions": "; ".join(evidence.cautions) or None,
                }
            )
    return pd.DataFrame(rows)


def _counted(counts: Mapping[Arm, int]) -> str:
    return ", ".join(f"{arm}: {n}" for arm, n in counts.items())
