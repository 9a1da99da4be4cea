"""A million stored rows: reading what a frontier needs, and finding the frontier."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.frontier import frontier_points
from benchmarks.report import line, median_seconds, seconds
from sweeper.columns import SCHEMA
from sweeper.results import RESULTS, ResultStore, read_runs

ROWS, FILES, ARMS = 1_000_000, 10, 20


def fill(directory: Path) -> None:
    """Write a store of ten compacted files, each of trials with ten evaluations."""
    generator = np.random.default_rng(0)
    store = ResultStore(directory / RESULTS)
    one = {
        "experiment": "bench",
        "arm": "a",
        "trial_id": "seed-row",
        "config_hash": "0" * 64,
        "seed": 0,
        "step": 1,
        "final": True,
        "status": "done",
        "split": "train",
        "host": "here",
        "device": "cpu",
        "code_version": "0",
        "data_sha256": "0" * 64,
        "created_at": datetime.now(UTC),
        "trial": "{}",
        "training.learning_rate": 1e-3,
        "objective.lambda": 0.5,
    }
    template = store.append([one])
    table = pq.read_table(template)
    template.unlink()
    n = ROWS // FILES
    for file in range(FILES):
        columns = {
            name: table[name].take(pa.array(np.zeros(n, int))) for name in table.column_names
        }
        trials = np.arange(n) // 10 + file * n
        columns["trial_id"] = pa.array([f"trial-{t}" for t in trials])
        columns["arm"] = pa.array([f"arm-{t % ARMS}" for t in trials])
        columns["step"] = pa.array(np.arange(n) % 10)
        columns["final"] = pa.array(np.arange(n) % 10 == 9)
        columns["trial"] = pa.array([f'{{"trial": {t}, "filler": "{"x" * 800}"}}' for t in trials])
        for name in ("nll", "mi"):
            columns[name] = pa.array(generator.gamma(5.0, size=n))
            columns[f"{name}_se"] = pa.array(generator.random(n) * 0.01)
        for name in ("training.learning_rate", "objective.lambda"):
            columns[name] = pa.array(generator.random(n))
        whole = pa.table(columns).cast(table.schema)
        pq.write_table(whole, directory / RESULTS / f"compacted-{file:016x}.parquet")
    assert set(SCHEMA.names) <= set(table.column_names)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory)
        reading = median_seconds(lambda: read_runs([directory]), 3)
        line(
            "reading 1,000,000 rows / 2 s", reading / 2, "< 1", f"{reading:.2f} s, all but `trial`"
        )
        finals = seconds(lambda: read_runs([directory], final_only=True))
        line("reading their 100,000 final ones / 2 s", finals / 2, "< 1", f"{finals:.2f} s")
        rows = read_runs([directory]).assign(final=True)
        finding = median_seconds(lambda: frontier_points(rows), 3)
        line("frontier of 1,000,000 rows / 2 s", finding / 2, "< 1", f"{finding:.2f} s")
        both = reading + finding
        line(f"reading and frontier of {ARMS} arms / 5 s", both / 5, "< 1", f"{both:.2f} s")


if __name__ == "__main__":
    main()
