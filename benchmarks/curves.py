"""Training curves of many trials, each trained to its end: what stopping them early would spare.

`python -m benchmarks.curves FILE [SEED...]` trains those of some searches, or of all, one line of
JSON a trial, and goes on where an earlier call stopped; `benchmarks.scheduler` reads the file.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import torch

from sweeper.experiment import Experiment, load
from trainables.training import DivergedError, TrainingRun

STEPS, EVERY = 900, 100
SEEDS, TRIALS = 5, 24  # searches of each arm, and configurations of each search
SETTINGS = (
    "trial.data.vocabulary=64",
    "trial.objective.samples=8",
    f"trial.training.steps={STEPS}",
    f"trial.evaluation.every={EVERY}",
    "trial.evaluation.samples=2",  # NLL and MI are exact, by enumeration
    "search.space.training.learning_rate.low=3.0e-4",
    "search.space.training.learning_rate.high=3.0e-2",
    f"search.trials={TRIALS}",
)


class Curve(NamedTuple):
    """One trial, as it came along: exact NLL and MI at each evaluated step, in nats."""

    arm: str
    seed: int  # of the search and of the trial
    number: int  # in its search
    values: dict[str, Any]
    steps: list[int]
    nll: list[float]
    mi: list[float]
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether it was trained to the end; it diverged if not."""
        return bool(self.steps) and self.steps[-1] == STEPS


def experiment() -> Experiment:
    """The quickstart on 64 symbols, with learning rates of which some are bad."""
    return load("quickstart", overrides=SETTINGS)


def train(what: Experiment, arm: str, seed: int, number: int, values: dict[str, Any]) -> Curve:
    """Train one trial to its end in this process."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as nothing:  # the data set is made on the fly
        run = TrainingRun(what.trial_config(arm, values), seed, data_root=Path(nothing))
    try:
        while not run.finished:
            run.evaluate() if run.evaluation_due else run.train()
    except DivergedError:
        pass  # the curve ends where it did
    seconds = time.process_time() - start
    steps, nll, mi = (
        [evaluation[name] for evaluation in run.evaluations]
        for name in ("step", "nll_exact", "mi_exact")
    )
    return Curve(arm, seed, number, values, steps, nll, mi, seconds)


def read(path: Path) -> list[Curve]:
    """The curves in a file, whole lines only."""
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return [Curve(**json.loads(line)) for line in lines if line.endswith("\n")]


def main(path: Path, seeds: Iterable[int]) -> None:
    """Train what the file lacks, search by search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    what = experiment()
    known = {(curve.arm, curve.seed, curve.number) for curve in read(path)}
    for seed in seeds:
        for arm in what.arms:
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
            for number in range(TRIALS):
                values = what.arms[arm].space.suggest(study.ask())
                if (arm, seed, number) not in known:
                    curve = train(what, arm, seed, number, values)
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(curve._asdict()) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), map(int, sys.argv[2:]) if sys.argv[2:] else range(SEEDS))
