"""Cluster files: located errors, and nothing in them that could mean more than itself."""

from pathlib import Path
from typing import Any

import pytest

from sweeper.clusters import kuberay, ray_job, slurm
from sweeper.clusters.settings import Settings, load
from sweeper.clusters.submitting import ENGINES
from sweeper.errors import SweeperError

EVERYTHING = frozenset(Settings.model_fields)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return path


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    text = (
        "nodes: two\ntime: 90\npartitoin: long\naccount: a b\n"
        'environment: {AWS_SECRET_ACCESS_KEY: x}\nsetup: ["a\\nb"]\n'
    )
    with pytest.raises(SweeperError) as error:
        load(written(tmp_path, text), {"memory": "much"}, "slurm", slurm.TAKES)
    first, *problems = str(error.value).splitlines()

    assert first.endswith("cluster.yaml is not a valid cluster for slurm:")
    wanted = [
        "cluster.yaml:1: nodes: a whole number was expected, got the text 'two'",
        "cluster.yaml:2: time: is a text, such as",
        "cluster.yaml:3: partitoin: unknown key 'partitoin'; did you mean 'partition'?",
        "cluster.yaml:4: account: has letters, digits",
        "cluster.yaml:5: environment.AWS_SECRET_ACCESS_KEY: AWS_SECRET_ACCESS_KEY looks like a",
        "cluster.yaml:6: setup.0: is one line",
        "--memory: memory: an amount of memory is a number of bytes",
    ]
    assert len(problems) == len(wanted)
    for problem, start in zip(problems, wanted, strict=True):
        assert start in problem


@pytest.mark.parametrize(
    "value", ["a\n#SBATCH --uid=0", "x; rm -rf /", "$(id)", "`id`", "a b", "", "--help"]
)
def test_a_word_cannot_become_a_command(value: str) -> None:
    with pytest.raises(SweeperError, match="partition: has letters, digits"):
        load(None, {"partition": value}, "slurm", slurm.TAKES)


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "nodes: 2\npartition: long\n")
    settings = load(path, {"nodes": 3, "account": None}, "slurm", slurm.TAKES)

    assert (settings.nodes, settings.partition, settings.account) == (3, "long", None)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_does_not_take_is_told(engine: str) -> None:
    foreign: dict[str, Any] = {"ray-job": {"nodes": 2}, "slurm": {"image": "i"}}
    with pytest.raises(SweeperError, match=f"is nothing that {engine} takes; it has "):
        load(None, foreign.get(engine, {"partition": "p"}), engine, ENGINES[engine].takes)


def test_every_field_is_for_some_engine() -> None:
    assert slurm.TAKES | ray_job.TAKES | kuberay.TAKES == EVERYTHING


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 5400), ("02:00:00", 7200), ("1-12:00:00", 129600), ("120:30:00", 433800)],
)
def test_a_time_limit_is_so_many_seconds(time: str, seconds: int) -> None:
    assert load(None, {"time": time}, "slurm", slurm.TAKES).seconds == seconds


@pytest.mark.parametrize("time", ["soon", "1:2:3", "-5", "12:00"])
def test_any_other_time_is_refused(time: str) -> None:
    with pytest.raises(SweeperError, match="time: is MINUTES, HOURS:MM:SS or DAYS-HH:MM:SS"):
        load(None, {"time": time}, "slurm", slurm.TAKES)
