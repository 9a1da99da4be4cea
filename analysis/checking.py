"""Answers to statements (`analysis.claims`) from stored points.

The interval of a frontier statement's number comes from bootstrap replicates
(`analysis.replicates`, which has the limits), that of a statement about single configurations from
their seeds (`analysis.seeds`), that of one about a swept knob from the configurations
(`analysis.trends`). Intervals are per statement: among many statements about arms that
do not differ, one in twenty may look decided.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims import UNDECIDED, Arm, Measured, Sampled, Statement, Verdict, arms_of
from analysis.frontier import SMALL_ESS, Unit
from analysis.replicates import replicate
from analysis.seeds import OfSeeds, why_no_seeds
from analysis.shapes import Collapses
from analysis.trends import MIN_CONFIGURATIONS as FEWEST_OF_A_TREND
from analysis.trends import OfConfigurations

MIN_CONFIGURATIONS = 8  # per arm; the best of fewer is luck
_NO_POINTS = pd.DataFrame({"config_hash": [], "seed": []})


class Evidence(NamedTuple):
    """An answer and what is behind it.

    `measured` is none where nothing could be; `reason` says why there is not enough data, and
    `cautions` what makes the figures less believable. `n_configurations` is by arm, and so is
    `n_seeds`, which is there where seeds are the replicates.
    """

    verdict: Verdict
    measured: Measured | None
    n_configurations: Mapping[Arm, int]
    reason: str = ""
    cautions: tuple[str, ...] = ()
    n_seeds: Mapping[Arm, int] | None = None


def check(
    statement: Statement, points: Mapping[Arm, pd.DataFrame], unit: Unit, seed: int = 0
) -> Evidence:
    """Answer a statement from each arm's points, those of `analysis.frontier.Frontier`.

    For one of `analysis.bounds.AlongTraining` they are the rows of `analysis.training` instead.
    The same points, in whatever order, and the same seed give the same answer.
    """
    given = {arm: points.get(arm, _NO_POINTS) for arm in arms_of(statement)}
    if isinstance(statement, Collapses):  # of all arms together, as many as there are
        given = {arm: of_arm for arm, of_arm in given.items() if len(of_arm)} or given
    counts = {arm: of_arm["config_hash"].nunique() for arm, of_arm in given.items()}
    by_seed = isinstance(statement, OfSeeds)
    seeds = {arm: of_arm["seed"].nunique() for arm, of_arm in given.items()} if by_seed else None

    def undecided(reason: str) -> Evidence:
        return Evidence(UNDECIDED, None, counts, reason, n_seeds=seeds)

    if missing := [str(arm) for arm, n in counts.items() if n == 0]:
        return undecided(f"no finished trial of {' or '.join(missing)}")
    if few := _too_few_seeds(given) if by_seed else _too_few(counts, _least(statement)):
        return undecided(few)
    together = pd.concat(given.values())
    if together["data_sha256"].nunique() > 1:
        return undecided("the arms were trained on different data")
    rng = np.random.default_rng(seed)
    arms = [Sampled(of_arm, replicate(of_arm, rng), unit) for of_arm in given.values()]
    measured = statement.measure(arms)
    if isinstance(measured, str):
        return undecided(measured)
    reason = "the interval reaches to both sides" if measured.verdict == UNDECIDED else ""
    if isinstance(statement, OfSeeds | OfConfigurations):
        cautions = statement.cautions(arms)
    else:
        cautions = _cautions(together)
    return Evidence(measured.verdict, measured, counts, reason, cautions, seeds)


def _least(statement: Statement) -> int:
    """Give how many configurations of an arm a statement needs."""
    if isinstance(statement, Collapses):  # whose interval is wide enough
        return 1
    return FEWEST_OF_A_TREND if isinstance(statement, OfConfigurations) else MIN_CONFIGURATIONS


def _too_few(counts: Mapping[Arm, int], least: int) -> str:
    few = [f"{arm} has {n}" for arm, n in counts.items() if n < least]
    return f"{' and '.join(few)} configurations; {least} are needed" if few else ""


def _too_few_seeds(given: Mapping[Arm, pd.DataFrame]) -> str:
    whys = {arm: why_no_seeds(of_arm) for arm, of_arm in given.items()}
    return " and ".join(f"{arm} has {why}" for arm, why in whys.items() if why)


def _cautions(together: pd.DataFrame) -> tuple[str, ...]:
    cautions = []
    if together["exact"].nunique() > 1:
        cautions.append("exact figures meet estimates, which can be far too high")
    weak = ~together["exact"] & together["on_frontier"] & (together["ess"] < SMALL_ESS)
    if weak.any():
        cautions.append(
            f"{weak.sum()} frontier points have an effective sample size below {SMALL_ESS:g}, so "
            "that their NLL and MI are too high"
        )
    return tuple(cautions)
