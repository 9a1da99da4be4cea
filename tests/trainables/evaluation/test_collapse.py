"""Collapsed dimensions of posteriors whose KLs are known."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from trainables.evaluation.collapse import collapse_steps, collapsed_share, dimension_kls
from trainables.models.latents import CategoricalLatents, GaussianLatents


def shifted(kl: Tensor) -> Tensor:
    """Parameters of unit Gaussians whose means alone make these KLs: mean^2 / 2."""
    return torch.cat([(2 * kl).sqrt(), torch.zeros_like(kl)], dim=-1)


def by_definition(kl: Tensor, epsilon: float, delta: float) -> float:
    collapsed = [
        sum(one < epsilon for one in of_dimension) >= (1 - delta) * len(of_dimension) - 1e-9
        for of_dimension in kl.T.tolist()
    ]
    return sum(collapsed) / len(collapsed)


def test_the_kls_are_those_of_the_posteriors_that_were_constructed() -> None:
    kl = torch.tensor([[0.0, 0.1, 2.0], [0.5, 0.02, 3.0]], dtype=torch.float64)
    latents = GaussianLatents(kind="gaussian", dimensions=3)

    torch.testing.assert_close(dimension_kls(latents, shifted(kl)), kl)


def test_a_narrow_posterior_tells_something_too() -> None:
    """KL(N(0, s^2) || N(0, 1)) = (s^2 - ln s^2 - 1) / 2."""
    latents = GaussianLatents(kind="gaussian", dimensions=1)
    parameters = torch.tensor([[0.0, math.log(0.25)]])

    assert dimension_kls(latents, parameters).item() == pytest.approx(
        (0.25 - math.log(0.25) - 1) / 2
    )


def test_of_categories_a_dimension_is_a_variable() -> None:
    """KL to the uniform prior is ln C less the entropy."""
    latents = CategoricalLatents(kind="categorical", variables=2, categories=4)
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0, 50.0, 0.0, 0.0, 0.0]])

    kl = dimension_kls(latents, logits)

    torch.testing.assert_close(kl, torch.tensor([[0.0, math.log(4)]], dtype=torch.float64))


def test_a_posterior_that_does_not_factorise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    joint = MultivariateNormal(torch.zeros(2), torch.eye(2))
    monkeypatch.setattr(GaussianLatents, "posterior", lambda self, parameters: joint)

    with pytest.raises(ValueError, match="q\\(z\\|x\\) must be a product"):
        dimension_kls(GaussianLatents(kind="gaussian", dimensions=2), torch.zeros(1, 4))


def test_the_steps_are_those_of_a_curve_made_by_hand() -> None:
    """Of ten observations a tenth may have any KL: the ninth smallest decides."""
    kl = torch.stack(
        [
            torch.zeros(10),
            torch.tensor([0.0] * 9 + [5.0]),  # one observation is let off
            torch.tensor([0.0] * 8 + [0.25, 5.0]),
            torch.arange(1, 11) / 8,
        ],
        dim=1,
    ).double()

    steps = collapse_steps(kl, 0.1)

    torch.testing.assert_close(steps, torch.tensor([0.0, 0.0, 0.25, 1.125], dtype=torch.float64))
    shares = [collapsed_share(steps, e) for e in (1e-9, 0.25, 0.2501, 1.125, 1.126)]
    assert shares == [0.5, 0.5, 0.75, 0.75, 1.0]  # at its step a dimension is not collapsed yet


@pytest.mark.parametrize("delta", [0.0, 0.01, 0.07, 0.29, 0.7, 0.999])
def test_the_curve_is_the_definition_at_every_epsilon(delta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    kl = torch.rand(100, 7, generator=generator, dtype=torch.float64)
    kl[:, 3] = kl[:, 3].round(decimals=1)  # ties

    steps = collapse_steps(kl, delta)

    just_above = torch.nextafter(steps, torch.tensor(math.inf).double())
    for epsilon in [*steps.tolist(), *just_above.tolist(), 0.1, 0.5, 2.0]:
        assert collapsed_share(steps, epsilon) == by_definition(kl, epsilon, delta)


def test_of_one_observation_its_own_kl_decides() -> None:
    kl = torch.tensor([[0.2, 0.4]], dtype=torch.float64)

    assert collapse_steps(kl, 0.5).tolist() == [0.2, 0.4]
