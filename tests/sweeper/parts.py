"""Finished trials as a result store is given them, and the files that it keeps them in."""

from datetime import UTC, datetime
from typing import Any

from sweeper.results import ResultStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def trial(trial_id: str, evaluations: int = 1, **last: Any) -> list[dict[str, Any]]:
    """The rows of a finished trial; `last` overrides its final row."""
    common = {
        "experiment": "e",
        "arm": "a",
        "trial_id": trial_id,
        "config_hash": "c0ffee",
        "seed": 0,
        "created_at": NOW,
        "trial": "{}",
    }
    rows = [
        {**common, "step": step, "final": False, "status": "running"}
        for step in range(evaluations - 1)
    ]
    final = {"step": evaluations - 1, "final": True, "status": "done", "nll": 1.0, "mi": 0.5}
    return [*rows, {**common, **final, **last}]


def files(store: ResultStore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())
