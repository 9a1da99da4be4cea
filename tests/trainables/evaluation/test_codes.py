"""The entropy of codes on constructed ones, where it is known."""

import math

import pytest
import torch

from trainables.evaluation.codes import FIGURES, code_figures, entropy
from trainables.evaluation.information import pool_information, published_information
from trainables.models.latents import CategoricalLatents, GaussianLatents, VqLatents

LATENTS = VqLatents(kind="vq", variables=2, categories=4, dimension=3)


def parameters(rows: list[list[int]]) -> torch.Tensor:
    return LATENTS.choose(torch.tensor(rows), torch.zeros((), dtype=torch.float64))


@pytest.mark.parametrize(
    ("rows", "whole", "per_variable", "used"),
    [
        # All alike: nothing is told.
        ([[1, 2]] * 6, 0.0, 0.0, 1 / 4),
        # The second variable repeats the first, so that together they tell no more than one.
        ([[0, 0], [1, 1], [2, 2], [3, 3]], math.log(4), math.log(4), 1.0),
        # Independent: 4 whole codes out of 2 values of each.
        ([[0, 2], [0, 3], [1, 2], [1, 3]], math.log(4), math.log(2), 1 / 2),
        # Counts 3 and 1 of whole codes; the first variable is constant.
        (
            [[0, 0], [0, 0], [0, 0], [0, 1]],
            0.75 * math.log(4 / 3) + 0.25 * math.log(4),
            (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / 2,
            (1 + 2) / 8,
        ),
    ],
)
def test_the_entropy_is_that_of_the_counts(
    rows: list[list[int]], whole: float, per_variable: float, used: float
) -> None:
    figures = code_figures(LATENTS, parameters(rows))

    assert tuple(figures) == FIGURES
    assert figures["code_entropy"] == pytest.approx(whole, abs=1e-15)
    assert figures["code_entropy_per_variable"] == pytest.approx(per_variable, abs=1e-15)
    assert figures["codes_used"] == pytest.approx(used)
    assert figures["code_space"] == pytest.approx(2 * math.log(4))


@pytest.mark.parametrize(("n", "ceiling"), [(5, math.log(5)), (40, math.log(16))])
def test_neither_the_observations_nor_the_codes_can_show_more_than_their_number(
    n: int, ceiling: float
) -> None:
    # As different as can be: n codes, or all of them as equally as possible.
    rows = [[i // 4 % 4, i % 4] for i in range(n)]

    figures = code_figures(LATENTS, parameters(rows))

    assert figures["code_entropy_ceiling"] == pytest.approx(ceiling)
    assert figures["code_entropy"] <= ceiling + 1e-12
    assert figures["code_entropy"] > 0.95 * ceiling


def test_the_entropy_of_whole_codes_is_the_information_of_q_by_the_pool() -> None:
    torch.manual_seed(0)
    chosen = torch.randint(4, (60, 2)).tolist()

    information = pool_information(LATENTS, parameters(chosen))
    [pool] = [torch.arange(60)]
    published = published_information(LATENTS, parameters(chosen), [pool])

    entropy_of_codes = code_figures(LATENTS, parameters(chosen))["code_entropy"]
    assert information.terms.mean().item() == pytest.approx(entropy_of_codes, rel=1e-12)
    assert published.terms.mean().item() == pytest.approx(entropy_of_codes, rel=1e-12)
    assert torch.equal(information.variance, torch.zeros(60, dtype=torch.float64))


@pytest.mark.parametrize(
    "latents",
    [
        GaussianLatents(kind="gaussian", dimensions=2),
        CategoricalLatents(kind="categorical", variables=2, categories=2),
    ],
    ids=lambda latents: latents.kind,
)
def test_other_latents_have_no_codes(latents: GaussianLatents | CategoricalLatents) -> None:
    assert code_figures(latents, torch.randn(5, 4)) == dict.fromkeys(FIGURES)


def test_the_entropy_of_a_batch_of_counts() -> None:
    found = entropy(torch.tensor([[2, 2, 0], [5, 0, 0], [1, 1, 2]]))

    expected = [math.log(2), 0.0, 1.5 * math.log(2)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
