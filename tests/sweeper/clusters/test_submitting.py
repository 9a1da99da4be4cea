from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.clusters.submitting import ENGINES
from sweeper.experiment import load
from tests.sweeper.clusters.conftest import Program

Command = Callable[..., Any]
WriteExperiment = Callable[..., Path]


def test_an_engine_that_is_none_is_told(
    sweeper: Command, experiment_file: WriteExperiment
) -> None:
    error = sweeper("submit", str(experiment_file()), "--to", "slrum").is_one_error()

    assert error.startswith("--to slrum: unknown engine 'slrum'; did you mean 'slurm'?")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dry_run_prints_and_leaves_nothing(
    sweeper: Command, experiment_file: WriteExperiment, tmp_path: Path, engine: str
) -> None:
    flags = ["--image", "i", "--storage", "s3://bucket/runs"] * (engine == "kuberay")
    answer = sweeper("submit", str(experiment_file()), "--to", engine, "--dry-run", *flags)

    assert (answer.code, answer.err) == (0, "")
    assert "tiny" in answer.out
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_slurm_job_resumes_the_run_that_is_prepared_for_it(
    sweeper: Command, experiment_file: WriteExperiment, program: Program, tmp_path: Path
) -> None:
    program("squeue", ":")
    program("sbatch", "echo 12")
    path = experiment_file()
    answer = sweeper("submit", str(path), "--to", "slurm", "--trials", "5", "--workers", "3")

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0].startswith("Slurm job 12, script ")
    assert load(tmp_path / "runs/tiny/experiment.yaml").search.trials == 5
    script = (tmp_path / "runs/tiny/submit/tiny.sbatch").read_text()
    assert f"run={tmp_path}/runs/tiny\n" in script
    assert "options=(--workers=3)\n" in script
    assert sweeper("submit", str(path), "--to", "slurm", "--trials", "5").code == 0
    other = sweeper("submit", str(path), "--to", "slurm", "--trials", "6")
    assert "belongs to another experiment" in other.err


def test_a_mistake_in_the_experiment_is_told_before_anything_is_submitted(
    sweeper: Command, experiment_file: WriteExperiment, tmp_path: Path
) -> None:
    path = experiment_file()
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "bogus": 1}))
    answer = sweeper("submit", str(path), "--to", "slurm")

    assert answer.code == 2
    assert "unknown key 'bogus'" in answer.err
    assert not (tmp_path / "runs").exists()
