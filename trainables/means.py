"""What training says of itself between two evaluations: means over its steps."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

FIGURES = {
    "kl_weight": "kl_weight",
    "train_kl": "kl",
    "kl_set_point": "kl_set_point",
    "kl_integral": "kl_integral",
    "critic": "critic",
    "critic_bound": "information_bound",
    "critic_ceiling": "information_ceiling",
    "critic_temperature": "temperature",
    "commitment": "commitment",
    "train_code_perplexity": "code_perplexity",
    "train_codes_used": "codes_used",
}
"""Figures of a stored row, and the metrics of the objective that they are means of."""


class TrainingMeans:
    """Means of the training loss and of the objective's metrics over the steps added so far.

    Sums stay on the device, so that no step waits for it.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.clear()

    def clear(self) -> None:
        """Forget all steps."""
        self._steps = 0
        self._loss = torch.zeros((), device=self.device)
        self._metrics: dict[str, Tensor] = {}

    def add(self, loss: Tensor, metrics: Mapping[str, Tensor]) -> None:
        """Take note of a step: its loss, and the metrics that an objective gives at every step."""
        self._steps += 1
        self._loss += loss
        for name in FIGURES.values():
            if name in metrics:
                if name not in self._metrics:
                    self._metrics[name] = self._loss.new_zeros((), dtype=torch.float64)
                self._metrics[name] += metrics[name]

    @property
    def is_finite(self) -> bool:
        """Say whether every loss was a finite number, waiting for the device."""
        return bool(self._loss.isfinite())

    @property
    def loss(self) -> float | None:
        """The mean loss; none before the first step."""
        return (self._loss / self._steps).item() if self._steps else None

    def figures(self) -> dict[str, float | None]:
        """Give `train_loss` and `FIGURES`; none where nothing was seen."""
        figures: dict[str, float | None] = {"train_loss": self.loss}
        for figure, name in FIGURES.items():
            total = self._metrics.get(name)
            figures[figure] = None if total is None else (total / self._steps).item()
        return figures

    def state_dict(self) -> dict[str, Any]:
        """Give the sums and the number of steps; no copies."""
        return {"steps": self._steps, "loss": self._loss, "metrics": self._metrics}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, whose tensors may be taken over."""
        self._steps, self._loss = state["steps"], state["loss"].to(self.device)
        self._metrics = {name: total.to(self.device) for name, total in state["metrics"].items()}
