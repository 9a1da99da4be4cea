"""Importance sampling against closed forms and enumeration; its errors against their spread."""

import pytest
import torch
from torch import Tensor

from tests.oracles.linear_gaussian import LinearGaussian
from trainables.data.corpus import PAD
from trainables.evaluation import importance
from trainables.evaluation.enumeration import score_exactly
from trainables.evaluation.importance import Scores, batches, encode, score, trim
from trainables.models.latents import CategoricalLatents
from trainables.models.symbol import SymbolMlp, SymbolMlpConfig


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def symbol_model(vocabulary: int = 12) -> SymbolMlp:
    latents = CategoricalLatents(kind="categorical", variables=2, categories=3)
    config = SymbolMlpConfig(name="symbol_mlp", latents=latents, embedding=4, hidden=5)
    return config.create(vocabulary).double().eval()


def within(error: Tensor, variance: Tensor, n_errors: float = 4) -> bool:
    """Say whether a mean error is within that many standard errors."""
    return bool(error.mean().abs() <= n_errors * variance.sum().sqrt() / len(error))


def test_with_the_exact_posterior_the_evidence_has_no_error() -> None:
    model = LinearGaussian()
    x = model.sample(50)

    scores = score(model, x, K=5)

    torch.testing.assert_close(scores.log_p, model.log_p(x), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(scores.log_p_variance, torch.zeros(50).double(), atol=1e-20, rtol=0)
    torch.testing.assert_close(scores.ess, torch.full((50,), 5.0).double())
    torch.testing.assert_close(scores.kl, model.kl(x), rtol=1e-9, atol=1e-9)
    assert within(scores.mi - model.kl(x), scores.mi_variance)
    assert within(scores.elbo - model.elbo(x), scores.elbo_variance)


def test_estimates_approach_the_closed_forms() -> None:
    model = LinearGaussian(shift=0.5, stretch=1.3)
    x = model.sample(40)

    scores = score(model, x, K=20_000)

    assert scores.log_p_variance.sqrt().max() < 0.02
    assert within(scores.log_p - model.log_p(x), scores.log_p_variance)
    assert within(scores.mi - model.kl(x), scores.mi_variance)
    assert within(scores.elbo - model.elbo(x), scores.elbo_variance)
    torch.testing.assert_close(scores.log_p, model.log_p(x), rtol=0, atol=0.06)
    torch.testing.assert_close(scores.mi, model.kl(x), rtol=0, atol=0.15)
    torch.testing.assert_close(scores.elbo, model.elbo(x), rtol=0, atol=0.15)


def test_the_mean_over_the_models_own_data_is_its_mutual_information() -> None:
    model = LinearGaussian()
    x = model.sample(4_000)

    mi = score(model, x, K=20).mi

    error = mi.std().item() / len(mi) ** 0.5
    assert error < 0.05
    assert mi.mean().item() == pytest.approx(model.mutual_information(), abs=4 * error)


@pytest.mark.parametrize("figure", ["log_p", "mi", "elbo"])
@pytest.mark.parametrize(("shift", "stretch"), [(0.3, 1.2), (0.0, 1.5), (0.4, 1.0)])
def test_errors_spread_as_their_variances_say(figure: str, shift: float, stretch: float) -> None:
    n_repeats = 4_000
    model = LinearGaussian(shift=shift, stretch=stretch)
    x = torch.tensor([[0.9, -1.4, 0.3]], dtype=torch.float64).expand(n_repeats, -1)

    scores = score(model, x, K=400)

    spread = getattr(scores, figure).std().item()
    promised = getattr(scores, f"{figure}_variance").mean().sqrt().item()
    # The spread of 4,000 repeats is itself known to about one per cent, the promise to 1/K.
    assert promised == pytest.approx(spread, rel=0.06)


def test_errors_of_both_figures_go_together_as_their_covariance_says() -> None:
    model = LinearGaussian(shift=0.3, stretch=1.2)
    x = torch.tensor([[0.9, -1.4, 0.3]], dtype=torch.float64).expand(4_000, -1)

    scores = score(model, x, K=400)

    together = torch.stack([scores.log_p, scores.mi]).cov()[0, 1].item()
    promised = scores.log_p_mi_covariance.mean().item()
    scale = (scores.log_p.var() * scores.mi.var()).sqrt().item()
    assert abs(promised) > 0.3 * scale
    # A correlation of 4,000 repeats has a standard error of at most 0.016.
    assert promised == pytest.approx(together, abs=0.06 * scale)


def test_estimates_approach_enumeration() -> None:
    model = symbol_model()
    x = torch.arange(12)
    exact = score_exactly(model, x)

    scores = score(model, x, K=40_000)

    assert exact.mi.mean() > 0.02
    assert within(scores.log_p - exact.log_p, scores.log_p_variance)
    assert within(scores.mi - exact.mi, scores.mi_variance)
    torch.testing.assert_close(scores.mi, exact.mi, rtol=0, atol=0.05)


def test_with_few_samples_of_a_poor_proposal_the_evidence_is_too_low() -> None:
    model = LinearGaussian(shift=2.0)
    x = model.sample(1_000)

    few, many = (model.log_p(x) - score(model, x, K).log_p for K in (4, 400))

    for missing in (few, many):
        assert missing.mean() > 4 * missing.std() / len(x) ** 0.5
    assert few.mean() > 2 * many.mean()


def test_the_effective_sample_size_lies_between_one_and_all() -> None:
    model = LinearGaussian(shift=3.0)

    ess = score(model, model.sample(500), K=30).ess

    assert (ess >= 1 - 1e-9).all()
    assert (ess <= 30 + 1e-9).all()
    assert ess.min() < 1.1
    assert ess.max() > 3


def test_the_effective_sample_size_is_that_of_known_weights() -> None:
    """A mean off by d standard deviations in 3 dimensions leaves exp(-3 d^2) of the samples."""
    for shift in (0.3, 0.5):
        model = LinearGaussian(shift=shift)

        ess = score(model, model.sample(40), K=5_000).ess

        share = torch.tensor(-3 * shift**2).exp().item()
        assert ess.mean().item() / 5_000 == pytest.approx(share, rel=0.02)


def test_scores_equal_their_formulas_sample_by_sample() -> None:
    model = symbol_model()
    x = torch.tensor([3, 0, 7])
    K = 6
    torch.manual_seed(5)
    scores = score(model, x, K)
    torch.manual_seed(5)
    with torch.no_grad():
        q, p = model.posterior(x), model.prior()
        z = q.sample((K,))
        log_l = model.log_likelihood(x, z)
        w = (log_l + p.log_prob(z) - q.log_prob(z)).exp()
        probability = q.base_dist.probs
        kl = (probability * (probability * 3).log()).sum(dim=(1, 2))
    wn = w / w.sum(dim=0)
    u = (wn * log_l).sum(dim=0)
    log_p = w.mean(dim=0).log()

    expected = Scores(
        log_p=log_p,
        log_p_variance=w.var(dim=0, correction=0) / K / w.mean(dim=0) ** 2,
        mi=u - log_p,
        mi_variance=((wn * (log_l - u - 1) + 1 / K) ** 2).sum(dim=0),
        log_p_mi_covariance=((wn - 1 / K) * (wn * (log_l - u - 1) + 1 / K)).sum(dim=0),
        elbo=log_l.mean(dim=0) - kl,
        elbo_variance=log_l.var(dim=0) / K,
        kl=kl,
        ess=w.sum(dim=0) ** 2 / (w**2).sum(dim=0),
    )

    torch.testing.assert_close(scores._asdict(), expected._asdict())


def test_scores_are_double_precision_and_carry_no_gradient() -> None:
    model = symbol_model().float()

    for values in score(model, torch.arange(12), K=3):
        assert values.dtype == torch.float64
        assert values.shape == (12,)
        assert not values.requires_grad


def test_observations_keep_their_order_across_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "SAMPLES_AT_ONCE", 35)
    model = LinearGaussian()
    x = model.sample(23)
    passes = []
    monkeypatch.setattr(
        model,
        "log_likelihood",
        lambda x, z: passes.append(len(x)) or LinearGaussian.log_likelihood(model, x, z),
    )

    scores = score(model, x, K=5)

    torch.testing.assert_close(scores.log_p, model.log_p(x))
    assert passes == [7, 7, 7, 2]


def test_more_samples_than_a_pass_holds_take_one_observation_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importance, "SAMPLES_AT_ONCE", 3)
    model = LinearGaussian()
    x = model.sample(4)

    torch.testing.assert_close(score(model, x, K=5).log_p, model.log_p(x))


def test_more_samples_than_a_pass_holds_are_decoded_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = LinearGaussian(shift=0.5)
    x = model.sample(2)
    torch.manual_seed(1)
    whole = score(model, x, K=50)
    monkeypatch.setattr(importance, "VALUES_AT_ONCE", 3 * 20)  # of three values each
    passes = []
    monkeypatch.setattr(
        model,
        "log_likelihood",
        lambda x, z: passes.append(z.shape[:2]) or LinearGaussian.log_likelihood(model, x, z),
    )

    torch.manual_seed(1)
    # One observation at a time, which draws other samples than two at a time.
    found = score(model, x[:1], K=50)

    assert passes == [(20, 1), (20, 1), (10, 1)]
    torch.manual_seed(1)
    monkeypatch.undo()
    torch.testing.assert_close(found._asdict(), score(model, x[:1], K=50)._asdict())
    assert not torch.equal(found.log_p, whole.log_p[:1])


def test_what_is_inferred_already_is_not_inferred_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian(shift=0.5)
    x = model.sample(5)
    parameters = encode(model, x, size=2)
    torch.manual_seed(1)
    expected = score(model, x, K=4)
    monkeypatch.setattr(model, "encode", None)

    torch.manual_seed(1)

    assert torch.equal(score(model, x, 4, parameters).log_p, expected.log_p)


def test_batches_are_cut_in_order_and_trimmed_to_their_longest_sentence() -> None:
    x = torch.tensor([[1, PAD, PAD, PAD], [4, 2, PAD, PAD], [3, 3, 3, PAD]])

    first, second = batches(x, 2)

    assert torch.equal(first, torch.tensor([[1, PAD], [4, 2]]))
    assert torch.equal(second, torch.tensor([[3, 3, 3]]))
    assert [part.tolist() for part in batches(torch.arange(5), 2)] == [[0, 1], [2, 3], [4]]


def test_trimming_leaves_symbols_images_and_full_sentences_as_they_are() -> None:
    image = torch.zeros(2, 3, 4, dtype=torch.uint8)
    for x in (torch.arange(5), torch.arange(6).view(2, 3), image):
        assert torch.equal(trim(x), x)
