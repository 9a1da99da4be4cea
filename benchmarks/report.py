"""How a benchmark prints what it measured."""

import statistics
import time
from collections.abc import Callable


def line(what: str, ratio: float, target: str, details: str) -> None:
    """Print one measured ratio beside what is asked of it."""
    print(f"{what:58} {ratio:8.3f}   asked: {target:9} {details}", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Time several calls after one to warm up."""
    work()
    return statistics.median(seconds(work) for _ in range(repeats))
