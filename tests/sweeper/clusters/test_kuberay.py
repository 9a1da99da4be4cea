"""The RayJob manifest, by its structure, and what is asked of kubectl."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.clusters.kuberay import KubeRay, manifest
from sweeper.errors import SweeperError
from sweeper.experiment import load
from tests.sweeper.clusters.conftest import MakeJob, Program

ASKED: dict[str, Any] = {
    "image": "registry/sweeper:1",
    "claim": "runs",
    "namespace": "lab",
    "nodes": 3,
    "cpus": 8,
    "gpus": 2,
    "memory": "32GiB",
    "custom": {"tape": 1},
    "time": "02:00:00",
    "secrets": ["store"],
    "environment": {"SWEEPER_DATA_DIR": "/sweeper/data"},
}
STORAGE = "/sweeper/runs"


def test_what_is_printed_is_what_is_meant(job: MakeJob, tmp_path: Path) -> None:
    given = job("kuberay", STORAGE, **ASKED)
    experiment, run = yaml.safe_load_all(KubeRay().described(given))

    assert [experiment, run] == manifest(given)
    assert (experiment["kind"], run["kind"]) == ("ConfigMap", "RayJob")
    assert run["apiVersion"] == "ray.io/v1"
    assert experiment["metadata"] == run["metadata"]
    assert run["metadata"]["namespace"] == "lab"
    path = tmp_path / "again.yaml"
    path.write_text(experiment["data"]["experiment.yaml"])
    assert load(path) == given.experiment


def test_a_job_that_fails_is_tried_again_and_resumes(job: MakeJob) -> None:
    _, run = manifest(job("kuberay", STORAGE, **ASKED))
    spec = run["spec"]

    assert spec["entrypoint"] == (
        "python -m sweeper run /etc/sweeper/experiment.yaml --storage /sweeper/runs "
        "--address auto --workers=2"
    )
    assert spec["backoffLimit"] == 6
    assert spec["submissionMode"] == "K8sJobMode"
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["activeDeadlineSeconds"] == 7200
    retries = manifest(job("kuberay", STORAGE, **ASKED, retries=2))[1]["spec"]["backoffLimit"]
    assert retries == 2


def test_the_cluster_is_as_asked_and_keeps_strangers_out(job: MakeJob) -> None:
    _, run = manifest(job("kuberay", STORAGE, **ASKED))
    cluster = run["spec"]["rayClusterSpec"]
    [workers] = cluster["workerGroupSpecs"]
    head, worker = (
        group["template"]["spec"]["containers"][0] for group in (cluster["headGroupSpec"], workers)
    )

    assert cluster["rayVersion"] == version("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    assert {workers[key] for key in ("replicas", "minReplicas", "maxReplicas")} == {3}
    assert workers["rayStartParams"] == {"resources": '"{\\"tape\\": 1.0}"'}
    assert worker["resources"]["limits"] == {
        "cpu": "8",
        "memory": str(32 * 2**30),
        "nvidia.com/gpu": "2",
    }
    for container in (head, worker):
        assert container["image"] == "registry/sweeper:1"
        assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
        assert {"name": "SWEEPER_DATA_DIR", "value": "/sweeper/data"} in container["env"]
        assert {"name": "storage", "mountPath": "/sweeper"} in container["volumeMounts"]
    claimed = {"name": "storage", "persistentVolumeClaim": {"claimName": "runs"}}
    assert claimed in workers["template"]["spec"]["volumes"]


def test_no_secret_of_this_shell_is_in_the_manifest(
    job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    given = job("kuberay", "s3://bucket/runs", image="i", secrets=["store"])

    assert "correct-horse" not in KubeRay().described(given)


@pytest.mark.parametrize(
    ("storage", "flags", "problem"),
    [
        (STORAGE, {"claim": "runs"}, "a RayJob needs an image with sweeper in it; give --image"),
        (STORAGE, {"image": "i"}, "--storage /sweeper/runs would end with the pods"),
        ("/home/me", {"image": "i", "claim": "runs"}, "--storage /home/me would end with the po"),
        ("/sweeper2", {"image": "i", "claim": "runs"}, "--storage /sweeper2 would end with the "),
    ],
)
def test_a_run_that_would_be_lost_is_refused(
    job: MakeJob, storage: str, flags: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SweeperError, match=problem):
        manifest(job("kuberay", storage, **flags))


def test_kubectl_is_given_the_manifest(job: MakeJob, program: Program, tmp_path: Path) -> None:
    calls = program("kubectl", f'[ "$1" = apply ] && cat > {tmp_path}/applied; true')
    given = job("kuberay", STORAGE, **ASKED)

    assert KubeRay().submit(given) == "RayJob sweeper-tiny"
    assert (tmp_path / "applied").read_text() == KubeRay().described(given)
    assert calls.read_text().splitlines()[-1] == "apply --namespace=lab --filename=-"


def test_a_job_that_runs_is_not_submitted_again(job: MakeJob, program: Program) -> None:
    program("kubectl", 'echo "status: {jobDeploymentStatus: Running}"')
    with pytest.raises(SweeperError, match=r"tiny is already submitted \(Running\)"):
        KubeRay().submit(job("kuberay", STORAGE, **ASKED))
    assert KubeRay().status("tiny", job("kuberay").settings) == "RayJob sweeper-tiny  Running"


def test_a_log_is_printed_as_it_comes(
    job: MakeJob, program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = program("kubectl", "echo it runs")
    KubeRay().logs("tiny", STORAGE, job("kuberay").settings, follow=True)

    assert capfd.readouterr().out == "it runs\n"
    assert calls.read_text().startswith("logs --selector=job-name=sweeper-tiny --tail=-1 --follow")
    program("kubectl", "exit 3")
    with pytest.raises(SweeperError, match="failed: exit code 3"):
        KubeRay().logs("tiny", STORAGE, job("kuberay").settings, follow=False)
