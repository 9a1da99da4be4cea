import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.clusters.jobs import Job
from sweeper.clusters.settings import load
from sweeper.clusters.submitting import ENGINES
from sweeper.experiment import Experiment

MakeJob = Callable[..., Job]
Program = Callable[[str, str], Path]


@pytest.fixture
def job(experiment: Callable[..., Experiment], tmp_path: Path) -> MakeJob:
    """Makes a job of the smallest experiment from flags of an engine."""

    def make(engine: str, storage: str | None = None, **flags: Any) -> Job:
        settings = load(None, flags, engine, ENGINES[engine].takes)
        return Job(experiment(), storage or str(tmp_path / "runs"), settings, ["--workers=2"])

    return make


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a shell script into the place of a cluster's program; it notes how it is called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, body: str) -> Path:
        calls = tmp_path / f"{name}.calls"
        script = folder / name
        script.write_text(f'#!/bin/bash\necho "$@" >> {calls}\n{body}\n')
        script.chmod(0o755)
        return calls

    return write
