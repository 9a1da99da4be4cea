"""Papers without published figures, CR-VAE and ControlVAE, beside rows that the tests make."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeper.experiment import load
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import papers

StoreRun = Callable[..., RunDirectory]
Evaluations = dict[str, list[Any]]  # columns by step; a single value is that of every step


@pytest.fixture
def store_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreRun:
    """Stores a small run: for each arm its configurations, with three seeds that differ a bit."""
    monkeypatch.chdir(tmp_path)

    def store(experiment: str, arms: dict[str, list[Evaluations]]) -> RunDirectory:
        loaded = load(experiment, scale="small")
        run = RunDirectory(Path("runs") / loaded.name)
        run.create(loaded.to_yaml())
        for arm, configurations in arms.items():
            for number, columns in enumerate(configurations):
                for seed in range(3):
                    n = max(map(len, columns.values()), default=1)
                    rows = [
                        {
                            "experiment": loaded.name,
                            "arm": arm,
                            "trial_id": f"{arm}-{number}-{seed}",
                            "config_hash": f"{arm}-{number}",
                            "seed": seed,
                            "step": 30 * (step + 1),
                            "final": step == n - 1,
                            "status": "done" if step == n - 1 else "running",
                            "split": "validation",
                            "scale": "small",
                            "created_at": datetime.now(UTC),
                            "nll": 100.0,
                            "mi": 10.0,
                            "tokens": 1.0,
                            "ess": 50.0,
                            "samples": 100,
                            "data_sha256": "5a",
                            "device": "cpu",
                            "host": "here",
                            **{
                                name: values[step % len(values)]
                                * (1 if "." in name else 1 + seed / 1e4)
                                for name, values in columns.items()
                            },
                        }
                        for step in range(n)
                    ]
                    ResultStore(run.results).append(rows)
        return run

    return store


def found(text: str, title: str) -> str:
    [part] = [part for part in text.split("\n\n") if title in part.partition("\n")[0]]
    return part


def verdict(text: str, title: str) -> str:
    return found(text, title).partition("\n")[0].rpartition(": ")[2]


def test_papers_say_that_nothing_is_published_and_what_is_missing(store_run: StoreRun) -> None:
    for name, last in (("cr_vae", "cr_vae/bound.yaml"), ("control_vae", "control_vae/ptb.yaml")):
        text = papers.describe(name)

        assert "that tables show ours alone" in " ".join(text.split())
        assert f"  sweeper run {last}\n" in found(text, "missing") + "\n"
        assert "ours: no run with the validation split" in text
        assert "–" not in text


def test_where_keys_come_from_is_a_table_and_claims(store_run: StoreRun, tmp_path: Path) -> None:
    """The moving average is ahead of all but its own queue, and costs a nat."""
    mi = {"vae": 3.0, "ema": 4.0, "shared": 3.5, "frozen": 3.2, "ema-queue": 4.5}
    store_run(
        "cr_vae/key_encoder",
        {
            arm: [{"mi": [value], "kl": [value + 10], "nll": [98 + value], "active_units": [9]}]
            for arm, value in mi.items()
        },
    )
    text = papers.describe("cr_vae", output=tmp_path / "out")

    assert verdict(text, "with gamma = 1 more KL than") == "holds"
    assert verdict(text, "with gamma = 1 more active units than") == "not enough data"
    assert verdict(text, "With gamma = 1 the NLL is hardly above") == "does not hold"
    assert verdict(text, "than those of the encoder itself") == "holds"
    assert verdict(text, "than those of a random encoder") == "not enough data"
    assert "no finished trial of cr_vae/key_encoder/frozen-queue" in text
    assert verdict(text, "A queue's many negatives") == "holds"
    lines = text.splitlines()
    row = next(line for line in lines if line.startswith("the encoder itself  "))
    figures = "101.51 (0.01) 13.50 (0.00) 3.50 (0.00) 3"
    assert " ".join(row.split()) == f"the encoder itself {figures}"
    assert "probe" not in lines[next(i for i, x in enumerate(lines) if "where keys" in x) + 2]
    rows = pd.read_csv(tmp_path / "out" / "key_encoder.csv")
    assert set(rows["source"]) == {"validation split, scale small"}


@pytest.mark.parametrize(("last", "answer"), [(5.0, "holds"), (7.0, "does not hold")])
def test_a_bound_is_followed_along_training(store_run: StoreRun, last: float, answer: str) -> None:
    bound = {"critic_bound": [1.0, 4.0, last], "critic_ceiling": [10.0], "mi": [2.0, 4.5, 6.0]}
    store_run("cr_vae/bound", {"batch": [bound], "queue": [bound]})
    text = papers.describe("cr_vae")

    assert verdict(text, "stays below the MI of the model") == answer
    assert verdict(text, "stays below the MI of the whole set") == "not enough data"
    assert "of Student's t over seeds" in " ".join(text.split())


def test_more_gamma_is_more_information(store_run: StoreRun) -> None:
    gammas = np.geomspace(0.01, 1000, 6)
    swept = [
        {"objective.gamma": [gamma], "mi": [5 + 3.0 * i], "nll": [98 + 0.5 * i]}
        for i, gamma in enumerate(gammas)
    ]
    store_run("cr_vae/mnist", {"cr-vae": swept})
    text = papers.describe("cr_vae")

    information = found(text, "MNIST: More gamma, more information")
    assert information.partition("\n")[0].endswith(": holds")
    assert "a decade of objective.gamma: 3 [3, 3]; configurations: 6" in information
    costs = found(text, "MNIST: Much information costs fit")
    assert "cr_vae/mnist/cr-vae has 6 configurations; 8 are needed" in costs
    assert "of Student's t over configurations" in " ".join(text.split())
    lines = [line.split() for line in text.splitlines()]
    assert ["10", "nats", "99.01", "–"] in lines
    assert ["22", "nats", "–", "–"] in lines


def test_remedies_are_a_grid_and_set_points_are_held(store_run: StoreRun) -> None:
    """ControlVAE comes to 25 nats by itself and with skip connections, not beyond."""
    kl = {"vae": 20.0, "vae-skip": 21.0, "control": 25.1, "control-skip": 24.6}
    arms = {
        arm: [{"kl": [value], "mi": [value - 1], "mi_q": [5.0], "kl_weight": [0.5]}]
        for arm, value in kl.items()
    }
    for arm in ("control", "control-skip"):
        arms[arm][0]["kl_set_point"] = [25.0]
    store_run("control_vae/remedies", arms)
    text = papers.describe("control_vae")

    held = found(text, "The KL is at its set point with and without each remedy")
    assert held.partition("\n")[0].endswith(": not enough data")
    assert held.count("\n  holds: the KL of") == 2
    assert verdict(text, "Skip connections raise the information of the model") == "holds"
    assert "\n  holds: the MI of the model of control_vae/remedies/control is greater" in text
    grid = text[text.index("remedies: VAE and ControlVAE") :].split("\n\n")[1]
    names = [line.partition("  ")[0] for line in grid.splitlines()[1:5]]
    assert names == ["VAE", "ControlVAE", "VAE + skip", "ControlVAE + skip"]


def test_swept_set_points_are_followed(store_run: StoreRun) -> None:
    targets = np.geomspace(2, 40, 6)

    def swept(off: float) -> list[Evaluations]:
        return [
            {
                "objective.kl_target": [target],
                "kl_set_point": [target],
                "kl": [target * (1 + off)],
                "mi": [target],
            }
            for target in targets
        ]

    store_run("control_vae/set_point", {"control-vae": swept(0.01)})
    text = papers.describe("control_vae")

    assert verdict(text, "MNIST: The KL comes to its set point") == "holds"
    assert verdict(text, "MNIST: A higher set point, more information") == "holds"
    without = found(text, "claims without a run")
    [line] = [line for line in without.splitlines() if "A smaller weight of the KL" in line]
    assert "MNIST" in line + without.partition(line)[2].partition("\n  [")[0]


def test_what_is_said_to_have_a_figure_measured_is_an_option() -> None:
    """As claims and tables say it where an experiment does not ask for a meter."""
    for name in ("collapse", "probes"):
        override = f"trial.evaluation.meters.{name}={{}}"
        loaded = load("control_vae/remedies", scale="small", overrides=(override,))

        for trial in loaded.example_trials().values():
            assert trial.evaluation.meters is not None
            assert getattr(trial.evaluation.meters, name) is not None
