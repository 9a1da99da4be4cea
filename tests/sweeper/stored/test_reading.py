"""What stored results say, from stores that the tests fill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task
from sweeper.stored import reading
from tests.sweeper.stored.conftest import POINT
from trainables.trial import config_hash, trial_id

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
StoreRun = Callable[..., RunDirectory]


def test_a_damaged_part_is_one_line(store_run: StoreRun) -> None:
    run = store_run("done")
    [part] = run.results.iterdir()
    part.write_bytes(part.read_bytes()[:-10])

    with pytest.raises(SweeperError, match=r"cannot be read .*damaged; resume") as error:
        reading.frontier([run])
    assert "\n" not in str(error.value)


def test_the_rest_of_a_damaged_run_is_read_where_somebody_listens(store_run: StoreRun) -> None:
    run = store_run("done", "done")
    part = min(run.results.iterdir())
    part.write_bytes(part.read_bytes()[:-10])
    damaged: list[str] = []

    assert "1 of 1 trials" in reading.frontier([run], damaged=damaged)
    assert [problem.split(" cannot be read")[0] for problem in damaged] == [str(part)]


def test_a_frontier_is_written_beside_its_run(store_run: StoreRun) -> None:
    run = store_run("done", "done", "failed")
    lines = reading.frontier([run]).splitlines()

    names = [f"frontier.{kind}" for kind in ("csv", "parquet", "pdf", "png", "svg")]
    assert lines[-5:] == [f"runs/tiny/frontier/{name}" for name in names]
    assert "left out: 1 failed" in lines
    points = pd.read_csv("runs/tiny/frontier/frontier.csv")
    assert sorted(points["nll_value"]) == [1.9, 2.0]
    pd.testing.assert_frame_equal(
        points[["nll_value", "mi_value", "trial_id"]],
        pd.read_parquet("runs/tiny/frontier/frontier.parquet")[
            ["nll_value", "mi_value", "trial_id"]
        ],
        check_dtype=False,
    )


def test_several_runs_share_a_frontier_where_they_are_told_to(
    store_run: StoreRun, tmp_path: Path
) -> None:
    runs = [store_run("done", name="first"), store_run("done", "done", name="second")]
    with pytest.raises(SweeperError, match="name it by --output"):
        reading.frontier(runs)

    with pytest.raises(SweeperError) as refused:
        reading.frontier(runs, output=tmp_path / "compared")
    assert str(refused.value) == (
        "runs/first runs/second: points of 2 experiments (first, second) may not compare; "
        "take them together with --force"
    )
    assert not (tmp_path / "compared").exists()
    text = reading.frontier(runs, output=tmp_path / "compared", force=True)
    assert "3 of 3 trials" in text
    assert sorted(path.name for path in (tmp_path / "compared").iterdir()) == [
        "frontier.csv",
        "frontier.parquet",
        "frontier.pdf",
        "frontier.png",
        "frontier.svg",
    ]
    assert set(pd.read_csv(tmp_path / "compared/frontier.csv")["run"]) == {"first", "second"}


def test_a_frontier_is_per_token_where_observations_have_several(store_run: StoreRun) -> None:
    run = store_run("done", tokens=4.0)

    assert "nats per token" in reading.frontier([run])
    assert pd.read_csv("runs/tiny/frontier/frontier.csv")["nll_value"].tolist() == [0.5]
    assert "nats per observation" in reading.frontier([run], per="observation")
    assert pd.read_csv("runs/tiny/frontier/frontier.csv")["nll_value"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"per": "word"}, "--per takes observation or token; got 'word'"),
        ({"per": "tokens"}, "got 'tokens'; did you mean token?"),
        (
            {"view": "rate"},
            "--view takes frontier, panels, rate-distortion or training; got 'rate'",
        ),
        ({"style": "papper"}, "--style takes default or paper; got 'papper'; did you mean paper?"),
        (
            {"mi": "mi_p"},
            "--mi takes mi, mi_q, mi_q_batch or code_space; got 'mi_p'; did you mean mi_q?",
        ),
        ({"band": "errors"}, "--band takes seeds or error; got 'errors'; did you mean error?"),
        (
            {"view": "training", "style": "paper"},
            "--style paper goes with --view frontier only; got --view training",
        ),
        (
            {"view": "rate-distortion", "band": "seeds"},
            "--band seeds goes with --view frontier or panels only; got --view rate-distortion",
        ),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(
    store_run: StoreRun, choice: dict[str, str], message: str
) -> None:
    with pytest.raises(SweeperError) as refused:
        reading.frontier([store_run("done")], **choice)
    assert message in str(refused.value)
    assert not Path("runs/tiny/frontier").exists()


OF_Q = {
    "mi_q": 3.0,
    "mi_q_se": 0.01,
    "mi_q_ceiling": 3.9,
    "mi_q_batch": 3.4,
    "mi_q_batch_se": 0.01,
    "mi_q_batch_ceiling": 3.4657,
    "observations": 50,
}


def test_the_information_of_q_is_shown_where_it_is_asked_for(store_run: StoreRun) -> None:
    run = store_run("done", "done", **OF_Q)
    assert "3.000" not in reading.frontier([run])

    lines = reading.frontier([run], mi="mi_q").splitlines()

    assert lines[1] == "MI: MI of q, I_q(x; z), pool of 50"
    assert "MI of q" in lines[3]
    assert "3.000 ± 0.010" in lines[4]
    assert any("published meter" in line and "saturated for 2 of 2" in line for line in lines)
    points = pd.read_csv("runs/tiny/frontier/frontier.csv")
    assert points["mi_value"].tolist() == [3.0, 3.0]
    assert points["mi_axis"].tolist() == ["mi_q"] * 2
    assert "3.400 ± 0.010" in reading.frontier([run], mi="mi_q_batch")


def test_the_code_space_is_shown_where_it_is_asked_for(store_run: StoreRun) -> None:
    run = store_run("done", "done", code_space=3.5, code_entropy=2.25)
    lines = reading.frontier([run], mi="code_space").splitlines()

    assert lines[1] == "in the place of MI: log of the code space, L ln J"
    assert lines[3].split()[:6] == ["arm", "NLL", "code", "space", "code", "entropy"]
    assert lines[4].split()[4:6] == ["3.500", "2.250"]
    with pytest.raises(SweeperError) as refused:
        reading.frontier([store_run("done", name="other")], mi="code_space")
    assert str(refused.value) == (
        "runs/other: no trial has a value of code_space, which only vq latents have; show the "
        "information of the model with --mi mi"
    )


def test_by_default_it_is_what_the_experiment_maximises(
    store_run: StoreRun, experiment: MakeExperiment, tmp_path: Path
) -> None:
    run = store_run("done", **OF_Q)
    maximising = experiment(name="tiny", frontier={"maximize": "mi_q"})
    run.experiment_file.write_text(maximising.to_yaml())

    assert "pool of 50" in reading.frontier([run])
    assert "pool of 50" in "\n".join(reading.described(reading.frontier_so_far(run)))
    assert "pool of" not in reading.frontier([run], mi="mi")
    other = store_run("done", name="other", **OF_Q)
    with pytest.raises(SweeperError) as refused:
        reading.frontier([run, other], output=tmp_path / "both", force=True)
    assert str(refused.value) == (
        "runs/tiny runs/other: their experiments maximise different information (mi, mi_q); "
        "choose one with --mi"
    )
    both = reading.frontier([run, other], output=tmp_path / "both", force=True, mi="mi_q")
    assert "2 of 2 trials" in both


def test_runs_without_the_information_say_so_in_one_line(store_run: StoreRun) -> None:
    with pytest.raises(SweeperError) as refused:
        reading.frontier([store_run("done")], mi="mi_q")
    assert str(refused.value) == (
        "runs/tiny: no trial has a value of mi_q, which older versions did not measure; show the "
        "information of the model with --mi mi"
    )


def test_an_unknown_information_in_an_experiment_file_is_one_line(store_run: StoreRun) -> None:
    run = store_run("done")
    text = run.experiment_file.read_text()
    assert "maximize: mi}" in text
    run.experiment_file.write_text(text.replace("maximize: mi}", "maximize: mi_x}"))

    with pytest.raises(SweeperError, match=r"frontier\.maximize is 'mi_x', which this version"):
        reading.frontier([run])
    assert "1 of 1 trials" in reading.frontier([run], mi="mi")


def test_rate_and_distortion_are_of_the_model(store_run: StoreRun) -> None:
    run = store_run("done", **OF_Q)
    with pytest.raises(SweeperError, match=r"--view rate-distortion is about .* add --mi mi"):
        reading.frontier([run], view="rate-distortion", mi="mi_q")
    assert "rate_distortion.svg" in reading.frontier([run], view="rate-distortion", mi="mi")


def test_training_is_drawn_of_the_published_meter_too(
    store_run: StoreRun, experiment: MakeExperiment, ended: MakeRows
) -> None:
    run = store_run()
    tiny = experiment(name="tiny")
    values = {"training.learning_rate": 0.01}
    config = tiny.trial_config("tiny", values)
    identity = config_hash(config, "5a")
    task = Task("tiny", 0, 0, values, config, "5a", identity, trial_id(identity, 0))
    [last] = ended(tiny, task, **{**POINT, **OF_Q})
    first = {**last, "step": 2, "final": False, "status": "running", "mi_q_batch": 2.5}
    ResultStore(run.results).append([first, last])

    reading.frontier([run], view="training", mi="mi_q_batch")

    assert pd.read_csv("runs/tiny/frontier/training.csv")["mi_value"].tolist() == [2.5, 3.4]


def test_ambiguous_points_are_counted(store_run: StoreRun) -> None:
    run = store_run("done", "done", nll_se=0.2, mi_se=0.2)
    line = (
        "ambiguous: 2 of 2 trials, 2 of them above; by their Monte Carlo errors they may or may "
        "not be on the frontier"
    )

    assert line in reading.frontier([run]).splitlines()
    assert line in reading.described(reading.frontier_so_far(run))
    points = pd.read_csv("runs/tiny/frontier/frontier.csv")
    assert points["membership"].tolist() == ["ambiguous"] * 2
    assert points["frontier_probability"].between(0.05, 0.95).all()


def test_a_band_over_the_errors_is_drawn_and_written(store_run: StoreRun) -> None:
    lines = reading.frontier([store_run("done", "done")], band="error").splitlines()

    assert "runs/tiny/frontier/attainment.csv" in lines
    surfaces = pd.read_csv("runs/tiny/frontier/attainment.csv")
    assert sorted(surfaces["level"].unique()) == [5, 50, 95]
    assert surfaces["unit"].unique().tolist() == ["observation"]


def test_a_band_needs_seeds_or_errors(store_run: StoreRun) -> None:
    run = store_run("done", "done", nll_se=0.0, mi_se=0.0)
    with pytest.raises(SweeperError, match=r"--band seeds: no arm has two; .* search\.seeds"):
        reading.frontier([run], band="seeds")
    with pytest.raises(SweeperError, match="--band error: no point has a known error above 0"):
        reading.frontier([run], band="error")
    assert not run.frontier.exists()


def test_training_needs_evaluations_at_several_steps(store_run: StoreRun) -> None:
    with pytest.raises(SweeperError, match=r"runs/tiny: every trial .* set evaluation\.every"):
        reading.frontier([store_run("done")], view="training")


def test_training_is_drawn_from_all_evaluations(
    store_run: StoreRun, experiment: MakeExperiment, ended: MakeRows
) -> None:
    run = store_run()
    tiny = experiment(name="tiny")
    values = {"training.learning_rate": 0.01}
    config = tiny.trial_config("tiny", values)
    identity = config_hash(config, "5a")
    task = Task("tiny", 0, 0, values, config, "5a", identity, trial_id(identity, 0))
    [last] = ended(tiny, task, **POINT)
    first = {**last, "step": 2, "final": False, "status": "running", "nll": 3.0}
    ResultStore(run.results).append([first, last])
    lines = reading.frontier([run], view="training").splitlines()

    assert lines[0] == "Pareto frontier, nats per observation: 1 of 1 trials"
    names = [f"training.{kind}" for kind in ("csv", "pdf", "png", "svg")]
    assert lines[-4:] == [f"runs/tiny/frontier/{name}" for name in names]
    assert pd.read_csv("runs/tiny/frontier/training.csv")["nll_value"].tolist() == [3.0, 2.0]


def test_a_run_without_rows_has_no_frontier(store_run: StoreRun) -> None:
    with pytest.raises(SweeperError, match="runs/tiny: no trial has ended yet"):
        reading.frontier([store_run()])


def test_where_no_trial_is_done_there_is_nothing_to_draw(store_run: StoreRun) -> None:
    text = reading.frontier([store_run("failed", "diverged")])

    assert text.splitlines()[0] == "Pareto frontier, nats per observation: 0 of 0 trials"
    assert "left out: 1 failed" in text
    assert text.endswith("nothing to draw")
    assert not Path("runs/tiny/frontier").exists()


def test_a_place_that_cannot_be_written_is_one_line(store_run: StoreRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(SweeperError, match=r"cannot write .*file: .*choose another --output"):
        reading.frontier([store_run("done")], output=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
