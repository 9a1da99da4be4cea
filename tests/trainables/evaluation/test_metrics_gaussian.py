"""An evaluation's figures under Gaussian latents: information, images, and what is extreme."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests.oracles.linear_gaussian import LinearGaussian
from tests.oracles.without_encoder import WithoutEncoder
from trainables.data.corpus import Corpus
from trainables.evaluation.config import EvaluationConfig
from trainables.evaluation.importance import score
from trainables.evaluation.information import (
    active_units,
    pool_information,
    published_batches,
    published_information,
)
from trainables.evaluation.metrics import evaluate, subset
from trainables.models.latents import GaussianLatents
from trainables.models.model import Encoding


def test_information_is_measured_after_the_samples_of_the_other_figures() -> None:
    model = LinearGaussian(shift=0.4, stretch=0.9)
    x = model.sample(50)
    config = EvaluationConfig(samples=7, mi_batch_size=20)

    figures = evaluate(model, Corpus({"validation": x}, 0, "-"), config, seed=3)

    torch.manual_seed(3)
    scores = score(model, x, 7)
    parameters = model.encode(x).parameters.detach()
    pool = pool_information(model.latents, parameters)
    batches = published_batches(x, 20)
    published = published_information(model.latents, parameters, batches)
    expected = {
        "nll": -scores.log_p.mean(),
        "mi_q": pool.terms.mean(),
        "mi_q_se": pool.variance.sum().sqrt() / 50,
        "mi_q_ceiling": math.log(50),
        "mi_q_batch": published.terms.mean(),
        "mi_q_batch_se": published.variance.sum().sqrt() / 50,
        "mi_q_batch_ceiling": (40 * math.log(20) + 10 * math.log(10)) / 50,
        "reconstruction": -(scores.elbo + scores.kl).mean(),
        "reconstruction_se": scores.elbo_variance.sum().sqrt() / 50,
    }
    for name, value in expected.items():
        assert figures[name] == pytest.approx(float(value), rel=1e-9), name
    assert figures["mi_q_sampling_se"] is None
    assert figures["active_units"] == active_units(model.latents, parameters) == 3


def test_the_reconstruction_is_what_the_decoder_loses_on_average() -> None:
    model = LinearGaussian()
    x = model.sample(200)

    corpus = Corpus({"validation": x}, 0, "-")
    figures = evaluate(model, corpus, EvaluationConfig(samples=50), seed=0)

    exact = model.exact_posterior(x)
    squares = (model.a * exact.loc + model.b - x) ** 2 + (model.a * exact.scale) ** 2
    truth = (squares / model.s**2 + (2 * math.pi * model.s**2).log()).sum(dim=1).mean() / 2
    assert figures["reconstruction"] == pytest.approx(
        truth.item(), abs=4 * figures["reconstruction_se"]
    )
    assert figures["reconstruction"] + figures["kl"] == pytest.approx(-figures["elbo"])


def test_each_observation_is_inferred_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian()
    x = model.sample(50)
    seen = []
    monkeypatch.setattr(
        model, "encode", lambda x: seen.append(len(x)) or LinearGaussian.encode(model, x)
    )

    config = EvaluationConfig(samples=4, mi_batch_size=20)
    evaluate(model, Corpus({"validation": x}, 0, "-"), config, seed=0)

    assert seen == [20, 20, 10]


class Pixels(WithoutEncoder):
    """Images of four pixels, each one with probability sigmoid(z)."""

    def __init__(self) -> None:
        super().__init__(GaussianLatents(kind="gaussian", dimensions=1))
        self.slope = torch.nn.Parameter(torch.ones(()))

    def encode(self, x: Tensor) -> Encoding:
        ones = x.flatten(1).float().mean(dim=1, keepdim=True)
        return Encoding(ones, torch.cat([4 * ones - 2, -ones], dim=1) * self.slope)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        n_ones = x.flatten(1).sum(dim=1)
        return n_ones * logsigmoid(z[..., 0]) + (4 - n_ones) * logsigmoid(-z[..., 0])


def test_an_image_is_one_token_without_a_perplexity() -> None:
    x = torch.randint(2, (30, 2, 2), dtype=torch.uint8)
    corpus = Corpus({"validation": x}, 2, "-", shape=(2, 2))

    figures = evaluate(Pixels(), corpus, EvaluationConfig(samples=9, limit=20), seed=0)

    assert figures["observations"] == 20
    assert figures["tokens"] == 1.0
    assert figures["perplexity"] is None
    for name in ("nll", "mi", "elbo", "kl"):
        assert figures[f"{name}_per_token"] == figures[name]
    assert figures["nll_per_token_sampling_se"] == pytest.approx(figures["nll_sampling_se"])
    # In the order of the subset: images have no lengths to be sorted by.
    torch.manual_seed(0)
    expected = score(Pixels(), subset(x, 20)[0], 9)
    assert figures["nll"] == pytest.approx(-expected.log_p.mean().item())
    assert 0 < figures["mi_q_sampling_se"] < figures["mi_q"] < figures["mi_q_ceiling"]


def test_what_no_number_can_hold_is_not_measured() -> None:
    model = LinearGaussian(stretch=1e-160)  # a precision beyond any float

    corpus = Corpus({"validation": model.sample(4)}, 0, "-")
    figures = evaluate(model, corpus, EvaluationConfig(samples=4), seed=0)

    assert figures["mi_q"] is None
    assert figures["mi_q_batch"] is None


def test_a_perplexity_beyond_any_float_is_infinite() -> None:
    model = LinearGaussian()
    x = torch.full((2, 3), 1e4, dtype=torch.float64)

    figures = evaluate(model, Corpus({"validation": x}, 0, "-"), EvaluationConfig(), seed=0)

    assert figures["perplexity"] == math.inf
