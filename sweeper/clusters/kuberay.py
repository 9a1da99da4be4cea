"""KubeRay: a RayJob manifest, with a Ray cluster for the run alone."""

import json
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from sweeper.clusters.jobs import Job, command, label, stream
from sweeper.clusters.settings import Settings
from sweeper.errors import SweeperError
from trainables.storage import is_remote

TAKES = frozenset(
    {"nodes", "cpus", "gpus", "memory", "custom", "time", "retries", "environment"}
    | {"image", "namespace", "claim", "mount", "secrets", "service_account"}
)
RETRIES = 6  # each with a new cluster, where the run resumes
KEEP_SECONDS = 600  # that a finished job's cluster stays to be looked at
_EXPERIMENT = "/etc/sweeper/experiment.yaml"
_RUN = "sweeper-run"


class KubeRay:
    """Jobs of KubeRay, through `kubectl`."""

    takes = TAKES

    def described(self, job: Job) -> str:
        """Give the manifest."""
        return "---\n".join(_text(part) for part in manifest(job))

    def submit(self, job: Job) -> str:
        """Have `kubectl` create it; a finished job of the same run makes room first."""
        space = _namespace(job.settings)
        if _found(job.experiment.name, space):
            state = _state(job.experiment.name, space)
            if state not in ("Complete", "Failed"):
                raise SweeperError(
                    f"{job.experiment.name} is already submitted ({state}); see `sweeper job "
                    f"status {job.experiment.name} --to kuberay`"
                )
            command("kubectl", "delete", "rayjob", label(job.experiment.name), *space)
        command("kubectl", "apply", *space, "--filename=-", given=self.described(job))
        return f"RayJob {label(job.experiment.name)}"

    def status(self, run: str, settings: Settings) -> str:
        """Say what KubeRay says of a run's job."""
        name, space = Path(run).name, _namespace(settings)
        if not _found(name, space):
            return f"no RayJob of {run} is known there"
        return f"RayJob {label(name)}  {_state(name, space)}"

    def logs(self, run: str, storage: str, settings: Settings, *, follow: bool) -> None:  # noqa: ARG002
        """Print what the job that submits to the Ray cluster prints: the driver's log."""
        chosen = f"--selector=job-name={label(Path(run).name)}"
        options = ["--follow"] * follow
        stream("kubectl", "logs", chosen, "--tail=-1", *options, *_namespace(settings))

    def stop(self, run: str, settings: Settings) -> str:
        """Delete a run's job and its cluster; what it trained stays."""
        name, space = Path(run).name, _namespace(settings)
        if not _found(name, space):
            return f"no RayJob of {run} is known there"
        command("kubectl", "delete", "rayjob", label(name), *space)
        return f"deleted RayJob {label(name)}; submit {run} again to go on"

    def jobs(self, settings: Settings) -> str:
        """List the jobs of all runs."""
        given = command("kubectl", "get", "rayjobs", f"--selector={_RUN}", *_namespace(settings))
        return given.strip() or "no job of sweeper is known"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def _text(part: dict[str, Any]) -> str:
    return yaml.dump(part, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def manifest(job: Job) -> list[dict[str, Any]]:
    """Make the objects of a job: the experiment as a ConfigMap, and the RayJob that runs it.

    Raises `SweeperError` where the image, or a place that outlives the pods, is missing.
    """
    asked = job.settings
    if asked.image is None:
        raise SweeperError(
            "a RayJob needs an image with sweeper in it; give --image, or image in --cluster"
        )
    _refuse_fleeting(job)
    names = {"name": label(job.experiment.name)}
    names |= {"namespace": asked.namespace} if asked.namespace else {}
    labels = {"labels": {_RUN: label(job.experiment.name)}}
    experiment = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**names, **labels},
        "data": {Path(_EXPERIMENT).name: job.experiment.to_yaml()},
    }
    words = ["python", "-m", "sweeper", "run", _EXPERIMENT, "--storage", job.storage]
    spec: dict[str, Any] = {
        "entrypoint": shlex.join([*words, "--address", "auto", *job.options]),
        "submissionMode": "K8sJobMode",
        "backoffLimit": RETRIES if asked.retries is None else asked.retries,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": KEEP_SECONDS,
        **({"activeDeadlineSeconds": asked.seconds} if asked.time else {}),
        "rayClusterSpec": _cluster(asked, names["name"]),
    }
    run = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {**names, **labels},
        "spec": spec,
    }
    return [experiment, run]


def _refuse_fleeting(job: Job) -> None:
    """Raise `SweeperError` where the run would be lost with the pods."""
    inside = job.storage == job.settings.mount or job.storage.startswith(
        f"{job.settings.mount.rstrip('/')}/"
    )
    if is_remote(job.storage) or (job.settings.claim and inside):
        return
    raise SweeperError(
        f"--storage {job.storage} would end with the pods; give a volume claim and a --storage "
        f"below its mount ({job.settings.mount}), or a URI such as s3://bucket/runs"
    )


def _cluster(asked: Settings, name: str) -> dict[str, Any]:
    resources = {"cpu": asked.cpus, "memory": asked.memory or None}
    resources |= {"nvidia.com/gpu": asked.gpus or None}
    limits = {key: str(value) for key, value in resources.items() if value is not None}
    head = _pod(asked, name, "ray-head", {"cpu": "2", "memory": str(4 * 2**30)})
    return {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0"},  # it drives, and trains nothing
            "template": {"spec": head},
        },
        "workerGroupSpecs": [
            {
                "groupName": "trials",
                "replicas": asked.nodes,
                "minReplicas": asked.nodes,
                "maxReplicas": asked.nodes,
                "rayStartParams": _custom(asked),
                "template": {"spec": _pod(asked, name, "ray-worker", limits)},
            }
        ],
    }


def _custom(asked: Settings) -> dict[str, str]:
    if not asked.custom:
        return {}
    return {"resources": json.dumps(json.dumps(asked.custom))}  # KubeRay wants it quoted twice


def _pod(asked: Settings, name: str, container: str, limits: dict[str, str]) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [{"name": "experiment", "configMap": {"name": name}}]
    mounts = [{"name": "experiment", "mountPath": str(Path(_EXPERIMENT).parent)}]
    if asked.claim:
        claim = {"persistentVolumeClaim": {"claimName": asked.claim}}
        volumes.append({"name": "storage", **claim})
        mounts.append({"name": "storage", "mountPath": asked.mount})
    variables = {"RAY_USAGE_STATS_ENABLED": "0", **asked.environment}
    return {
        **({"serviceAccountName": asked.service_account} if asked.service_account else {}),
        "containers": [
            {
                "name": container,
                "image": asked.image,
                "env": [{"name": key, "value": value} for key, value in variables.items()],
                # By name: what is secret stays in the cluster.
                "envFrom": [{"secretRef": {"name": secret}} for secret in asked.secrets],
                "resources": {"limits": limits, "requests": limits},
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _namespace(settings: Settings) -> list[str]:
    return [f"--namespace={settings.namespace}"] if settings.namespace else []


def _found(run: str, space: list[str]) -> bool:
    chosen = f"--selector={_RUN}={label(run)}"
    return bool(command("kubectl", "get", "rayjobs", chosen, "--output=name", *space).strip())


def _state(run: str, space: list[str]) -> str:
    given = command("kubectl", "get", "rayjob", label(run), "--output=yaml", *space)
    status = yaml.safe_load(given).get("status", {})
    return str(status.get("jobDeploymentStatus") or "Submitted")
