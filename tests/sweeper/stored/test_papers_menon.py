"""Menon, Blei and Vondrick's tables and claims beside runs, whose rows the tests make."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper.experiment import load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import papers

OMNIGLOT, COST = "menon/table2_omniglot", "menon/table3_cost"
# NLL, KL, batch MI, MI of the whole set: as if it had come out as published.
FIGURES = {
    "vae": (89.4, 1.5, 1.4, 1.5),
    "critic-self": (89.2, 6.3, 3.7, 5.5),
    "critic-hybrid": (89.1, 6.4, 3.8, 5.9),
    "critic-neural": (89.2, 7.7, 3.9, 6.8),
}
StoreRun = Callable[..., RunDirectory]


@pytest.fixture
def store_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreRun:
    """Stores a run of a shipped experiment: arms with three seeds that differ a little."""
    monkeypatch.chdir(tmp_path)

    def store(
        experiment: str, arms: dict[str, dict[str, Any]], *, scale: str | None = "small"
    ) -> RunDirectory:
        loaded = load(experiment, scale=scale)
        run = RunDirectory(Path("runs") / loaded.name)
        run.create(loaded.to_yaml())
        split = next(iter(loaded.example_trials().values())).evaluation.split
        for arm, columns in arms.items():
            for seed in range(3):
                row = {
                    "experiment": loaded.name,
                    "arm": arm,
                    "trial_id": f"{loaded.name}-{arm}-{seed}",
                    "config_hash": arm,
                    "seed": seed,
                    "step": 10,
                    "final": True,
                    "status": "done",
                    "split": split,
                    "scale": scale,
                    "created_at": datetime.now(UTC),
                    "nll": 89.0,
                    "mi": 1.0,
                    "tokens": 1.0,
                    "ess": 50.0,
                    "samples": 50,
                    "data_sha256": "5a",
                    "mi_q_ceiling": 6.9,
                    "mi_q_batch_ceiling": 3.9,
                    "device": "cpu",
                    "host": "here",
                    "updates": 100,
                    "epochs": 2.0,
                    "active_units": 3,
                    **{name: value * (1 + seed / 1e4) for name, value in columns.items()},
                }
                ResultStore(run.results).append([row])
        return run

    return store


@pytest.fixture
def omniglot(store_run: StoreRun) -> RunDirectory:
    names = ("nll", "kl", "mi_q_batch", "mi_q")
    arms = {arm: dict(zip(names, values, strict=True)) for arm, values in FIGURES.items()}
    return store_run(OMNIGLOT, arms)


def section(text: str, first: str) -> str:
    [found] = [part for part in text.split("\n\n") if part.startswith(first)]
    return found


def verdict(text: str, title: str) -> str:
    [line] = [line for line in text.splitlines() if title in line and line.startswith("[")]
    return line.rpartition(": ")[2]


def test_without_runs_the_published_tables_are_there_and_all_is_missing(
    store_run: StoreRun,
) -> None:
    text = papers.describe("menon")

    for title in ("Table 1: Yahoo", "Table 1: Yelp", "Table 2: Omniglot", "Table 3: time"):
        assert title in text
    assert "338.9 (0.4)  17.5 (1.1)  3.3 (0.0)" in text
    assert "critic, hybrid 1.06 – 3.7 54 –" in [
        " ".join(line.split()) for line in text.splitlines()
    ]
    missing = section(text, "missing")
    for name in ("table1_yahoo", "table2_omniglot", "table3_cost", "fig3", "frontier_yahoo"):
        assert f"  sweeper run menon/{name}.yaml\n" in missing


def test_a_small_run_stands_below_the_published_and_is_marked(omniglot: RunDirectory) -> None:
    text = papers.describe("menon")

    assert "runs/menon_table2_omniglot: menon/table2_omniglot, test split, 12 ended" in text
    lines = text.splitlines()
    below = next(i for i, line in enumerate(lines) if "89.24 (0.05)" in line) + 1
    row = lines[below].split()
    assert row[:3] == ["ours", "(1)", "89.21"]
    assert row[-3:] == ["3.0", "(0.0)", "3"]
    assert "scale small (another protocol: not comparable)" in text
    assert "ours (1): at most, in nats: MI: 3.90; MI, whole set: 6.90" in text
    assert "  not as shipped: scale small\n" in text


def test_claims_are_answered_from_seeds(omniglot: RunDirectory, tmp_path: Path) -> None:
    text = papers.describe("menon", output=tmp_path / "out")

    assert "claims, with 95% intervals of Welch's t over seeds\n" in text
    assert verdict(text, "Omniglot: KL: NN > hybrid > self > VAE") == "holds"
    assert verdict(text, "Omniglot: MI: NN > hybrid > self > VAE, by the published") == "holds"
    assert verdict(text, "The hybrid critic's NLL is not above the VAE's") == "holds"
    assert "it saturates, and hides by how much the arms differ" in text
    assert "; seeds: 3, 3" in text
    rows = pd.read_csv(tmp_path / "out" / "claims.csv").set_index("statement")
    row = rows.loc[
        "the KL of menon/table2_omniglot/critic-self is greater than that of "
        "menon/table2_omniglot/vae"
    ]
    assert row["verdict"] == "holds"
    assert row["seeds"] == f"{OMNIGLOT}/critic-self: 3, {OMNIGLOT}/vae: 3"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "claims.csv",
        "table1_yahoo.csv",
        "table1_yelp.csv",
        "table2_omniglot.csv",
        "table3_cost.csv",
    ]


def test_times_stand_beside_the_published_ratios(store_run: StoreRun) -> None:
    seconds = {"vae": 60.0, "lagging-vae": 240.0, "critic-hybrid": 63.0, "sa-vae": 1200.0}
    store_run(COST, {arm: {"train_seconds": value} for arm, value in seconds.items()})
    text = papers.describe("menon")

    assert verdict(text, "The hybrid critic costs at most 1.06 times") == "holds"
    assert verdict(text, "Lagging-VAE costs several times as much") == "holds"
    assert verdict(text, "SA-VAE costs 4 to 8 times as much") == "holds"
    lines = text[text.index("Table 3: time") :].splitlines()
    below = next(i for i, line in enumerate(lines) if line.startswith("Lagging-VAE")) + 1
    assert lines[below].split()[:5] == ["ours", "(1)", "4.00", "(0.00)", "4.00"]


def test_pictures_are_drawn_from_the_runs_that_there_are(store_run: StoreRun) -> None:
    store_run("menon/fig3", {"vae": {}})
    pictures = section(papers.describe("menon"), "pictures")

    assert "    sweeper frontier runs/menon_fig3 --view training\n" in pictures
    assert "    no run of menon/frontier_yahoo\n" in pictures
