"""What is sent to a Ray dashboard; `soak/faults/clusters.py` sends it to a real one."""

from types import SimpleNamespace
from typing import Any

import pytest

from sweeper.clusters import ray_job
from sweeper.clusters.ray_job import RayJob
from sweeper.errors import SweeperError
from tests.sweeper.clusters.conftest import MakeJob


class Status:
    def __init__(self, value: str) -> None:
        self.value = value

    def is_terminal(self) -> bool:
        return self.value in ("SUCCEEDED", "FAILED", "STOPPED")


class Client:
    """Ray's client, as far as it is used."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.sent: dict[str, Any] = {}
        self.experiment = ""
        self.refusals = 0

    def add(self, number: str, status: str, run: str | None = "tiny") -> None:
        self.jobs.append(
            SimpleNamespace(
                submission_id=number,
                status=Status(status),
                metadata={"sweeper_run": run} if run else None,
                message="said\nmore",
                start_time=len(self.jobs),
            )
        )

    def list_jobs(self) -> list[Any]:
        return self.jobs

    def submit_job(self, **job: Any) -> str:
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError("Request failed: No available agent to submit job")
        from pathlib import Path

        self.sent = job
        self.experiment = (Path(job["runtime_env"]["working_dir"]) / "experiment.yaml").read_text()
        return str(job["submission_id"])

    def stop_job(self, number: str) -> None:
        self.sent = {"stopped": number}

    def get_job_logs(self, number: str) -> str:
        return f"log of {number}\n"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(ray_job, "_client", lambda settings: client)
    return client


def test_the_experiment_is_sent_and_its_run_resumes(
    job: MakeJob, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_job.time, "sleep", lambda seconds: None)
    client.refusals = 2  # of a cluster that has just started
    given = job("ray-job", environment={"SOME": "value"})
    said = RayJob().submit(given)

    assert said.startswith("Ray job sweeper-tiny-")
    assert client.experiment == given.experiment.to_yaml()
    assert client.sent["entrypoint"] == (
        f"python -m sweeper run experiment.yaml --storage {given.storage} --address auto "
        "--workers=2"
    )
    assert client.sent["runtime_env"]["env_vars"]["SOME"] == "value"
    assert client.sent["entrypoint"] in RayJob().described(given)


def test_a_run_is_submitted_once_at_a_time(job: MakeJob, client: Client) -> None:
    client.add("first", "SUCCEEDED")
    RayJob().submit(job("ray-job"))
    client.add("second", "RUNNING")
    with pytest.raises(SweeperError, match="tiny is already submitted as second"):
        RayJob().submit(job("ray-job"))


def test_a_job_is_found_by_its_run(
    job: MakeJob, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.add("first", "FAILED")
    client.add("foreign", "RUNNING", run=None)
    client.add("other", "RUNNING", run="other")
    client.add("second", "RUNNING")
    engine, settings = RayJob(), job("ray-job").settings

    assert engine.status("tiny", settings).splitlines() == [
        "first  FAILED  tiny  said",
        "second  RUNNING  tiny  said",
    ]
    assert "foreign" not in engine.jobs(settings)
    assert engine.stop("tiny", settings).startswith("stopping Ray job second;")
    assert client.sent == {"stopped": "second"}
    engine.logs("tiny", "", settings, follow=False)
    assert capsys.readouterr().out == "log of second\n"
    with pytest.raises(SweeperError, match="no Ray job of none is known there"):
        engine.logs("none", "", settings, follow=False)


def test_a_dashboard_that_is_not_there_is_one_line(job: MakeJob) -> None:
    settings = job("ray-job", address="http://127.0.0.1:1").settings
    with pytest.raises(SweeperError, match=r"the Ray dashboard at http://127\.0\.0\.1:1 cannot"):
        RayJob().status("tiny", settings)
