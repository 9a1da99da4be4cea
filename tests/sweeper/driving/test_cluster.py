"""What keeps from joining a cluster, in words; `soak/faults/clusters.py` joins real ones."""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.driving import cluster
from sweeper.driving.cluster import Cluster, check
from sweeper.driving.joining import Node, answer_in, reason
from sweeper.driving.looking import Look, look
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.rows import code_version
from sweeper.runs import RunDirectory

MakeExperiment = Callable[..., Experiment]
SMALL = Node("a" * 28, "small", {"CPU": 1.0, "memory": 2.0**30, "node:10.0.0.1": 1.0})
LARGE = Node("b" * 28, "large", {"CPU": 8.0, "memory": 2.0**34, "tape": 1.0})


@pytest.fixture
def listening() -> Iterator[str]:
    """An address where somebody listens who is no Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ray://10.0.0.1:10001", "a sweep is not driven through Ray Client"),
        ("somewhere", "give `auto`, or HOST:PORT of a running Ray cluster"),
        ("10.0.0.1:99999", "give `auto`, or HOST:PORT of a running Ray cluster"),
        ("127.0.0.1:1", "there is no Ray cluster at 127.0.0.1:1: Connection refused; start one"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(
    experiment: MakeExperiment, address: str, problem: str
) -> None:
    with pytest.raises(SweeperError, match=re.escape(problem)):
        check(address, experiment())


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"error": "token"}, "refuses our token; set RAY_AUTH_TOKEN_PATH"),
        ({"error": "Version mismatch: Python 3.12"}, "runs other versions: Version mismatch: Py"),
        ({"error": "no raylet"}, "no raylet; is this machine one of its nodes?"),
        (
            {"nodes": [SMALL]},
            "no node of the Ray cluster at .* which takes 2 CPU, 0 GPU: small has",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_is_told(
    experiment: MakeExperiment,
    listening: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    problem: str,
) -> None:
    monkeypatch.setattr(cluster, "_ask", lambda address: answer)
    with pytest.raises(SweeperError, match=problem) as error:
        check(listening, experiment(resources={"cpu": 2}))
    assert "\n" not in str(error.value)


def test_a_token_that_is_refused_is_seen_among_what_ray_writes(
    listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, time; print('W InvalidAuthToken', file=sys.stderr, flush=True); "
        "time.sleep(60)"
    )
    popen = cluster.subprocess.Popen
    monkeypatch.setattr(
        cluster.subprocess,
        "Popen",
        lambda command, **options: popen([command[0], "-c", code], **options),
    )
    assert cluster._ask(listening) == {"error": "token"}


def test_a_process_that_says_nothing_of_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    popen = cluster.subprocess.Popen
    code = "import sys; sys.exit('Ray has crashed')"
    monkeypatch.setattr(
        cluster.subprocess,
        "Popen",
        lambda command, **options: popen([command[0], "-c", code], **options),
    )
    assert cluster._ask("auto") == {"error": "Ray has crashed"}


def test_of_rays_long_errors_the_line_that_matters_is_kept() -> None:
    assert reason(RuntimeError("long\n  why  \n\n")) == "why"
    assert reason(RuntimeError("Version mismatch:\n  Ray: 1\n  Ray: 2")) == (
        "Version mismatch: Ray: 1 Ray: 2"
    )
    assert reason(RuntimeError()) == "RuntimeError"


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """The nodes of a cluster, for the test to change; each looks at what is here."""
    there = [SMALL]
    monkeypatch.setattr(cluster, "alive", lambda: there)
    monkeypatch.setattr(cluster, "_look_from", lambda node, task: look(task))
    monkeypatch.setattr(cluster, "_answer", lambda answer: answer)
    monkeypatch.setattr(cluster, "REFRESH_SECONDS", 0.0)
    return there


@pytest.fixture
def directory(experiment: MakeExperiment, tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.create(experiment().to_yaml())
    return run


def test_the_room_follows_the_nodes(
    experiment: MakeExperiment, nodes: list[Node], directory: RunDirectory
) -> None:
    joined = Cluster("h:1", experiment(), directory, None)
    assert joined.description == (
        "joined the Ray cluster at h:1: 1 node (small) with 1 CPU, 0 GPU, 1 GiB memory; "
        "1 trials at a time"
    )
    assert joined.trials_at_a_time() == 1
    nodes.append(LARGE)
    assert joined.trials_at_a_time() == 9
    nodes.remove(SMALL)
    assert joined.trials_at_a_time() == 8
    nodes.clear()
    assert joined.trials_at_a_time() == 0
    nodes.append(LARGE)
    assert Cluster("h:1", experiment(), directory, 3).trials_at_a_time() == 3
    left = [path.name for path in directory.path.iterdir()]
    assert left == ["experiment.yaml"]


def test_a_node_that_sees_something_else_is_named(
    experiment: MakeExperiment,
    nodes: list[Node],
    directory: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined = Cluster("h:1", experiment(), directory, None)
    elsewhere = "/nowhere/.seen"
    monkeypatch.setattr(
        cluster, "_look_from", lambda node, task: look(task._replace(marker=elsewhere))
    )
    nodes.append(LARGE)
    with pytest.raises(
        SweeperError, match=r"node large \(bbbbbbbb\) cannot use the run directory"
    ):
        joined.trials_at_a_time()
    monkeypatch.setattr(
        cluster, "_look_from", lambda node, task: look(task)._replace(code_version="0")
    )
    with pytest.raises(
        SweeperError, match=f"node large .* has sweeper 0, not {code_version()[:5]}"
    ):
        joined.trials_at_a_time()
    monkeypatch.setattr(cluster, "_look_from", lambda node, task: "cannot run sweeper (no torch)")
    with pytest.raises(SweeperError, match=r"cannot run sweeper \(no torch\); install sweeper in"):
        joined.trials_at_a_time()
    assert LARGE.id not in joined.nodes


def test_a_node_that_goes_while_it_is_looked_at_ends_nothing(
    experiment: MakeExperiment,
    nodes: list[Node],
    directory: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined = Cluster("h:1", experiment(), directory, None)

    def go(node: Node, task: Look) -> str:
        nodes.remove(node)
        return "cannot run sweeper (the node has died)"

    monkeypatch.setattr(cluster, "_look_from", go)
    nodes.append(LARGE)

    assert joined.trials_at_a_time() == 1
    assert list(joined.nodes) == [SMALL.id]


def test_what_is_looked_for_is_found_or_told(
    experiment: MakeExperiment, directory: RunDirectory, tmp_path: Path
) -> None:
    from sweeper.experiment import load

    with directory.marked() as marker:
        text = marker.rpartition("/")[2]
        seen = look(Look(marker, text, [], str(tmp_path)))
        assert (seen.storage, seen.data, seen.code_version) == (None, None, code_version())
        assert "another" in str(look(Look(marker, "else", [], "")).storage)
        corpus = next(iter(load("ptb_vimco_renyi.yaml").example_trials().values())).data
        missing = look(Look(marker, text, [corpus], str(tmp_path))).data
    assert missing is not None
    assert "lacks ptb/ptb.train.txt" in missing
    assert look(Look(marker, text, [], "")).storage is not None


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ('{"nodes": []}\n', {"nodes": []}),
        ('2026-11-27 INFO worker.py\n{"error": "x"}\n[W 05:20 core_worker] 7\n', {"error": "x"}),
        ('{"error": "x"}\n7\n', {"error": "x"}),
        ("[1]\nnothing of it\n", None),
        ("", None),
    ],
)
def test_an_answer_is_found_among_lines_of_ray(said: str, answer: dict[str, Any] | None) -> None:
    assert answer_in(said) == answer
