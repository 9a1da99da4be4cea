"""The Ray that a sweep starts on this machine lets nobody else in."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.driving import session
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment

ROOT = Path(__file__).parents[3]
STARTED = """
import json, os, sys
from pathlib import Path
import ray
from sweeper.driving import session
from sweeper.driving.cluster import _ask
from sweeper.experiment import load
from sweeper.runs import RunDirectory

contexts, init = [], ray.init
def recorded(*arguments, **options):
    contexts.append(init(*arguments, **options))
ray.init = recorded
run = RunDirectory(Path("run"))
with session.session(load(sys.argv[1]), run, 1, None):
    address, token = contexts[0].address_info["gcs_address"], os.environ["RAY_AUTH_TOKEN"]
    seen = b""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen += (process / "cmdline").read_bytes()
        except OSError:
            pass
    with_token = _ask(address)
    os.environ["RAY_AUTH_TOKEN"] = "0" * 64
    print(json.dumps({
        "mode": os.environ["RAY_AUTH_MODE"],
        "usage": os.environ["RAY_USAGE_STATS_ENABLED"],
        "dashboard": contexts[0].dashboard_url,
        "token": len(token),
        "on a command line": token.encode() in seen,
        "with the token": "nodes" in with_token,
        "with another": _ask(address),
    }))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
def test_only_who_has_the_token_can_reach_the_ray_of_a_sweep(
    experiment_file: Callable[..., Path], tmp_path: Path
) -> None:
    environment = {key: value for key, value in os.environ.items() if "RAY_" not in key}
    done = subprocess.run(
        [sys.executable, "-c", STARTED, str(experiment_file())],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "mode": "token",
        "usage": "0",
        "dashboard": "",
        "token": 64,
        "on a command line": False,
        "with the token": True,
        "with another": {"error": "token"},
    }
    assert not (tmp_path / ".ray").exists()  # where Ray's own would be, for all to read


@pytest.mark.parametrize(
    ("meters", "refused"),
    [(None, False), ({"collapse": {}}, False), ({"tsne": {}}, True)],
    ids=str,
)
def test_meters_that_need_a_missing_package_are_refused_before_anything_starts(
    experiment: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
    meters: dict[str, Any] | None,
    refused: bool,
) -> None:
    made = experiment(trial={"evaluation": {"meters": meters}})
    session.check(made, None)
    monkeypatch.setattr(session, "find_spec", lambda name: None)

    if refused:
        with pytest.raises(SweeperError, match="probes and tsne need scikit-learn"):
            session.check(made, None)
    else:
        session.check(made, None)
