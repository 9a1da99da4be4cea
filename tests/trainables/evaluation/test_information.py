"""The encoder's information: where it is known, against integrals, and as published."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.oracles.linear_gaussian import LinearGaussian
from trainables.data.corpus import PAD
from trainables.evaluation import information
from trainables.evaluation.information import (
    Information,
    active_units,
    batch_information,
    pool_information,
    published_batches,
    published_information,
)
from trainables.models.latents import CategoricalLatents, GaussianLatents, Latents

GAUSSIAN = GaussianLatents(kind="gaussian", dimensions=2)
CATEGORICAL = CategoricalLatents(kind="categorical", variables=2, categories=3)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def mean(found: Information) -> float:
    return found.terms.mean().item()


def error(found: Information) -> float:
    return found.variance.sum().sqrt().item() / len(found.terms)


def linear_gaussian(n: int, dimensions: int, variance: float) -> Tensor:
    """Parameters of q(z|x) = N(x, variance) with x such that q(z) tends to N(0, 1).

    The information of the whole population is -1/2 ln(variance) for each dimension.
    """
    x = torch.randn(n, dimensions, dtype=torch.float64) * math.sqrt(1 - variance)
    return torch.cat([x, torch.full_like(x, math.log(variance))], dim=1)


@pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL])
def test_where_all_posteriors_are_equal_there_is_no_information(latents) -> None:
    found = pool_information(latents, torch.randn(1, latents.n_parameters).expand(40, -1))

    torch.testing.assert_close(found.terms, torch.zeros(40).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.variance, torch.zeros(40).double(), atol=1e-20, rtol=0)


def test_where_all_posteriors_are_far_apart_it_is_the_whole_ceiling() -> None:
    means = 100 * torch.arange(40.0)[:, None].expand(-1, 2)

    found = pool_information(GAUSSIAN, torch.cat([means, torch.zeros(40, 2)], dim=1))

    assert found.ceiling == pytest.approx(math.log(40))
    torch.testing.assert_close(found.terms, torch.full((40,), math.log(40)).double())


def test_of_categories_it_is_that_of_their_table() -> None:
    """Of one variable the expectation over z is a sum over three categories."""
    latents = CategoricalLatents(kind="categorical", variables=1, categories=3)
    parameters = torch.randn(4, 3, dtype=torch.float64)
    q = parameters.softmax(dim=1)
    truth = (q * (q / q.mean(dim=0)).log()).sum(dim=1).mean().item()

    found = [pool_information(latents, parameters) for _ in range(1_500)]

    means = np.array([mean(one) for one in found])
    spread = means.std() / math.sqrt(len(means))
    assert truth > 0.1
    assert means.mean() == pytest.approx(truth, abs=4 * spread)


def test_of_a_small_pool_it_is_the_integral_and_its_error_the_spread() -> None:
    latents = GaussianLatents(kind="gaussian", dimensions=1)
    location, scale = np.array([0.0, 0.7, -2.0]), np.array([1.0, 0.4, 0.8])
    parameters = torch.from_numpy(np.stack([location, 2 * np.log(scale)], axis=1))
    z = np.linspace(-12, 12, 20_001)
    q = np.exp(-(((z[:, None] - location) / scale) ** 2) / 2) / scale / math.sqrt(2 * math.pi)
    density = q * np.log(np.maximum(q, 1e-300) / q.mean(axis=1, keepdims=True))
    truth = density.sum(axis=0).mean() * (z[1] - z[0])

    found = [pool_information(latents, parameters) for _ in range(3_000)]

    means = np.array([mean(one) for one in found])
    assert means.mean() == pytest.approx(truth, abs=4 * means.std() / math.sqrt(len(means)))
    promised = math.sqrt(np.mean([error(one) ** 2 for one in found]))
    assert promised == pytest.approx(means.std(), rel=0.06)


def test_the_pool_may_be_cut_into_passes_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = linear_gaussian(30, 2, 0.1)
    torch.manual_seed(1)
    whole = pool_information(GAUSSIAN, parameters)

    for pairs in (1, 70, 10_000):
        monkeypatch.setattr(information, "PAIRS_AT_ONCE", pairs)
        torch.manual_seed(1)
        torch.testing.assert_close(pool_information(GAUSSIAN, parameters).terms, whole.terms)


def test_a_large_batch_takes_no_more_densities_at_once_than_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameters, batches = linear_gaussian(30, 2, 0.1), [torch.arange(30)]
    torch.manual_seed(1)
    whole = published_information(GAUSSIAN, parameters, batches)
    sizes: list[int] = []
    cross = GaussianLatents.cross_log_prob

    def noted(latents: GaussianLatents, parameters: Tensor, z: Tensor) -> Tensor:
        log_q = cross(latents, parameters, z)
        sizes.append(log_q.numel())
        return log_q

    monkeypatch.setattr(GaussianLatents, "cross_log_prob", noted)
    monkeypatch.setattr(information, "PAIRS_AT_ONCE", 700)
    torch.manual_seed(1)
    found = published_information(GAUSSIAN, parameters, batches)

    torch.testing.assert_close(found._asdict(), whole._asdict())
    assert sizes == [690, 690, 420]  # 23 of 60 samples at a time, with 30 posteriors


@pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL])
def test_it_is_the_difference_of_two_kls_by_monte_carlo(latents: Latents) -> None:
    """I_q = E_x KL(q(z|x) || p(z)) - KL(q(z) || p(z)), both by the same samples."""
    parameters = torch.randn(6, latents.n_parameters, dtype=torch.float64)
    q, p = latents.posterior(parameters), latents.prior(parameters)
    torch.manual_seed(1)
    found = mean(pool_information(latents, parameters))
    torch.manual_seed(1)
    z = q.sample((2,))

    log_q = latents.posterior(parameters).log_prob(z[:, :, None].flatten(0, 1)).view(2, 6, 6)
    to_prior = (q.log_prob(z) - p.log_prob(z)).mean()
    log_aggregate = log_q.logsumexp(dim=-1) - math.log(6)
    aggregate_to_prior = (log_aggregate - p.log_prob(z)).mean()

    assert found == pytest.approx((to_prior - aggregate_to_prior).item(), rel=1e-12)


def test_no_term_exceeds_the_ceiling_in_single_precision_either() -> None:
    found = pool_information(GAUSSIAN, linear_gaussian(200, 2, 1e-6).float())

    assert found.terms.dtype == torch.float64
    assert (found.terms <= math.log(200)).all()


def test_information_within_a_large_pool_is_that_of_the_population() -> None:
    found = pool_information(GAUSSIAN, linear_gaussian(2_000, 2, 0.5))

    sampling = found.terms.std().item() / math.sqrt(2_000)
    assert mean(found) == pytest.approx(math.log(2), abs=4 * sampling)
    assert sampling < 0.03


def test_the_scatter_of_terms_is_the_error_of_having_drawn_the_observations() -> None:
    """Not only their own: they share a pool, which to first order changes nothing."""
    found = [pool_information(GAUSSIAN, linear_gaussian(300, 2, 0.2)) for _ in range(300)]

    means = torch.tensor([mean(one) for one in found])
    promised = math.sqrt(np.mean([one.terms.var().item() / 300 for one in found]))
    assert promised == pytest.approx(means.std().item(), rel=0.15)


@pytest.mark.parametrize(("size", "about"), [(32, 3.48), (512, 6.24)])
def test_the_published_meter_reads_its_ceiling_where_the_truth_is_far_above(
    size: int, about: float
) -> None:
    """Eight latents with 18.42 nats, as in design/methods.md, section 2."""
    latents = GaussianLatents(kind="gaussian", dimensions=8)
    parameters = linear_gaussian(2_048, 8, 0.01)
    truth = -4 * math.log(0.01)

    batches = published_batches(torch.arange(2_048), size)
    published = published_information(latents, parameters, batches)
    pool = pool_information(latents, parameters)

    assert truth == pytest.approx(18.42, abs=0.01)
    assert published.ceiling == pytest.approx(math.log(size))
    assert mean(published) == pytest.approx(published.ceiling, abs=4 * error(published))
    assert mean(published) == pytest.approx(about, abs=4 * error(published) + 0.02)
    assert error(published) < 0.05
    assert mean(published) + 4 * error(published) < mean(pool) <= pool.ceiling < truth


def test_batch_information_is_the_published_formula_written_out() -> None:
    model = LinearGaussian(shift=0.5, stretch=0.8)
    batches = [model.sample(3), model.sample(5)]
    torch.manual_seed(7)
    found = batch_information(model, batches)

    torch.manual_seed(7)
    total = 0.0
    for x in batches:
        q = model.posterior(x)
        z = q.sample((2,))[0]  # the second one is for the error
        for i in range(len(x)):
            negative_entropy = -model.posterior(x[i : i + 1]).entropy().item()
            densities = [
                model.posterior(x[j : j + 1]).log_prob(z[i]).exp().item() for j in range(len(x))
            ]
            total += negative_entropy - math.log(sum(densities) / len(x))
    assert found == pytest.approx(total / 8, rel=1e-9)


def test_batches_of_indices_are_measured_as_batches_of_observations() -> None:
    model = LinearGaussian()
    x = model.sample(7)
    parameters = model.encode(x).parameters.detach()
    batches = [torch.tensor([4, 0, 1]), torch.tensor([2, 3, 5, 6])]
    torch.manual_seed(3)
    whole = batch_information(model, [x[batch] for batch in batches])

    torch.manual_seed(3)
    found = published_information(model.latents, parameters, batches)

    assert mean(found) == pytest.approx(whole)
    assert found.ceiling == pytest.approx((3 * math.log(3) + 4 * math.log(4)) / 7)


def test_the_error_of_the_published_figure_is_its_spread() -> None:
    parameters = linear_gaussian(48, 2, 0.3)
    batches = published_batches(torch.arange(48), 16)

    found = [published_information(GAUSSIAN, parameters, batches) for _ in range(1_000)]

    spread = np.std([mean(one) for one in found])
    assert math.sqrt(np.mean([error(one) ** 2 for one in found])) == pytest.approx(spread, rel=0.1)


def test_a_collapsed_posterior_reads_zero_within_the_published_error() -> None:
    parameters = torch.zeros(64, 4)

    found = published_information(GAUSSIAN, parameters, published_batches(torch.arange(64), 32))

    assert error(found) > 0
    assert mean(found) == pytest.approx(0.0, abs=4 * error(found))


def test_a_pool_in_one_batch_is_the_published_figure_in_expectation() -> None:
    parameters = linear_gaussian(40, 2, 0.2)
    published, pool = [], []
    for _ in range(400):
        published.append(mean(published_information(GAUSSIAN, parameters, [torch.arange(40)])))
        pool.append(mean(pool_information(GAUSSIAN, parameters)))

    spread = math.hypot(np.std(published), np.std(pool)) / 20
    assert np.mean(published) == pytest.approx(np.mean(pool), abs=4 * spread)


def test_no_observation_is_an_error() -> None:
    with pytest.raises(ValueError, match="measured in batches, and there is none"):
        batch_information(LinearGaussian(), [])


def test_sentences_of_a_batch_have_one_length() -> None:
    lengths = torch.tensor([2, 1, 3, 2, 2, 1, 2])
    x = torch.zeros(7, 3, dtype=torch.int64).where(torch.arange(3) < lengths[:, None], PAD)

    batches = published_batches(x, 3)

    assert [batch.tolist() for batch in batches] == [[1, 5], [0, 3, 4], [6], [2]]


@pytest.mark.parametrize("x", [torch.arange(10), torch.zeros(10, 2, 2, dtype=torch.uint8)])
def test_symbols_and_images_are_shuffled(x: Tensor) -> None:
    batches = published_batches(x, 4)

    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(torch.cat(batches).tolist()) == list(range(10))
    assert torch.cat(batches).tolist() != list(range(10))


def test_units_are_active_from_the_threshold_of_the_unbiased_variance_on() -> None:
    """Means of 0 and 1 have the unbiased variance 1/2, and a biased one of 1/4."""
    parameters = torch.tensor([[0.0, 5.0, 0.0, 9.0], [1.0, 5.0, 0.0, -9.0]])

    assert active_units(GAUSSIAN, parameters, threshold=0.5) == 1
    assert active_units(GAUSSIAN, parameters, threshold=math.nextafter(0.5, 1)) == 0


@pytest.mark.parametrize(("variance", "active"), [(0.0101, 1), (0.0099, 0)])
def test_a_unit_is_active_at_a_hundredth(variance: float, active: int) -> None:
    means = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) * math.sqrt(variance)
    # Its variances do not matter, and the other unit is still.
    parameters = torch.stack([means, torch.ones(3), torch.arange(3.0), torch.zeros(3)], dim=1)

    assert active_units(GAUSSIAN, parameters) == active


def test_categories_and_single_observations_have_no_active_units() -> None:
    assert active_units(CATEGORICAL, torch.randn(5, 6)) is None
    assert active_units(GAUSSIAN, torch.randn(1, 4)) is None
