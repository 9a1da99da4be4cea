"""A sweep as a job of a cluster, and what every engine can do with one."""

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sweeper.clusters.settings import Settings
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment

PREFIX = "sweeper-"  # of the names of our jobs
LABEL_LENGTH = 40  # KubeRay makes longer names of it, and Kubernetes allows 63 characters


class Job(NamedTuple):
    """An experiment to run, what holds its run, what the job asks for, options of the run."""

    experiment: Experiment
    storage: str  # an absolute path that all nodes see, or a URI
    settings: Settings
    options: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The job's name: what finds it again."""
        return PREFIX + self.experiment.name

    @property
    def run(self) -> str:
        """The run's directory."""
        return f"{self.storage.rstrip('/')}/{self.experiment.name}"


class Engine(Protocol):
    """What takes jobs.

    Where something fails, all raise `SweeperError` with what the engine says of it.
    """

    takes: frozenset[str]  # the fields of `Settings` that mean something to it

    def described(self, job: Job) -> str:
        """Give the script, manifest or command that submits a job."""

    def submit(self, job: Job) -> str:
        """Hand a job in; say what it is called there."""

    def status(self, run: str, settings: Settings) -> str:
        """Say what became of the jobs of a run."""

    def logs(self, run: str, storage: str, settings: Settings, *, follow: bool) -> None:
        """Print what the latest job of a run has said, and with `follow` what it will say."""

    def stop(self, run: str, settings: Settings) -> str:
        """End the jobs of a run in good order; say which."""

    def jobs(self, settings: Settings) -> str:
        """List the jobs of all runs."""


def label(run: str) -> str:
    """Give a run's name as Kubernetes allows names: two runs never have one.

    >>> label("ptb-small"), label("Melis_2022")
    ('sweeper-ptb-small', 'sweeper-melis-2022-db6d38')
    """
    plain = re.sub(r"[^a-z0-9-]+", "-", run.lower()).strip("-")[:LABEL_LENGTH].strip("-")
    if plain == run:
        return PREFIX + plain
    digest = hashlib.sha256(run.encode()).hexdigest()[:6]
    return f"{PREFIX}{plain[: LABEL_LENGTH - 7].strip('-') or 'run'}-{digest}"


def command(*words: str, given: str | None = None) -> str:
    """Run a program of an engine; give what it prints.

    Raises `SweeperError` where it is not there or fails.
    """
    _refuse_missing(words[0])
    done = subprocess.run(  # noqa: S603
        words, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise _failed(words, said)
    return done.stdout


def stream(*words: str) -> None:
    """Run a program of an engine, which prints as it goes.

    Raises `SweeperError` where it is not there or fails.
    """
    _refuse_missing(words[0])
    sys.stdout.flush()
    if code := subprocess.run(words, check=False).returncode:  # noqa: S603
        raise _failed(words, f"exit code {code}")


def _refuse_missing(program: str) -> None:
    if shutil.which(program) is None:
        raise SweeperError(
            f"there is no {program} here; run this where the cluster's programs are installed, "
            "or look at the job with --dry-run"
        )


def _failed(words: Sequence[str], said: str) -> SweeperError:
    return SweeperError(f"`{shlex.join(words[:2])} …` failed: {' '.join(said.split())}")
