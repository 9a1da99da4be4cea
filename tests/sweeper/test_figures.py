"""Figures of papers, whose experiments are trained as far as need be; training itself is faked."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from analysis import papers
from analysis.claims import Arm
from analysis.orders import Below
from analysis.papers.melis import MELIS
from analysis.papers.paper import Claim, Paper
from sweeper import figures
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.figures import figure
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import papers as stored_papers

QUICK = ("renyi-vimco-16", "reinforce-1")
CLAIM = Claim(
    "5", "The first is better", "here", (Below(*(Arm("quickstart", arm) for arm in QUICK)),)
)
OTHER = Claim("6", "Elsewhere", "there", (Below(*(Arm("ptb_dreg_kl", a) for a in ("a", "b"))),))
PAPER = Paper("one", "One paper", (), (CLAIM, OTHER), (), figures={3: "quickstart"})


def store(run: RunDirectory, experiment: Experiment, seeds: int) -> None:
    """Store a few trials of every arm, those of the first one with a lower NLL."""
    split = next(iter(experiment.example_trials().values())).evaluation.split
    for arm in experiment.arms:
        for number in range(seeds):
            trial = f"{arm}-{number}"
            row: dict[str, Any] = {
                "experiment": experiment.name,
                "arm": arm,
                "trial_id": trial,
                "config_hash": trial,
                "seed": 0,
                "step": 10,
                "final": True,
                "status": "done",
                "split": split,
                "scale": experiment.scale,
                "tokens": 1.0,
                "nll": 5.0 + (arm == QUICK[1]) + 0.01 * number,
                "mi": 5.0 * number / seeds,
                "nll_se": 0.001,
                "mi_se": 0.001,
                "ess": 50.0,
                "samples": 100,
                "data_sha256": "5a",
                "created_at": datetime.now(UTC),
            }
            ResultStore(run.results).append([row])


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Makes the paper the only one, and sweeps that store rows; says which were asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stored_papers, "PAPERS", {"one": PAPER, "menon": papers.PAPERS["menon"]})
    asked: list[tuple[str, str | None]] = []

    def run(experiment: Experiment, **_: Any) -> int:
        asked.append((experiment.name, experiment.scale))
        directory = RunDirectory(Path("runs") / experiment.name)
        if not directory.exists:
            directory.create(experiment.to_yaml())
        store(directory, experiment, experiment.search.trials * experiment.search.seeds)
        return 0

    monkeypatch.setattr(figures.sweeping, "run", run)
    return asked


Ran = list[tuple[str, str | None]]


def drawn(scale: str | None = None) -> int:
    return figure("one", 3, scale=scale, storage=None, workers=None)


def test_a_figure_is_trained_once_and_judged_by_its_own_claims(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawn("smoke") == 0
    first = capsys.readouterr().out
    assert drawn("smoke") == 0
    second = capsys.readouterr().out

    assert ran == [("quickstart_smoke", "smoke")]
    assert "[5] here: The first is better: " in first
    assert "Elsewhere" not in first
    assert "not covered yet" not in first
    assert "runs/quickstart_smoke is complete: " in second
    assert "runs/quickstart_smoke/frontier/frontier.png" in second
    assert second.endswith(first.lstrip("\n"))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (6, "melis_fig06 trains 5 arms × 64 trials of 40,000 steps, the published size"),
        (
            13,
            "melis_fig13 trains 5 arms × 64 trials of 40,000 to 640,000 steps, the published size",
        ),
    ],
)
def test_what_is_trained_at_published_size_is_said_before_it_starts(
    number: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    said = []

    def run(experiment: Experiment, **_: Any) -> int:
        said.append(capsys.readouterr().out)
        return 130

    monkeypatch.setattr(figures.sweeping, "run", run)
    for scale in (None, "small"):
        figure("melis", number, scale=scale, storage=None, workers=None)

    assert said == [f"{expected}; --scale small is what a laptop finishes\n", ""]


def test_a_complete_run_is_reused_without_a_word_of_training(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn()
    first = capsys.readouterr().out
    drawn()

    assert first.startswith("quickstart trains 2 arms × 12 trials of 1,500 steps, ")
    assert "--scale small" not in first  # which there is not
    assert " trains " not in capsys.readouterr().out


def test_scales_lie_beside_one_another(ran: Ran) -> None:
    drawn("smoke")
    drawn()
    drawn("smoke")

    assert ran == [("quickstart_smoke", "smoke"), ("quickstart", None)]


def test_what_is_not_complete_is_continued_under_its_name(ran: Ran) -> None:
    experiment = load("quickstart", name="mine")
    run = RunDirectory(Path("runs") / "mine")
    run.create(experiment.to_yaml())
    store(run, experiment, 2)
    drawn()

    assert ran == [("mine", None)]


def test_what_was_interrupted_before_any_trial_ended_is_continued(ran: Ran) -> None:
    experiment = load("quickstart", scale="smoke", name="quickstart_smoke")
    RunDirectory(Path("runs") / experiment.name).create(experiment.to_yaml())
    drawn("smoke")

    assert ran == [("quickstart_smoke", "smoke")]


def test_a_claim_about_two_figures_is_judged_with_the_run_of_the_other(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = Arm("quickstart", QUICK[0]), Arm("synthetic_vimco_kl", "reinforce-1")
    both = PAPER._replace(
        claims=(Claim("7", "Both", "here and there", (Below(ours, theirs),)),),
        figures={3: "quickstart", 4: "synthetic_vimco_kl"},
    )
    monkeypatch.setattr(stored_papers, "PAPERS", {"one": both})
    drawn()
    alone = capsys.readouterr().out
    other = load("synthetic_vimco_kl")
    run = RunDirectory(Path("runs") / other.name)
    run.create(other.to_yaml())
    store(run, other, 12)
    drawn()
    together = capsys.readouterr().out

    assert "no finished trial of synthetic_vimco_kl/reinforce-1" in " ".join(alone.split())
    assert alone.endswith("compare it with another figure need\n  sweeper paper one --figure 4\n")
    assert "no finished trial" not in together
    assert "--figure 4" not in together
    assert "runs/synthetic_vimco_kl: synthetic_vimco_kl, train split, " in together


def test_a_run_that_was_changed_is_another(ran: Ran) -> None:
    changed = load("quickstart", overrides=["trial.training.batch_size=8"])
    run = RunDirectory(Path("runs") / changed.name)
    run.create(changed.to_yaml())
    store(run, changed, 2)
    drawn()

    assert ran == [("quickstart-2", None)]


def test_an_interrupted_sweep_is_not_judged(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures.sweeping, "run", lambda *_, **__: 130)

    assert drawn() == 130
    assert capsys.readouterr().out.startswith("quickstart trains ")
    assert ran == []


@pytest.mark.parametrize(
    ("paper", "number", "message"),
    [
        ("one", 1, "one has no figure 1 with an experiment; there are 3 to 3"),
        ("menon", 1, "no figure of menon has an experiment of its own; leave --figure out"),
        ("on", 3, "unknown paper 'on'; did you mean 'one'?"),
    ],
)
def test_a_figure_that_is_not_there_is_refused(
    paper: str, number: int, message: str, ran: Ran
) -> None:
    with pytest.raises(SweeperError) as error:
        figure(paper, number, scale=None, storage=None, workers=None)

    assert str(error.value) == message
    assert ran == []


def test_a_scale_that_is_not_there_is_refused_before_anything_starts(ran: Ran) -> None:
    with pytest.raises(SweeperError, match="unknown scale 'tiny'"):
        drawn("tiny")
    assert ran == []


def test_every_figure_of_melis_has_an_experiment_that_names_it() -> None:
    names = MELIS.figures

    assert sorted(names) == list(range(2, 30))
    for number in (2, 15, 29):
        assert load(names[number]).name == f"melis_fig{number:02d}"
