from collections.abc import Callable
from pathlib import Path

import pytest

from search_spaces.spaces import SPACES
from sweeper import listing
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, shipped
from sweeper.runs import RunDirectory
from trainables.data import DATA
from trainables.estimators import ESTIMATORS
from trainables.models import MODELS
from trainables.objectives import OBJECTIVES

MakeExperiment = Callable[..., Experiment]
KINDS = {
    "experiments": shipped(),
    "objectives": OBJECTIVES,
    "estimators": ESTIMATORS,
    "models": MODELS,
    "data": DATA,
    "spaces": SPACES,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_listed_with_what_it_is(kind: str, tmp_path: Path) -> None:
    first, *lines = listing.text(kind, tmp_path).splitlines()

    assert first == f"{kind}:"
    entries = [line.split(maxsplit=1) for line in lines]
    assert [entry[0] for entry in entries] == list(KINDS[kind])
    assert all(len(entry) == 2 for entry in entries)


def test_an_experiment_is_listed_with_its_scales(tmp_path: Path) -> None:
    [line] = [x for x in listing.text("experiments", tmp_path).splitlines() if "quickstart" in x]

    assert line.endswith("[scales: smoke]")


def test_without_a_kind_all_are_listed(tmp_path: Path) -> None:
    text = listing.text(None, tmp_path)

    assert text.split("\n\n") == [listing.text(kind, tmp_path) for kind in (*KINDS, "runs")]


def test_runs_are_listed_with_how_far_they_are(experiment: MakeExperiment, tmp_path: Path) -> None:
    assert listing.text("runs", tmp_path / "runs") == "runs:\n  none"
    for name in ("first", "second"):
        run = RunDirectory(tmp_path / "runs" / name)
        run.create(experiment(name=name).to_yaml())

    assert listing.text("runs", tmp_path / "runs").splitlines()[1:] == [
        "  first   0 of 3 trials have ended; A small one",
        "  second  0 of 3 trials have ended; A small one",
    ]


def test_a_merged_run_is_listed_with_those_it_was_merged_from(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "both")
    run.create(experiment(name="both").to_yaml())
    run.merge([tmp_path / "first", tmp_path / "second"], 0)

    assert listing.text("runs", tmp_path).splitlines()[1:] == [
        "  both  0 trials, merged from first, second; A small one"
    ]


def test_a_damaged_run_does_not_hide_the_others(
    experiment: MakeExperiment, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        RunDirectory(tmp_path / name).create(experiment(name=name).to_yaml())
    (tmp_path / "first/experiment.yaml").write_bytes(b"\xff: [")

    first, second = listing.text("runs", tmp_path).splitlines()[1:]
    assert "experiment.yaml is damaged" in first
    assert second == "  second  0 of 3 trials have ended; A small one"


def test_an_unknown_kind_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match="nothing to list under 'run'; there are experiments"):
        listing.text("run", tmp_path)
