"""The weighted ELBO: its value and gradient against formulas, and when which weight holds."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.oracles.linear_gaussian import LinearGaussian
from trainables import objectives
from trainables.models import Model
from trainables.objectives.objective import Objective

MODEL = {"shift": 0.4, "stretch": 0.7}


def observations(model: LinearGaussian, n: int = 4) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model.sample(n)


def evaluated(objective: Objective, model: Model, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Give the loss and its gradients, from the same samples for every objective."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        loss = objective(model, x).loss
    return loss.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("samples", [1, 3])
def test_it_is_the_bound_of_the_elbo_estimator(samples: int) -> None:
    model = LinearGaussian(**MODEL)
    x = observations(model)

    vae = evaluated(objectives.create({"name": "vae", "samples": samples}), model, x)
    bound = {"name": "bound", "estimator": "elbo", "samples": samples}

    torch.testing.assert_close(vae, evaluated(objectives.create(bound), model, x))


def test_beta_weighs_the_kl_as_one_minus_lambda_does() -> None:
    model = LinearGaussian(**MODEL)
    x = observations(model)

    beta = evaluated(objectives.create({"name": "vae", "beta": 0.3}), model, x)
    kl = {"name": "kl", "lambda": 0.7, "estimator": "elbo"}

    torch.testing.assert_close(beta, evaluated(objectives.create(kl), model, x))


def test_the_loss_is_reconstruction_and_weighted_kl_in_closed_form() -> None:
    model = LinearGaussian()  # whose q is the exact posterior
    x = observations(model)
    objective = objectives.create({"name": "vae", "beta": 0.3})

    loss, metrics = objective(model, x)

    assert set(metrics) == {"objective", "reconstruction", "kl", "kl_weight"}
    assert not any(value.requires_grad or value.dim() for value in metrics.values())
    torch.testing.assert_close(metrics["kl"], model.kl(x).mean())
    torch.testing.assert_close(
        loss.detach(), metrics["reconstruction"] + 0.3 * metrics["kl"], rtol=1e-14, atol=0
    )
    assert metrics["objective"].item() == -loss.item()
    assert metrics["kl_weight"].item() == 0.3


def test_without_a_weight_the_kl_has_no_part_in_the_loss() -> None:
    model = LinearGaussian(**MODEL)
    objective = objectives.create({"name": "vae", "beta": 0})

    loss, metrics = objective(model, observations(model))

    assert loss.item() == metrics["reconstruction"].item()


def test_the_weight_follows_the_step_in_training_alone() -> None:
    model = LinearGaussian(**MODEL)
    x = observations(model)
    objective = objectives.create(
        {"name": "vae", "beta": 2.0, "annealing": {"kind": "linear", "epochs": 2}}
    )

    assert objective.kl_weight == 0.2  # before any step
    for step, weight in ((0, 0.2), (5, 1.1), (9, 1.82), (10, 2.0), (11, 2.0)):
        objective.train().begin_step(step, 5)
        loss, metrics = objective(model, x)
        assert metrics["kl_weight"].item() == pytest.approx(weight, abs=1e-14)
        expected = metrics["reconstruction"] + weight * metrics["kl"]
        torch.testing.assert_close(loss.detach(), expected)

        assert objective.eval()(model, x).metrics["kl_weight"].item() == 2.0


def test_the_schedule_is_no_state_of_its_own() -> None:
    """Training tells the step anew, so a run that continues has nothing to remember."""
    config = {"name": "vae", "annealing": {"kind": "linear", "steps": 10}}

    assert not objectives.create(config).state_dict()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"beta": -0.1}, "greater than or equal to 0"),
        ({"beta": "1"}, "valid number"),
        ({"samples": 0}, "greater than 0"),
        ({"annealing": "linear"}, "valid dictionary"),
        ({"estimator": "elbo"}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_defined_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        objectives.create({"name": "vae", **config})
    assert message in str(refusal.value)


def test_categories_are_refused_with_what_trains_them() -> None:
    config = objectives.create({"name": "vae"}).config

    assert config.refuses("gaussian") is None
    assert config.refuses("categorical") == (
        "objective vae differentiates through z, which categorical latents do not allow; use "
        "gaussian ones, or objective bound, kl, renyi or power with estimator reinforce or vimco"
    )
