"""What an ended trial leaves in the result store: its figures, cost and provenance."""

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sweeper.experiment import Experiment
from sweeper.search import Task
from trainables.masking import mask


def trial_rows(
    experiment: Experiment, task: Task, report: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Make the rows of an ended trial from its last report: one an evaluation, the last final.

    A trial that was pruned, diverged or failed has a final row without figures, at the step where
    it ended. What a pruned one measured there is a row as well: others are judged by it.
    """
    shared = {
        "experiment": experiment.name,
        "arm": task.arm,
        "trial_id": task.trial_id,
        "config_hash": task.config_hash,
        "seed": task.seed,
        "confirms": task.confirms,
        "scale": experiment.scale,
        "split": task.config.evaluation.split,
        "host": report.get("host"),
        "device": report.get("device"),
        "code_version": code_version(),
        "created_at": datetime.now(UTC),
        "data_sha256": task.data_sha256,
        "trial": json.dumps(task.config.resolved(), sort_keys=True),
        **task.values,
    }
    evaluations: list[dict[str, Any]] = [
        {**shared, **_figures(evaluation), "status": "running", "final": False}
        for evaluation in report.get("evaluations", [])
    ]
    if report["status"] == "done":
        evaluations[-1].update(status="done", final=True)
        return evaluations
    reason = report["reason"]  # masked where it arose, but there our secrets may not be known
    cost = (report.get("cost") or [{}])[0]
    end = {**shared, **cost, "step": report.get("step", 0), "final": True}
    end |= {"status": report["status"], "reason": reason and mask(str(reason))}
    if report["status"] != "pruned":
        evaluations = [row for row in evaluations if row["step"] != end["step"]]
    return [*evaluations, end]


def _figures(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the tables, which `sweeper.artefacts` keeps."""
    return {name: value for name, value in evaluation.items() if name != "tables"}


@cache
def code_version() -> str:
    """Give the package's version and, in a git checkout, its commit."""
    checkout = Path(__file__).parents[1]
    release = version("sweeper")
    if not (checkout / ".git").exists():  # installed, perhaps inside somebody else's checkout
        return release
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            cwd=checkout,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return release
    return f"{release}+{commit}"
