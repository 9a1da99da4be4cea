"""Papers beside runs of shipped experiments, whose rows the tests make."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import papers, protocols
from sweeper.stored.protocols import Shipped, recognise

STORAGE = Path("runs")
StoreRun = Callable[..., RunDirectory]
VIMCO_R, VIMCO_K = "ptb_vimco_renyi", "ptb_vimco_kl"


@pytest.fixture
def store_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreRun:
    """Stores a run of a shipped experiment, each arm with trials from no MI to `mi` nats.

    `nll` is by arm, the NLL of all its trials.
    """
    monkeypatch.chdir(tmp_path)

    def store(
        experiment: str,
        nll: dict[str, float],
        *,
        n: int = 12,
        mi: float = 5.0,
        name: str | None = None,
        scale: str | None = None,
        overrides: tuple[str, ...] = (),
        **columns: Any,
    ) -> RunDirectory:
        loaded = load(experiment, name=name, scale=scale, overrides=overrides)
        run = RunDirectory(STORAGE / loaded.name)
        run.create(loaded.to_yaml())
        split = next(iter(loaded.example_trials().values())).evaluation.split
        for arm in loaded.arms:
            for number in range(n) if arm in nll else ():
                trial = f"{loaded.name}-{arm}-{number}"
                row = {
                    "experiment": loaded.name,
                    "arm": arm,
                    "trial_id": trial,
                    "config_hash": trial,
                    "seed": 0,
                    "step": 10,
                    "final": True,
                    "status": "done",
                    "split": split,
                    "scale": scale,
                    "created_at": datetime.now(UTC),
                    "nll": nll[arm],
                    "mi": mi * number / (n - 1),
                    "tokens": 1.0,
                    "ess": 50.0,
                    "samples": 100,
                    "nll_floor": 5.545,
                    "mi_ceiling": 6.238,
                    "data_sha256": "5a",
                    "objective.lambda": np.linspace(-0.05, 0.99, n)[number],
                    **columns,
                }
                ResultStore(run.results).append([row])
        return run

    return store


def section(text: str, first: str) -> str:
    [found] = [part for part in text.split("\n\n") if part.startswith(first)]
    return found


def claim(text: str, title: str) -> str:
    [found] = [part for part in text.split("\n\n") if title in part.partition("\n")[0]]
    return found


def test_the_papers_are_listed() -> None:
    lines = papers.listing().splitlines()

    assert lines[0] == "papers:"
    assert lines[1].split()[:4] == ["melis", "Melis,", "György", "and"]
    assert [line.split()[0] for line in lines[1:]] == ["melis", "menon", "cr_vae", "control_vae"]


def test_an_unknown_paper_is_one_line(store_run: StoreRun) -> None:
    with pytest.raises(SweeperError, match="melis") as error:
        papers.describe("meli")
    assert "\n" not in str(error.value)


def test_without_runs_all_is_missing_and_the_published_table_is_there(
    store_run: StoreRun,
) -> None:
    text = papers.describe("melis")

    assert "runs\n  none in runs" in text
    assert "ours: no run with the validation split" in text
    assert text.index("Table 1: best validation") < text.index("DReG 16 K") < text.index("98.3")
    missing = section(text, "missing")
    assert "  sweeper run quickstart.yaml\n    for 1, 5, 7" in missing
    assert "  sweeper run melis/fig12.yaml\n    for 9, Table 1" in missing
    assert missing.endswith("at small scale sweeper paper melis --figure N --scale small")


@pytest.mark.parametrize(
    ("vimco", "reinforce", "answer"),
    [(5.6, 5.7, "holds"), (5.7, 5.6, "does not hold")],
)
def test_a_claim_is_answered_from_a_run_as_shipped(
    store_run: StoreRun, vimco: float, reinforce: float, answer: str
) -> None:
    store_run("quickstart", {"renyi-vimco-16": vimco, "reinforce-1": reinforce})
    text = papers.describe("melis")

    assert "runs/quickstart: quickstart, train split, 24 ended trials of 24; as shipped" in text
    found = claim(text, "quickstart: symbols: VIMCO-16 is better than REINFORCE-1")
    assert found.splitlines()[0].endswith(f": {answer}")
    assert f"{vimco - reinforce:.3g} [" in found
    assert "MI 0 to 5; configurations: 12, 12" in found
    assert "sweeper run quickstart.yaml" not in text
    assert "not as shipped" not in text


def test_few_trials_are_not_enough_and_the_run_can_be_resumed(store_run: StoreRun) -> None:
    store_run("quickstart", {"renyi-vimco-16": 5.6, "reinforce-1": 5.7}, n=4)
    text = papers.describe("melis")

    found = claim(text, "quickstart: symbols: VIMCO-16 is better than REINFORCE-1")
    assert "not enough data" in found.splitlines()[0]
    assert "renyi-vimco-16 has 4 and quickstart/reinforce-1 has 4 configurations" in found
    assert "  sweeper resume runs/quickstart\n    for 1, 5, 7" in section(text, "missing")


def test_a_missing_arm_is_not_enough(store_run: StoreRun) -> None:
    store_run("quickstart", {"renyi-vimco-16": 5.6})
    found = claim(papers.describe("melis"), "quickstart: symbols: VIMCO-16 is better")

    assert "no finished trial of quickstart/reinforce-1" in found


def test_an_overridden_run_counts_and_is_marked(store_run: StoreRun) -> None:
    arms = {"renyi-vimco-16": 5.6, "reinforce-1": 5.7}
    store_run("quickstart", arms, name="mine", overrides=("trial.training.steps=7",))
    text = papers.describe("melis")

    found = claim(text, "quickstart: symbols: VIMCO-16 is better than REINFORCE-1")
    assert found.splitlines()[0].endswith(": holds")
    assert "  not as shipped: training.steps 7 (shipped: 1500)" in found
    assert "  sweeper run quickstart.yaml\n" in section(text, "missing")


def test_a_scaled_run_is_marked_and_told_apart_from_one_as_shipped(store_run: StoreRun) -> None:
    arms = {"renyi-vimco-16": 5.6, "reinforce-1": 5.7}
    run = store_run("quickstart", arms, name="small", scale="smoke")
    store_run("quickstart", arms)
    recognised = recognise(run, ["quickstart"])

    assert recognised is not None
    assert str(recognised.protocol) == "scale smoke"
    assert not recognised.protocol.as_shipped
    text = papers.describe("melis")
    assert text.count("quickstart: symbols: VIMCO-16 is better than REINFORCE-1") == 2
    assert "not as shipped: scale smoke" in text


def test_other_ranges_are_marked(store_run: StoreRun) -> None:
    run = store_run(
        "quickstart",
        {"renyi-vimco-16": 5.6},
        overrides=("search.space.training.learning_rate.high=0.1",),
    )
    recognised = recognise(run, ["quickstart"])

    assert recognised is not None
    assert str(recognised.protocol) == "search.space has other ranges"


def test_a_field_set_away_from_its_default_is_marked(store_run: StoreRun) -> None:
    run = store_run("quickstart", {"renyi-vimco-16": 5.6}, overrides=("trial.training.l2=0.001",))
    recognised = recognise(run, ["quickstart"])

    assert recognised is not None
    assert str(recognised.protocol) == "training.l2 0.001 (shipped: 0.0)"


def test_a_renamed_run_of_one_arm_has_the_shipped_arm(store_run: StoreRun) -> None:
    run = store_run(VIMCO_R, {"mine": 90.0}, name="mine", tokens=20.0)
    recognised = recognise(run, [VIMCO_K, VIMCO_R])

    assert recognised is not None
    assert recognised.experiment == VIMCO_R
    assert set(recognised.rows["arm"]) == {VIMCO_R}
    assert recognised.protocol.as_shipped


def test_what_cannot_train_does_not_know_defaults_but_sees_what_is_written(
    store_run: StoreRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store_run("quickstart", {"renyi-vimco-16": 5.6}, overrides=("trial.training.steps=7",))
    shipped = Shipped("quickstart").document
    monkeypatch.setattr(protocols, "_complete", lambda name, scale: (shipped, False))
    recognised = recognise(run, ["quickstart"])

    assert recognised is not None
    assert str(recognised.protocol) == "training.steps 7 (shipped: 1500)"


@pytest.fixture
def ptb(store_run: StoreRun) -> None:
    """A validation run of 20 tokens a sentence, and a training fit."""
    for name, split, nll in (("fit", ("trial.evaluation.split=train",), 80.0), (None, (), 92.0)):
        of_arms = {"vimco-16-renyi": nll}
        store_run("melis/fig12", of_arms, name=name, overrides=split, tokens=20.0, mi=4.0)


def test_ours_stand_beside_the_published_where_they_compare(ptb: None, tmp_path: Path) -> None:
    text = papers.describe("melis", output=tmp_path / "out")

    assert "ours (1): validation split, as shipped\n" in text
    assert "ours (2): train split, " in text
    assert "training fit" in " ".join(text.split())
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    ours = table[(table["column"] == "VIMCO 16 R") & (table["figure"] == "NLL per token")]
    assert ours["value"].tolist() == pytest.approx([4.594, 4.6, 4.0])
    assert ours["comparable"].tolist() == [True, True, False]
    kl = table[(table["column"] == "VIMCO 16 R") & (table["figure"] == "KL per token")]
    assert kl["value"].tolist()[1:] == [0.0, 0.0]  # of equal NLLs, the one with the least MI


def test_claims_are_written_with_their_figures(store_run: StoreRun, tmp_path: Path) -> None:
    store_run("quickstart", {"renyi-vimco-16": 5.6, "reinforce-1": 5.7})
    text = papers.describe("melis", output=tmp_path / "out")

    assert text.endswith(f"{tmp_path / 'out' / 'table.csv'}\n{tmp_path / 'out' / 'claims.csv'}")
    rows = pd.read_csv(tmp_path / "out" / "claims.csv")
    rows = rows[rows["setting"].str.startswith("quickstart")]
    [row] = rows[rows["claim"] == "VIMCO-16 is better than REINFORCE-1"].to_dict("records")
    assert (row["verdict"], row["runs"]) == ("holds", "runs/quickstart")
    assert row["low"] <= row["estimate"] <= row["high"] < 0
    assert (row["mi_low"], row["mi_high"]) == (0.0, 5.0)


def test_named_runs_alone_count(store_run: StoreRun) -> None:
    arms = {"renyi-vimco-16": 5.6, "reinforce-1": 5.7}
    one, other = store_run("quickstart", arms, name="one"), store_run("quickstart", arms)

    text = papers.describe("melis", [one])
    assert str(one.path) in text
    assert f"{other.path}:" not in text


def test_a_named_run_of_something_else_is_refused(
    store_run: StoreRun, experiment: Callable[..., Any]
) -> None:
    store_run("quickstart", {})
    run = RunDirectory(STORAGE / "tiny")
    run.create(experiment().to_yaml())

    with pytest.raises(SweeperError, match="runs/tiny holds no ended trial of an experiment"):
        papers.describe("melis", [run])


def test_a_damaged_run_is_named_and_the_others_still_count(store_run: StoreRun) -> None:
    store_run("quickstart", {"renyi-vimco-16": 5.6, "reinforce-1": 5.7})
    damaged = store_run("quickstart", {"renyi-vimco-16": 5.6}, name="damaged")
    part = next(damaged.results.iterdir())
    part.write_bytes(part.read_bytes()[:-10])
    text = papers.describe("melis")

    assert "warning: " in text
    assert "damaged" in section(text, "warning: ")
    assert "runs/quickstart: quickstart" in text
    with pytest.raises(SweeperError, match="cannot be read"):
        papers.describe("melis", [damaged])


def test_a_trial_that_lies_in_two_runs_counts_once(store_run: StoreRun, tmp_path: Path) -> None:
    arms = {"renyi-vimco-16": 5.6, "reinforce-1": 5.7}
    run = store_run("quickstart", arms)
    (tmp_path / "copies").mkdir()
    copy = RunDirectory(tmp_path / "copies" / "quickstart")
    copy.create(run.experiment_file.read_text("utf-8"))
    copy.results.mkdir()
    for part in run.results.iterdir():
        (copy.results / part.name).write_bytes(part.read_bytes())

    text = papers.describe("melis", [run, copy])
    assert "configurations: 12, 12" in claim(text, "quickstart: symbols: VIMCO-16 is better")


def test_a_place_that_cannot_be_written_is_one_line(store_run: StoreRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SweeperError, match=r"cannot write .*file: .*choose another --output"):
        papers.describe("melis", output=tmp_path / "file")
