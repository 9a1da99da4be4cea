"""What a training run does so that the same seed gives the same bits."""

import os

import torch
from torch import Tensor


def make_reproducible(device: torch.device) -> None:
    """Have a GPU add up in the same order each time; some of its fastest kernels do not."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product
        torch.use_deterministic_algorithms(True)
        # Nothing reads memory that it has not written; filling it costs up to a quarter of speed.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Give the states of torch's global generators that a run on `device` draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    return state
