"""Maps of latents: seeded, and possible wherever there are a few points."""

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.evaluation.embedding import allowed_perplexity, tsne


def two_groups() -> Tensor:
    latents = torch.randn(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    latents[:12, 0] += 100.0
    return latents


def test_groups_that_are_far_apart_stay_so() -> None:
    places = tsne(two_groups(), perplexity=5.0, seed=0)

    assert places is not None
    apart = torch.cdist(places[:12], places[12:]).min()
    assert apart > torch.cdist(places[:12], places[:12]).max()


def test_a_seed_gives_one_map_on_any_scale_and_touches_no_other_generator() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    first = tsne(two_groups(), 5.0, seed=0)
    again = tsne(two_groups() * 2.0**-70, 5.0, seed=0)

    assert first is not None
    assert again is not None
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index]
    torch.testing.assert_close(tsne(two_groups(), 5.0, seed=0), first, rtol=0, atol=0)
    torch.testing.assert_close(again, first, rtol=0, atol=0)  # a power of two changes no bit


def test_latents_that_are_all_one_have_a_map() -> None:
    places = tsne(torch.full((10, 3), 1e5, dtype=torch.float64), 30.0, seed=0)

    assert places is not None
    assert places.isfinite().all()


@pytest.mark.parametrize(("n", "perplexity"), [(4, 1.0), (10, 3.0), (91, 30.0), (1000, 30.0)])
def test_a_perplexity_leaves_two_thirds_of_the_points_far(n: int, perplexity: float) -> None:
    assert allowed_perplexity(30.0, n) == perplexity


def test_four_points_have_a_map_and_three_have_none() -> None:
    assert tsne(two_groups()[:4], 30.0, seed=0) is not None
    assert tsne(two_groups()[:3], 30.0, seed=0) is None
