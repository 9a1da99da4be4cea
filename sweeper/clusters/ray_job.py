"""Ray's own jobs: the driver runs on the cluster, started through its dashboard."""

import asyncio
import json
import logging
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sweeper.clusters.jobs import Job
from sweeper.clusters.settings import Settings
from sweeper.errors import SweeperError
from trainables.data.files import data_root

TAKES = frozenset({"address", "environment"})
ADDRESS = "http://127.0.0.1:8265"  # where a dashboard listens by default
STOP_SECONDS = 60  # for the driver to save its trials; Ray gives 3
START_SECONDS = 60  # for a new cluster to be ready for jobs
_FILE = "experiment.yaml"
_RUN = "sweeper_run"  # the entry of a job's metadata that names its run


class RayJob:
    """Jobs of a running Ray cluster."""

    takes = TAKES

    def described(self, job: Job) -> str:
        """Give the command that does the same, with Ray's own program."""
        words = ["ray", "job", "submit", "--address", job.settings.address or ADDRESS]
        words += ["--working-dir", f"DIRECTORY_WITH_{_FILE}", "--submission-id", _new_id(job)]
        words += ["--metadata-json", json.dumps({_RUN: job.experiment.name})]
        words += ["--runtime-env-json", json.dumps({"env_vars": _variables(job)})]
        return f"{shlex.join(words)} -- {entrypoint(job)}\n"

    def submit(self, job: Job) -> str:
        """Send the experiment and start its run there."""
        client = _client(job.settings)
        if at_work := [known for known in _jobs(client, job.experiment.name) if _is_open(known)]:
            raise SweeperError(
                f"{job.experiment.name} is already submitted as {at_work[0].submission_id}; see "
                f"`sweeper job status {job.experiment.name} --to ray-job`"
            )
        with tempfile.TemporaryDirectory() as folder, _told(job.settings):
            Path(folder, _FILE).write_text(job.experiment.to_yaml(), encoding="utf-8")
            number = _patiently(
                client.submit_job,
                entrypoint=entrypoint(job),
                submission_id=_new_id(job),
                runtime_env={"working_dir": folder, "env_vars": _variables(job)},
                metadata={_RUN: job.experiment.name},
            )
        return f"Ray job {number} at {job.settings.address or ADDRESS}"

    def status(self, run: str, settings: Settings) -> str:
        """Say what became of a run's jobs, the latest last."""
        with _told(settings):
            found = _jobs(_client(settings), Path(run).name)
        return "\n".join(map(_line, found)) or f"no Ray job of {run} is known there"

    def logs(self, run: str, storage: str, settings: Settings, *, follow: bool) -> None:  # noqa: ARG002
        """Print the log of a run's latest job."""
        client = _client(settings)
        with _told(settings):
            number = _latest(client, run).submission_id
            if not follow:
                print(client.get_job_logs(number), end="")
                return
            asyncio.run(_follow(client, number))

    def stop(self, run: str, settings: Settings) -> str:
        """Have a run's job end in good order."""
        client = _client(settings)
        with _told(settings):
            open_jobs = [job for job in _jobs(client, Path(run).name) if _is_open(job)]
            for job in open_jobs:
                client.stop_job(job.submission_id)
        numbers = ", ".join(job.submission_id for job in open_jobs)
        if not numbers:
            return f"no Ray job of {run} is pending or running there"
        return f"stopping Ray job {numbers}; submit {run} again to go on"

    def jobs(self, settings: Settings) -> str:
        """List the jobs of all runs."""
        with _told(settings):
            return "\n".join(map(_line, _jobs(_client(settings)))) or "no job of sweeper is known"


def entrypoint(job: Job) -> str:
    """Give the command that runs on the cluster, in a directory that holds the experiment."""
    words = ["python", "-m", "sweeper", "run", _FILE, "--storage", job.storage]
    return shlex.join([*words, "--address", "auto", *job.options])


def _variables(job: Job) -> dict[str, str]:
    return {
        "SWEEPER_DATA_DIR": str(data_root()),
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
        **job.settings.environment,
    }


def _new_id(job: Job) -> str:
    return f"{job.name}-{uuid4().hex[:8]}"  # Ray never takes one twice


def _patiently(submit: Callable[..., str], **job: Any) -> str:
    """Submit; a cluster that has just started takes jobs a little later than calls."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return submit(**job)
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)


def _client(settings: Settings) -> Any:
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise SweeperError(
            "submitting to Ray needs more of it; pip install 'sweeper[cluster]'"
        ) from None
    with _told(settings):
        return JobSubmissionClient(settings.address or ADDRESS)


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    """Turn what goes wrong between here and the cluster into one line."""
    from ray.exceptions import RayError

    before = logging.root.manager.disable
    logging.disable(logging.INFO)  # of uploads, whatever the level of Ray's loggers
    try:
        yield
    except (RayError, RuntimeError, OSError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        address = settings.address or ADDRESS
        raise SweeperError(
            f"the Ray dashboard at {address} cannot take that: {(lines or ['no answer'])[0]}; "
            "give its address with --address, and the cluster's token with RAY_AUTH_TOKEN_PATH"
        ) from None
    finally:
        logging.disable(before)


async def _follow(client: Any, number: str) -> None:
    import aiohttp  # which Ray's client follows logs with

    try:
        async for lines in client.tail_job_logs(number):
            print(lines, end="", flush=True)
    except aiohttp.ClientError as error:
        raise RuntimeError(f"the log cannot be followed any more: {error}") from None


def _jobs(client: Any, run: str | None = None) -> list[Any]:
    """Give our jobs, or those of a run, from the first to the latest."""
    known = [job for job in client.list_jobs() if _RUN in (job.metadata or {})]
    ours = [job for job in known if run is None or job.metadata[_RUN] == run]
    return sorted(ours, key=lambda job: job.start_time or 0)


def _latest(client: Any, run: str) -> Any:
    found = _jobs(client, Path(run).name)
    if not found:
        raise SweeperError(f"no Ray job of {run} is known there; see `sweeper job list`")
    return found[-1]


def _is_open(job: Any) -> bool:
    return not job.status.is_terminal()


def _line(job: Any) -> str:
    message = (job.message or "").strip().splitlines()
    said = f"  {message[0]}" if message else ""
    return f"{job.submission_id}  {job.status.value}  {job.metadata[_RUN]}{said}"
