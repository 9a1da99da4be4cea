"""The contrast of given scores: its softmax, and the bound it is on information."""

import math

import pytest
import torch
from torch import Tensor

from trainables.models.latents import GaussianLatents
from trainables.objectives.critics import contrast


def test_the_softmax_goes_over_what_it_says() -> None:
    """Written out: rows are z, columns x, the diagonal belongs together."""
    f = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).exp()
    over_x = sum(math.log(f[i, i] / sum(f[i, j] for j in range(4))) for i in range(4)) / 4
    over_z = sum(math.log(f[i, i] / sum(f[j, i] for j in range(4))) for i in range(4)) / 4

    assert abs(over_x - over_z) > 0.01
    assert contrast(f.log()).item() == pytest.approx(over_x, abs=1e-14)
    assert contrast(f.log(), "x").item() == pytest.approx(over_x, abs=1e-14)
    assert contrast(f.log(), "z").item() == pytest.approx(over_z, abs=1e-14)
    assert contrast(f.log(), "both").item() == pytest.approx((over_x + over_z) / 2, abs=1e-14)


def bounds(rho: float, dimensions: int, n: int, n_batches: int, over: str = "x") -> Tensor:
    """InfoNCE of pairs of correlated Gaussians under their exact critic, `[n_batches]`."""
    latents = GaussianLatents(kind="gaussian", dimensions=dimensions)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(n_batches):
        x, noise = torch.randn(2, n, dimensions, dtype=torch.float64, generator=generator)
        z = rho * x + math.sqrt(1 - rho**2) * noise
        log_variance = torch.full_like(x, math.log(1 - rho**2))
        scores = latents.cross_log_prob(torch.cat([rho * x, log_variance], dim=1), z)
        values.append(contrast(scores, over) + math.log(n))  # type: ignore[arg-type]
    return torch.stack(values)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
def test_the_bound_of_correlated_gaussians_approaches_their_information_from_below(
    rho: float,
) -> None:
    information = -0.5 * math.log(1 - rho**2)
    means = []
    for n, n_batches in ((2, 4_000), (8, 2_000), (64, 600), (512, 150)):
        values = bounds(rho, 1, n, n_batches)
        error = values.std().item() / math.sqrt(n_batches)
        means.append(values.mean().item())

        assert error < 0.01
        assert means[-1] < information + 4 * error
        assert values.max() <= math.log(n)
    assert means[0] < 0.9 * information
    assert means == sorted(means)
    assert means[-1] == pytest.approx(information, abs=0.01)


@pytest.mark.parametrize("n", [2, 16, 128])
def test_the_bound_stays_under_the_log_of_the_batch_however_much_there_is_to_know(n: int) -> None:
    information = -8 / 2 * math.log(1 - 0.99**2)

    values = bounds(0.99, 8, n, 20)

    assert information > 15
    assert values.max() <= math.log(n)
    assert values.mean() > 0.99 * math.log(n)
