"""Labels read off latents that tell them, and off latents that do not."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.evaluation import probes
from trainables.evaluation.probes import accuracy, commonest, linear_probe, nearest_neighbours


def noise(n: int, width: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator, dtype=torch.float64)


def some_labels(n: int, n_classes: int, seed: int = 1) -> Tensor:
    return torch.randint(n_classes, (n,), generator=torch.Generator().manual_seed(seed))


def test_the_error_is_that_of_a_binomial_proportion() -> None:
    found = accuracy(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 1, 1, 0]))

    assert found == (0.75, math.sqrt(0.75 * 0.25 / 4))
    assert accuracy(torch.tensor([2]), torch.tensor([2])) == (1.0, 0.0)


def test_the_commonest_label_is_the_smallest_of_several() -> None:
    assert commonest(torch.tensor([7, 3, 7, 3, 5])) == 3
    assert commonest(torch.tensor([7, 7, 3])) == 7


def test_separable_classes_are_probed_without_a_mistake() -> None:
    """Classes far apart along one of four directions, on a scale that says nothing."""
    labels = some_labels(300, 3)
    latents = noise(300) * torch.tensor([1.0, 1e-6, 1.0, 1e3], dtype=torch.float64)
    latents[:, 1] += 1e-4 * labels

    predicted = linear_probe(latents[:200], labels[:200] * 10, latents[200:])

    assert accuracy(predicted, labels[200:] * 10) == (1.0, 0.0)


@pytest.mark.parametrize("method", ["probe", "neighbours"])
def test_noise_tells_no_more_than_chance(method: str) -> None:
    """Four equally likely labels: 1/4 within three standard errors of a thousand guesses."""
    latents, labels = noise(1_500), some_labels(1_500, 4)
    known, others = (latents[:500], labels[:500]), latents[500:]

    predicted = (
        linear_probe(*known, others)
        if method == "probe"
        else nearest_neighbours(*known, others, k=20)
    )
    found = accuracy(predicted, labels[500:])

    assert found.error == pytest.approx(math.sqrt(0.25 * 0.75 / 1000), rel=0.1)
    assert abs(found.value - 0.25) < 3 * found.error


def test_a_dimension_that_never_varies_does_no_harm() -> None:
    labels = some_labels(60, 2)
    latents = torch.stack([labels.double(), torch.ones(60, dtype=torch.float64)], dim=1)

    assert torch.equal(linear_probe(latents, labels, latents), labels)


def test_a_single_class_is_all_that_a_probe_knows() -> None:
    predicted = linear_probe(noise(5), torch.full((5,), 3), noise(4))

    assert predicted.tolist() == [3] * 4


@pytest.mark.parametrize("k", [1, 2, 5, 30, 100])
def test_neighbours_vote_as_in_a_loop_over_all(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "DISTANCES_AT_ONCE", 90)  # three at a time
    latents, labels, others = noise(30), 2 * some_labels(30, 3) + 1, noise(20, seed=2)

    expected = []
    for other in others.numpy():
        distances = [float(np.linalg.norm(other - latent)) for latent in latents.numpy()]
        nearest = sorted(range(30), key=distances.__getitem__)[:k]
        votes = [labels[i].item() for i in nearest]
        expected.append(max(sorted(set(votes)), key=votes.count))

    assert nearest_neighbours(latents, labels, others, k).tolist() == expected


def test_of_equally_many_votes_the_smallest_label_wins() -> None:
    latents = torch.tensor([[0.0], [1.0], [9.0]], dtype=torch.float64)

    assert nearest_neighbours(latents, torch.tensor([5, 2, 0]), latents[:1], k=2).tolist() == [2]
