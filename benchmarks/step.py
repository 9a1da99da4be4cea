"""A PTB VIMCO-16 training step against the core's matrix products, and objectives among them."""

import statistics
from typing import Any

import torch

from benchmarks.ptb_trial import corpus, flops, training_run
from benchmarks.report import line, median_seconds, seconds

OBJECTIVES: dict[str, dict[str, Any]] = {
    "plain VIMCO": {"name": "bound"},
    "KL": {"name": "kl", "lambda": 0.5},
    "Rényi": {"name": "renyi", "lambda": 0.5, "alpha": 2.0},
}
STEPS = 8


def main() -> None:
    torch.set_num_threads(1)
    a, b = torch.randn(2, 2048, 2048)
    gemm = 2 * 2048**3 / median_seconds(lambda: a @ b, 5)
    data, source = corpus()
    runs = {name: training_run(objective, data) for name, objective in OBJECTIVES.items()}
    rates: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run._take_step()
    for step in range(1, STEPS + 1):
        for name, run in runs.items():  # side by side, on the same sentences
            times[name].append(seconds(run._take_step))
        rates.append(flops(data, runs["plain VIMCO"], step) / times["plain VIMCO"][-1])
    rate = statistics.median(rates)
    line(
        "PTB VIMCO-16 step / float32 matrix product",
        rate / gemm,
        ">= 0.60",
        f"{rate / 1e9:.1f} of {gemm / 1e9:.1f} GFLOP/s on one core, {source}",
    )
    plain = times["plain VIMCO"]
    for name in ("KL", "Rényi"):
        ratio = statistics.median(t / p for t, p in zip(times[name], plain, strict=True))
        line(
            f"step with the {name} objective / plain VIMCO",
            ratio,
            "<= 1.02",
            f"{statistics.median(times[name]):.3f} s of {statistics.median(plain):.3f} s",
        )


if __name__ == "__main__":
    main()
