"""The largest memory of a process that trains PTB VIMCO-16."""

import torch

from benchmarks.ptb_trial import corpus, training_run
from benchmarks.report import line

LIMIT = 1.5e9


def main() -> None:
    torch.set_num_threads(1)
    data, source = corpus()
    run = training_run({"name": "renyi", "lambda": 0.5, "alpha": 2.0}, data)
    for _ in range(5):
        run._take_step()
    peak = run.cost()["peak_memory_bytes"]
    line(
        "PTB VIMCO-16 peak memory / 1.5 GB", peak / LIMIT, "< 1", f"{peak / 1e9:.2f} GB, {source}"
    )


if __name__ == "__main__":
    main()
