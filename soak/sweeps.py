"""The sweep that most faults happen to, and what it gives when nothing happens to it."""

import hashlib
import json
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import torch
import yaml

from soak.machine import Machine
from soak.scene import Scene, scene
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

# What a row holds that two trainings of one trial need not share.
TIMINGS = (
    *("train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"),
    *("created_at", "host", "device", "experiment", "code_version"),
)
SEEDS = 2


def write_experiment(directory: Path, name: str, quick: bool, **changes: Any) -> Path:
    """Write an experiment of 40 trials of a few seconds, or of 6; `changes` are merged into it.

    Its sampler is a quasi-random sequence, so that it proposes the same whatever happens.
    """
    document: dict[str, Any] = {
        "name": name,
        "trial": {
            "data": {"name": "symbols", "vocabulary": 8},
            "model": {
                "name": "symbol_mlp",
                "embedding": 3,
                "hidden": 4,
                "latents": {"kind": "categorical", "variables": 2, "categories": 3},
            },
            "objective": {"name": "kl", "estimator": "vimco", "samples": 2, "lambda": 0.5},
            "training": {"steps": 300, "batch_size": 16},
            "evaluation": {"split": "train", "samples": 3, "every": 100},
        },
        "arms": {"one": {}},  # an arm without a name has the experiment's
        "search": {
            "space": {
                "training.learning_rate": {
                    "kind": "float",
                    "low": 0.001,
                    "high": 0.1,
                    "log": True,
                }
            },
            "sampler": {"name": "qmc"},
            "trials": 3 if quick else 20,
            "seeds": SEEDS,
        },
        # Faults are many here, and may all meet one trial.
        "resources": {"max_failures": 100},
        "checkpoints": {"steps": 30},
    }
    for section, change in changes.items():
        document[section] = _merged(document.get(section, {}), change)
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _merged(base: Any, patch: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    return base | {key: _merged(base.get(key), value) for key, value in patch.items()}


def n_trials(quick: bool) -> int:
    """Say how many trials that experiment has."""
    return (3 if quick else 20) * SEEDS


def undisturbed(quick: bool) -> pd.DataFrame:
    """Run that experiment once, with nothing happening to it, and give all its rows."""
    with _once:
        return _undisturbed(quick)


_once = Lock()  # several faults may be played at a time


@cache
def _undisturbed(quick: bool) -> pd.DataFrame:
    with scene(quick) as stage:
        path = write_experiment(stage.directory, "undisturbed", quick)
        code, lines, err = stage.machine.sweeper("run", str(path), "--workers", "2")
        assert (code, err) == (0, ""), (code, lines, err)
        return stage.machine.stored("undisturbed")


def parts(machine: Machine, name: str) -> dict[str, str]:
    """Give the checksum of every stored part by its trial, to see that none is ever replaced."""
    return {
        part.stem: hashlib.sha256(part.read_bytes()).hexdigest()
        for part in machine.run(name).results.glob("*.parquet")
    }


def check(stage: Scene, name: str, earlier: dict[str, str] | None = None) -> str:
    """Compare a run with the undisturbed one, bit by bit; say what was compared.

    `earlier` are the parts that were stored at some time before: they must be as they were.
    Raises `AssertionError` where something differs.
    """
    expected, rows = undisturbed(stage.quick), stage.machine.stored(name)
    final = rows[rows["final"]].reset_index("step")
    n = n_trials(stage.quick)
    assert len(final) == n, f"{len(final)} final rows of {n}"
    assert final.index.nunique() == n, f"{final.index.nunique()} identities of {n}"
    assert (final["status"] == "done").all(), final["status"].value_counts().to_dict()
    now = parts(stage.machine, name)
    changed = [trial for trial, part in (earlier or {}).items() if now.get(trial) != part]
    assert not changed, f"{len(changed)} finished trials were trained again"
    metrics = [column for column in expected.columns if column not in TIMINGS]
    assert {"nll", "mi", "nll_exact", "train_loss", "ess"} <= set(metrics)
    same = final.index.isin(expected.index.get_level_values("trial_id"))
    shared = final.index[same]
    pd.testing.assert_frame_equal(
        rows.loc[shared, metrics].sort_index(),
        expected.loc[shared, metrics].sort_index(),
        check_exact=True,
        check_dtype=False,
    )
    for trial in final.index[~same]:  # proposed instead of one that a dead driver had asked for
        assert_as_trained_alone(stage.machine.run(name), trial)
    return f"{n} final rows, {n} identities, all metrics equal to the bit"


def assert_as_trained_alone(run_directory: RunDirectory, trial: str) -> None:
    """Train one stored trial in this process, without Ray, and compare all its evaluations."""
    stored = ResultStore(run_directory.results).trial(trial).reset_index(drop=True)
    config = TrialConfig.model_validate(json.loads(stored["trial"].iloc[0]))
    torch.set_num_threads(1)  # as workers do: sums in several threads round otherwise
    run = TrainingRun(config, int(stored["seed"].iloc[0]), data_root=Path("/nonexistent"))
    while not run.finished:
        run.train()
        run.evaluate()
    fresh = pd.DataFrame(run.evaluations)
    metrics = [name for name in fresh if name not in TIMINGS]
    pd.testing.assert_frame_equal(
        stored[metrics], fresh[metrics], check_exact=True, check_dtype=False
    )
