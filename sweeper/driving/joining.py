"""Asks a Ray cluster what it has: `python -m sweeper.driving.joining ADDRESS`.

Prints one line of JSON: the `nodes` that are alive, or the `error` that keeps from joining.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import ray

from sweeper.errors import SweeperError


class Node(NamedTuple):
    """A node that is alive: Ray's id of it, what people call it, what it has."""

    id: str
    name: str
    resources: Mapping[str, float]


def alive() -> list[Node]:
    """Give the nodes of the joined cluster that are alive.

    Raises `SweeperError` where the cluster no longer answers.
    """
    try:
        nodes = ray.nodes()
    except (ray.exceptions.RayError, RuntimeError) as error:
        raise SweeperError(
            f"the Ray cluster no longer answers ({reason(error)}); resume the run once it does"
        ) from None
    return [
        Node(node["NodeID"], node["NodeManagerHostname"], node["Resources"])
        for node in nodes
        if node["Alive"]
    ]


def reason(error: BaseException) -> str:
    """Give what matters of Ray's long errors: the last line, or all that tells of versions."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "Version mismatch" in lines[0]:
        return " ".join(lines)
    return (lines or [type(error).__name__])[-1]


def main(address: str) -> None:
    """Join a cluster, print what it has, and leave."""
    answer: dict[str, object]
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        answer = {"nodes": alive()}
    except Exception as error:  # whatever it is, the caller tells it in a line
        answer = {"error": reason(error)}
    print(json.dumps(answer))


def answer_in(said: str) -> dict[str, Any] | None:
    """Find what `main` printed, which Ray's own lines may follow; none where it is not there."""
    for line in reversed(said.splitlines()):
        with suppress(ValueError):
            if isinstance(answer := json.loads(line), dict):
                return answer
    return None


if __name__ == "__main__":
    main(sys.argv[1])
