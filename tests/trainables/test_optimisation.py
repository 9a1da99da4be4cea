"""Optimisers against their update rules, written out."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from trainables.optimisation import TrainingConfig, create

START = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
TARGET = torch.tensor([0.5, 1.0, -3.0], dtype=torch.float64)


def config(**settings: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {"steps": 1, "batch_size": 1, "learning_rate": 0.1, **settings}
    )


def loss(theta: Tensor) -> Tensor:
    return ((theta - TARGET) ** 4).sum()


def run(steps: int, **settings: Any) -> Tensor:
    theta = nn.Parameter(START.clone())
    optimizer = create(config(**settings), [theta])
    for _ in range(steps):
        optimizer.zero_grad()
        loss(theta).backward()
        optimizer.step()
    return theta.detach()


def gradient(theta: Tensor, l2: float) -> Tensor:
    """Differentiate the loss and the documented penalty, l2 / 2 ||theta||^2."""
    theta = theta.clone().requires_grad_()
    return torch.autograd.grad(loss(theta) + l2 / 2 * (theta**2).sum(), theta)[0]


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_sgd_follows_its_rule_with_the_l2_penalty(l2: float, momentum: float) -> None:
    theta, velocity = START.clone(), torch.zeros(3, dtype=torch.float64)
    for _ in range(4):
        velocity = momentum * velocity + gradient(theta, l2)
        theta = theta - 0.001 * velocity

    optimizer = {"name": "sgd", "momentum": momentum}
    torch.testing.assert_close(run(4, optimizer=optimizer, learning_rate=0.001, l2=l2), theta)


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("betas", [None, [0.9, 0.99]])
def test_adam_follows_its_rule_with_the_l2_penalty(l2: float, betas: list[float] | None) -> None:
    """The penalty is part of the gradient: no decoupled weight decay."""
    beta1, beta2 = betas or (0.0, 0.999)  # as published
    theta = START.clone()
    first, second = torch.zeros(2, 3, dtype=torch.float64)
    for step in range(1, 5):
        slope = gradient(theta, l2)
        first = beta1 * first + (1 - beta1) * slope
        second = beta2 * second + (1 - beta2) * slope**2
        theta = theta - 0.1 * (first / (1 - beta1**step)) / (
            (second / (1 - beta2**step)).sqrt() + 1e-8
        )

    optimizer = {"optimizer": {"name": "adam", "betas": betas}} if betas else {}
    torch.testing.assert_close(run(4, l2=l2, **optimizer), theta)


def test_adams_eps_is_the_one_that_is_set() -> None:
    expected = START - 0.1 * gradient(START, 0) / (gradient(START, 0).abs() + 2.0)

    torch.testing.assert_close(run(1, optimizer={"name": "adam", "eps": 2.0}), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"steps": 1.0},
        {"steps": None, "epochs": 0},
        {"batching": "sorted"},
        {"schedule": {"kind": "plateau", "factor": 2.0}},
        {"procedure": {"name": "aggressive", "max_inner": 0}},
        {"procedure": {"name": "aggressive", "check_every": 0}},
        {"procedure": {"name": "aggressive", "stop": {"rule": "below_best", "times": 0}}},
        {"procedure": {"name": "aggressive", "stop": {"rule": "falls", "times": 2}}},
        {"procedure": {"name": "plain", "max_inner": 9}},
        {"batch_size": 0},
        {"batch_size": "32"},
        {"learning_rate": 0.0},
        {"learning_rate": "1e-3"},
        {"learning_rate": float("nan")},
        {"l2": -1e-6},
        {"clip_norm": 0.0},
        {"optimizer": {"name": "adamw"}},
        {"optimizer": {"name": "adam", "betas": [0.9, 1.0]}},
        {"optimizer": {"name": "adam", "betas": [0.9]}},
        {"optimizer": {"name": "adam", "betas": ["0.9", 0.99]}},
        {"optimizer": {"name": "adam", "momentum": 0.9}},
        {"optimizer": {"name": "sgd", "momentum": -0.1}},
        {"optimizer": "adam"},
        {"weight_decay": 0.1},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**settings)


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        ({"steps": None}, "steps", "neither steps nor epochs is set; set one of them"),
        ({"epochs": 3}, "epochs", "steps is set too; remove one of them"),
    ],
)
def test_a_run_has_one_length(settings: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        config(**settings)

    [error] = refusal.value.errors()
    assert (error["loc"], error["msg"]) == ((field,), message)
    assert config(steps=None, epochs=3).epochs == 3


def test_another_learning_rate_may_be_given() -> None:
    for name in ("adam", "sgd"):
        theta = [nn.Parameter(START.clone())]
        optimizer = create(config(optimizer={"name": name}), theta, learning_rate=0.25)
        assert optimizer.param_groups[0]["lr"] == 0.25
