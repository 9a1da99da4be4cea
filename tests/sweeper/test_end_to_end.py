"""Whole sweeps through the command line and Ray, with everything that can happen to them.

Ray takes seconds to start, so each test lets several things happen to one run.
"""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from soak.machine import (
    AT_WORK,
    PATIENCE,
    Machine,
    Terminal,
    held_still,
    kill_worker,
    lines_until,
    wait_until,
)
from sweeper.experiment import load
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc"),
]

WriteExperiment = Callable[..., Path]
FRONTIER_FILES = [f"frontier.{kind}" for kind in ("csv", "parquet", "pdf", "png", "svg")]
TIMINGS = [
    *("train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"),
    *("created_at", "host"),
]
# Trials of a few seconds: long enough to be caught at work.
LONG = {"training": {"steps": 1500, "batch_size": 16}, "evaluation": {"every": 100}}
STEPS = re.compile(rb" ([1-9]\d*)/1500 ")


def uninterrupted(row: pd.Series, experiment: Path) -> list[dict[str, Any]]:
    """Train a stored trial in one go, without Ray, and give all its evaluations."""
    [name] = load(experiment).arms
    values = {"training.learning_rate": row["training.learning_rate"]}
    config: TrialConfig = load(experiment).trial_config(name, values)
    run = TrainingRun(config, int(row["seed"]), data_root=Path("/nonexistent"))
    while not run.finished:
        run.train()
        run.evaluate()
    return run.evaluations


def same_as_uninterrupted(rows: pd.DataFrame, trial_id: str, experiment: Path) -> bool:
    stored = rows.loc[trial_id].reset_index()
    fresh = pd.DataFrame(uninterrupted(stored.iloc[0], experiment))
    metrics = [name for name in fresh if name not in TIMINGS]
    assert {"nll", "mi", "nll_exact", "train_loss", "ess"} <= set(metrics)
    pd.testing.assert_frame_equal(
        stored[metrics], fresh[metrics], check_exact=True, check_dtype=False
    )
    return True


def test_a_shipped_experiment_becomes_rows_and_a_frontier_and_is_not_trained_again(
    machine: Machine,
) -> None:
    arguments = ["run", "quickstart.yaml", "--scale", "smoke", "--set", "search.seeds=2"]
    code, lines, err = machine.sweeper(*arguments)

    assert (code, err) == (0, "")
    assert lines[0] == "runs/quickstart: 0 of 8 trials are done; training the rest"
    assert sorted(line[1:4] for line in lines if "  left " in line) == [
        f"{n}/8" for n in range(1, 9)
    ]
    assert lines[-5:] == [f"runs/quickstart/frontier/{name}" for name in FRONTIER_FILES]
    final = machine.final("quickstart")
    assert final.index.is_unique
    assert (final["status"] == "done").all()
    assert (final["scale"] == "smoke").all()
    assert final.groupby(["arm", "seed"]).size().to_dict() == {
        (arm, seed): 2 for arm in ("renyi-vimco-16", "reinforce-1") for seed in (0, 1)
    }
    run = machine.run("quickstart")
    assert sorted(path.name for path in run.path.iterdir()) == [
        "driver.json",
        "driver.lock",
        "events.jsonl",
        "experiment.yaml",
        "frontier",
        "models",
        "results",
        "study.journal",
    ]

    code, lines, err = machine.sweeper(*arguments)

    assert (code, err) == (0, "")
    assert lines[0] == "runs/quickstart: all 8 trials are done"
    pd.testing.assert_frame_equal(machine.final("quickstart"), final)


def test_an_interrupted_sweep_continues_to_the_results_of_an_uninterrupted_one(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(trial=LONG, search={"trials": 1, "seeds": 4})

    with machine.start("run", str(path), "--workers", "2") as driver:
        lines_until(driver, "[1/4]")
        driver.send_signal(signal.SIGINT)
        out, err = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, err) == (130, "")
    assert "stopping: running trials save their state" in out
    first = machine.final("tiny")
    assert 1 <= len(first) < 4
    last_line = out.splitlines()[-1]
    assert last_line == (
        f"interrupted with {len(first)} of 4 trials done; continue with: sweeper resume runs/tiny"
    )

    terminal = Terminal(machine, "resume", "tiny", "--workers", "2")
    terminal.read_until(STEPS)
    terminal.press(b"\x03")
    assert terminal.close() == 130
    assert b"trials: " in terminal.shown  # the live display
    assert b"Traceback" not in terminal.shown
    assert b"continue with: sweeper resume runs/tiny" in terminal.shown
    second = machine.final("tiny")
    assert len(first) <= len(second) < 4
    caught = {s.parent.name for s in machine.run("tiny").checkpoints.glob("*/*.pt")}
    assert caught - set(second.index)
    code, lines, _ = machine.sweeper("status", "tiny")
    assert (code, lines[1]) == (0, "continue with: sweeper resume runs/tiny")
    assert lines[0].startswith(f"runs/tiny: stopped; {len(second)} of 4 trials have ended")

    code, lines, err = machine.sweeper("resume", "tiny", "--workers", "2")
    assert (code, err) == (0, "")
    rows, final = machine.stored("tiny"), machine.final("tiny")
    assert final.index.is_unique
    assert sorted(final["seed"]) == [0, 1, 2, 3]
    for earlier in (first, second):
        pd.testing.assert_frame_equal(final.loc[earlier.index], earlier)
    assert len([line for line in lines if "  left " in line]) == 4 - len(second)
    for trial_id in caught:
        assert same_as_uninterrupted(rows, trial_id, path)
    assert not machine.run("tiny").checkpoints.exists()


def test_killed_workers_and_drivers_lose_and_repeat_nothing(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(trial=LONG, search={"trials": 1, "seeds": 2})
    run = machine.run("tiny")

    with machine.start("run", str(path), "--workers", "1") as driver:
        lines_until(driver, "runs/tiny: 0 of 2")
        kill_worker(machine)
        with held_still(driver):
            code, lines, err = machine.sweeper("run", str(path))
            assert (code, lines) == (2, [])
            owner = f"process {driver.pid} on "
            assert re.fullmatch(f"error: runs/tiny is being driven by {owner}.*\n", err)
            code, lines, _ = machine.sweeper("status", "tiny")
            assert (code, lines[0]) == (0, "runs/tiny: running; 0 of 2 trials have ended")

        lines_until(driver, "[1/2]")
        kill_worker(machine)  # just between two trials, mostly
        wait_until(lambda: machine.processes(AT_WORK))
        driver.kill()
    first = machine.final("tiny")
    assert first["status"].tolist() == ["done"]
    assert not run.is_driven()

    # `run` continues, like `resume`, while the daemons of the dead driver's Ray still linger.
    code, lines, err = machine.sweeper("run", str(path))
    assert (code, err) == (0, "")
    assert lines[0] == "runs/tiny: 1 of 2 trials are done; training the rest"
    final = machine.final("tiny")
    assert final["status"].tolist() == ["done", "done"]
    assert sorted(final["seed"]) == [0, 1]
    pd.testing.assert_frame_equal(final.loc[first.index], first)
    [continued] = set(final.index) - set(first.index)
    assert same_as_uninterrupted(machine.stored("tiny"), continued, path)
    machine.clear()  # the daemons would take a minute to notice that their driver is gone


def test_trials_end_well_or_badly_and_wait_for_a_place_to_be_stored(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    rate = {"kind": "float", "low": 0.01, "high": 0.1, "when": {"objective.estimator": "vimco"}}
    space = {"training.learning_rate": rate, "training.l2": {**rate, "low": 0.0, "when": {}}}
    arms = {
        "good": {},
        "diverging": {
            "objective": {"estimator": "reinforce", "samples": 1},
            "training": {"learning_rate": 1e38, "optimizer": {"name": "sgd"}},
        },
        "impossible": {"model": {"embedding": 1, "hidden": 2**23}},  # one layer has 256 TB
    }
    path = experiment_file(arms=arms, search={"trials": 2, "space": space})
    run = machine.run("tiny")
    run.create(load(path).to_yaml())
    run.results.write_text("in the way")

    code, _, err = machine.sweeper("run", str(path))
    assert code == 2
    assert re.fullmatch(r"error: cannot write .*\. What was stored before is intact; .*\n", err)
    assert run.results.read_text() == "in the way"
    run.results.unlink()

    code, lines, err = machine.sweeper("resume", "tiny")
    assert (code, err) == (1, "")
    assert lines[0] == "runs/tiny: 0 of 6 trials are done; training the rest"
    assert lines[-1] == (
        "2 trials failed, more than search.allowed_failures (0); "
        "`sweeper status runs/tiny` says why"
    )
    final = machine.final("tiny")
    assert final.groupby("arm")["status"].agg(list).to_dict() == {
        "good": ["done", "done"],
        "diverging": ["diverged", "diverged"],
        "impossible": ["failed", "failed"],
    }
    assert set(pd.read_csv(run.frontier / "frontier.csv")["arm"]) == {"good"}

    code, lines, err = machine.sweeper("status", "tiny")
    assert (code, err) == (0, "")
    reasons = [line.split(maxsplit=2)[2] for line in lines if line.startswith("  ")]
    found = r"diverged: (parameters as large as|the training loss is not finite)"
    assert len([reason for reason in reasons if re.match(found, reason)]) == 2
    assert len([reason for reason in reasons if reason.startswith("failed: RuntimeError: ")]) == 2
    assert {"left out: 2 diverged", "left out: 2 failed"} <= set(lines)


def test_a_finished_run_is_extended_and_its_points_are_trained_again(
    machine: Machine, experiment_file: WriteExperiment
) -> None:
    path = experiment_file(name="longer")
    assert machine.sweeper("run", str(path), "--workers", "1")[0] == 0
    before = machine.final("longer")

    code, lines, err = machine.sweeper("extend", "longer", "--trials", "2", "--workers", "1")
    assert (code, err) == (0, "")
    assert lines[:2] == [
        "runs/longer: 3 + 2 = 5 configurations an arm from now on",
        "runs/longer: 3 of 5 trials are done; training the rest",
    ]
    after = machine.final("longer")
    assert len(after) == 5
    pd.testing.assert_frame_equal(after.loc[before.index], before)

    code, _, err = machine.sweeper("run", str(path))
    assert code == 2
    assert err.splitlines()[1:] == [
        "  search.trials: 5 -> 3",
        "the run itself has 5 trials an arm; go on with: sweeper resume runs/longer",
    ]
    code, lines, err = machine.sweeper("rerun", str(after.index[-1]))
    assert (code, lines[-1], err) == (0, "it agrees to the bit", "")
