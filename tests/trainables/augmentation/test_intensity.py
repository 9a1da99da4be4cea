"""Blur, jitter and noise against their formulas."""

import math

import pytest
import torch

from trainables.augmentation.intensity import Blur, Jitter, Noise

F64 = torch.float64


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_a_point_becomes_a_gaussian(sigma: float) -> None:
    x = torch.zeros(2, 1, 21, 23, dtype=F64)
    x[..., 10, 11] = 1

    blurred = Blur(name="blur", sigma=(sigma, sigma), probability=1.0)(x)

    radius = math.ceil(3 * sigma)
    weights = {d: math.exp(-0.5 * (d / sigma) ** 2) for d in range(-radius, radius + 1)}
    total = sum(weights.values())
    for row in range(21):
        for column in range(23):
            of_row, of_column = weights.get(row - 10, 0), weights.get(column - 11, 0)
            expected = of_row * of_column / total**2
            assert blurred[1, 0, row, column].item() == pytest.approx(expected, abs=1e-15)


def test_what_is_even_stays_so_to_the_edge_even_of_a_tiny_image() -> None:
    x = torch.full((3, 2, 4, 2), 0.7, dtype=F64)

    torch.testing.assert_close(Blur(name="blur", sigma=(0.1, 5.0), probability=1.0)(x), x)


def test_images_are_blurred_each_by_its_own_sigma_within_the_range() -> None:
    torch.manual_seed(0)
    x = torch.zeros(300, 1, 15, 15, dtype=F64)
    x[..., 7, 7] = 1

    peaks = Blur(name="blur", sigma=(0.5, 1.5), probability=1.0)(x)[:, 0, 7, 7]

    assert len(set(peaks.tolist())) == 300
    sharpest, smoothest = (Blur(name="blur", sigma=(s, s), probability=1.0)(x) for s in (0.5, 1.5))
    assert smoothest[0, 0, 7, 7] <= peaks.min() < peaks.max() <= sharpest[0, 0, 7, 7]
    assert peaks.max() / sharpest[0, 0, 7, 7] > 0.95


def test_brightness_multiplies_and_is_cut() -> None:
    torch.manual_seed(0)
    x = torch.tensor([0.0, 0.4, 0.8, 1.0], dtype=F64).expand(300, 1, 2, 4)

    bright = Jitter(name="jitter", brightness=0.5, contrast=0.0, probability=1.0)(x)[:, 0, 0]

    factor = bright[:, 1] / 0.4
    assert 0.5 <= factor.min() < 0.52 < 1.48 < factor.max() <= 1.5
    torch.testing.assert_close(bright, (x[:, 0, 0] * factor[:, None]).clamp(max=1))


def test_contrast_multiplies_the_distance_from_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.tensor([0.3, 0.5, 0.6, 0.6], dtype=F64).expand(300, 1, 2, 4)

    changed = Jitter(name="jitter", brightness=0.0, contrast=0.5, probability=1.0)(x)[:, 0, 0]

    factor = (changed[:, 0] - 0.5) / (0.3 - 0.5)
    assert 0.5 <= factor.min() < 0.52 < 1.48 < factor.max() <= 1.5
    torch.testing.assert_close(changed, (x[:, 0, 0] - 0.5) * factor[:, None] + 0.5)


def test_noise_is_gaussian_and_cut() -> None:
    torch.manual_seed(0)
    x = torch.tensor([0.0, 0.5, 1.0], dtype=F64).expand(1, 1, 10_000, 3)

    noisy = Noise(name="noise", sigma=0.1)(x)[0, 0]

    assert noisy[:, 1].std().item() == pytest.approx(0.1, abs=0.004)
    assert noisy[:, 1].mean().item() == pytest.approx(0.5, abs=0.004)
    assert noisy.min() == 0
    assert noisy.max() == 1
    blank = 0.1 / math.sqrt(2 * math.pi)  # E max(0, N(0, sigma^2))
    assert noisy[:, 0].mean().item() == pytest.approx(blank, abs=0.003)
