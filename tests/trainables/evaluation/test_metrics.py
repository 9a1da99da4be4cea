"""An evaluation's figures: averages, errors, units, and what it leaves alone."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.oracles.linear_gaussian import LinearGaussian
from tests.oracles.without_encoder import WithoutEncoder
from trainables.data.corpus import PAD, Corpus
from trainables.evaluation import importance
from trainables.evaluation import metrics as metrics_module
from trainables.evaluation.config import EvaluationConfig
from trainables.evaluation.enumeration import score_exactly
from trainables.evaluation.importance import score
from trainables.evaluation.metrics import _ratio_error, evaluate, subset
from trainables.models.latents import CategoricalLatents, GaussianLatents, Latents
from trainables.models.model import Encoding, Model
from trainables.models.sentence import DropoutConfig, SentenceLstmConfig
from trainables.models.symbol import SymbolMlpConfig

LATENTS = CategoricalLatents(kind="categorical", variables=2, categories=3)


def sentence_model() -> Model:
    torch.manual_seed(0)
    config = SentenceLstmConfig(
        name="sentence_lstm",
        latents=LATENTS,
        embedding=3,
        encoder_hidden=4,
        decoder_hidden=5,
        dropout=DropoutConfig(output=0.5, network="both"),
    )
    return config.create(5).double()


def symbol_model() -> Model:
    torch.manual_seed(0)
    config = SymbolMlpConfig(name="symbol_mlp", latents=LATENTS, embedding=4, hidden=5)
    return config.create(20).double()


def symbols() -> Corpus:
    x = torch.arange(20)
    return Corpus({"train": x, "validation": x[:10], "test": x[10:]}, 20, "-", math.log(20))


def sentences() -> Corpus:
    """Thirty sentences of one to six tokens."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(5, (30, 6), generator=generator)
    lengths = torch.randint(1, 7, (30, 1), generator=generator)
    x = x.where(torch.arange(6) < lengths, PAD)
    return Corpus({"train": x, "validation": x[:20], "test": x[20:]}, 5, "-")


def test_figures_are_averages_over_the_split_that_is_asked_for() -> None:
    model, corpus = symbol_model(), symbols()

    figures = evaluate(model, corpus, EvaluationConfig(split="test", samples=7), seed=3)

    torch.manual_seed(3)
    scores = score(model.eval(), corpus.splits["test"], 7)
    exact = score_exactly(model, corpus.splits["test"])
    expected = {
        "split": "test",
        "observations": 10,
        "tokens": 1.0,
        "samples": 7,
        "nll": -np.mean(scores.log_p.numpy()),
        "mi": np.mean(scores.mi.numpy()),
        "elbo": np.mean(scores.elbo.numpy()),
        "kl": np.mean(scores.kl.numpy()),
        "nll_se": np.sqrt(np.sum(scores.log_p_variance.numpy())) / 10,
        "mi_se": np.sqrt(np.sum(scores.mi_variance.numpy())) / 10,
        "nll_mi_covariance": -np.sum(scores.log_p_mi_covariance.numpy()) / 100,
        "elbo_se": np.sqrt(np.sum(scores.elbo_variance.numpy())) / 10,
        "kl_se": 0.0,
        "ess": np.mean(scores.ess.numpy()),
        "ess_min": np.min(scores.ess.numpy()),
        "nll_exact": -np.mean(exact.log_p.numpy()),
        "mi_exact": np.mean(exact.mi.numpy()),
        "nll_floor": math.log(20),
        "mi_ceiling": math.log(9),
        "nll_sampling_se": None,
        "mi_sampling_se": None,
    }
    for name, value in expected.items():
        assert figures[name] == (
            pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
        ), name


def test_figures_per_token_are_those_per_sentence_over_the_mean_length() -> None:
    corpus = sentences()
    x = corpus.splits["validation"]

    figures = evaluate(sentence_model(), corpus, EvaluationConfig(samples=5), seed=0)

    tokens = int((x != PAD).sum()) / 20
    assert figures["tokens"] == pytest.approx(tokens)
    assert tokens > 2
    for name in ("nll", "mi", "elbo", "kl"):
        assert figures[f"{name}_per_token"] == pytest.approx(figures[name] / tokens)
    # Total nats over total tokens, not the mean of sentences' means.
    total_nll = figures["nll"] * 20
    assert figures["perplexity"] == pytest.approx(math.exp(total_nll / int((x != PAD).sum())))


def test_the_exact_figures_do_not_depend_on_the_order_of_sentences() -> None:
    corpus = sentences()
    model = sentence_model()
    exact = score_exactly(model.eval(), corpus.splits["validation"])

    figures = evaluate(model, corpus, EvaluationConfig(samples=5), seed=0)

    assert figures["nll_exact"] == pytest.approx(-exact.log_p.mean().item(), rel=1e-12)
    assert figures["mi_exact"] == pytest.approx(exact.mi.mean().item(), rel=1e-9)


def test_estimates_lie_within_their_errors_of_the_exact_figures() -> None:
    figures = evaluate(sentence_model(), sentences(), EvaluationConfig(samples=3_000), seed=0)

    for name in ("nll", "mi"):
        assert figures[f"{name}_se"] > 0
        assert abs(figures[name] - figures[f"{name}_exact"]) < 4 * figures[f"{name}_se"]


@pytest.mark.parametrize("training", [True, False])
def test_the_global_generator_and_the_mode_are_left_alone(training: bool) -> None:
    model = sentence_model().train(training)
    before = torch.get_rng_state()

    evaluate(model, sentences(), EvaluationConfig(samples=2), seed=0)

    assert torch.equal(torch.get_rng_state(), before)
    assert model.training == training
    assert model.output_dropout.training == training


def test_so_they_are_where_an_evaluation_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = sentence_model().train()
    before = torch.get_rng_state()

    def fail(*_: object) -> None:
        torch.rand(3)
        raise RuntimeError("no memory")

    monkeypatch.setattr(metrics_module, "score", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        evaluate(model, sentences(), EvaluationConfig(), seed=0)

    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_dropped_in_evaluation() -> None:
    model = sentence_model()

    trained = evaluate(model.train(), sentences(), EvaluationConfig(samples=4), seed=0)
    still = evaluate(model.eval(), sentences(), EvaluationConfig(samples=4), seed=0)

    assert trained == still


def test_the_same_seed_gives_the_same_figures_and_another_seed_others() -> None:
    model, corpus, config = symbol_model(), symbols(), EvaluationConfig(samples=4)

    first = evaluate(model, corpus, config, seed=1)
    torch.rand(5)

    assert evaluate(model, corpus, config, seed=1) == first
    other = evaluate(model, corpus, config, seed=2)
    assert other["nll"] != first["nll"]
    assert other["nll_exact"] == first["nll_exact"]


def test_a_subset_is_fixed_sorted_and_without_repeats() -> None:
    x = torch.arange(100) * 3

    part, n_split = subset(x, 30)
    torch.rand(5)

    assert n_split == 100
    assert torch.equal(subset(x, 30)[0], part)
    assert len(part) == len(part.unique()) == 30
    assert torch.equal(part, part.sort().values)
    assert set(part.tolist()) <= set(x.tolist())
    assert part.max() > 200  # not the beginning of the split
    assert part.min() < 100


@pytest.mark.parametrize("limit", [None, 100, 1_000])
def test_no_limit_is_reached_by_the_whole_split(limit: int | None) -> None:
    x = torch.arange(100)

    whole, n_split = subset(x, limit)

    assert torch.equal(whole, x)
    assert n_split == 100


def test_a_subset_has_the_sampling_error_of_a_draw_without_replacement() -> None:
    """Over all subsets of a split the mean of the squared error is its squared standard error."""
    values = torch.tensor([1.0, 4.0, 2.0, 8.0, 5.0, 7.0], dtype=torch.float64)
    errors, promised = [], []
    for chosen in torch.combinations(torch.arange(6), 4):
        part = values[chosen]
        errors.append((part.mean() - values.mean()).item() ** 2)
        promised.append(metrics_module._sampling_error(part, 1 - 4 / 6) ** 2)

    assert np.mean(promised) == pytest.approx(np.mean(errors))


def test_a_limited_evaluation_says_its_sampling_error_and_scores_the_subset() -> None:
    model, corpus = symbol_model(), symbols()
    config = EvaluationConfig(split="train", samples=6, limit=8)

    figures = evaluate(model, corpus, config, seed=0)

    part, _ = subset(corpus.splits["train"], 8)
    truth = score_exactly(model.eval(), part)
    assert figures["observations"] == 8
    assert figures["nll_floor"] is None  # that of all symbols is no floor for some
    for name, values in (("nll", truth.log_p), ("mi", truth.mi)):
        expected = np.sqrt(np.var(values.numpy(), ddof=1) / 8 * (1 - 8 / 20))
        assert figures[f"{name}_sampling_se"] == pytest.approx(expected)
        assert figures[f"{name}_per_token_sampling_se"] == pytest.approx(expected)
    estimated = EvaluationConfig(split="train", samples=6, limit=8, enumerate_up_to=0)
    figures_estimated = evaluate(model, corpus, estimated, seed=0)
    torch.manual_seed(0)
    spread = np.var(score(model, part, 6).log_p.numpy(), ddof=1)
    assert figures_estimated["nll_sampling_se"] == pytest.approx(
        np.sqrt(spread / 8 * (1 - 8 / 20))
    )
    assert figures["nll_exact"] == pytest.approx(-score_exactly(model, part).log_p.mean().item())


def test_the_sampling_error_per_token_is_that_of_a_ratio() -> None:
    """Values that are three times the length of a sentence have no error per token."""
    lengths = torch.tensor([1.0, 4.0, 9.0, 2.0]).double()
    noise = torch.tensor([0.1, -0.2, 0.2, -0.1]).double()

    assert _ratio_error(3 * lengths, lengths, 0.5) == pytest.approx(0.0)
    residual = 3 * lengths + noise
    residual = residual - residual.sum() / lengths.sum() * lengths
    expected = math.sqrt(residual.var().item() / 4 * 0.5) / 4.0
    assert _ratio_error(3 * lengths + noise, lengths, 0.5) == pytest.approx(expected)


def test_one_observation_has_no_sampling_error() -> None:
    config = EvaluationConfig(samples=4, limit=1)

    assert evaluate(symbol_model(), symbols(), config, seed=0)["nll_sampling_se"] is None


def test_what_cannot_be_enumerated_has_no_exact_figures() -> None:
    limited = EvaluationConfig(samples=4, enumerate_up_to=8)
    figures = evaluate(symbol_model(), symbols(), limited, seed=0)
    assert figures["nll_exact"] is None
    assert figures["mi_exact"] is None
    assert figures["mi_ceiling"] == pytest.approx(math.log(9))

    model = LinearGaussian()
    x = model.sample(20)
    corpus = Corpus({"validation": x}, 0, "-")
    figures = evaluate(model, corpus, EvaluationConfig(samples=4), seed=0)
    assert figures["nll_exact"] is None
    assert figures["mi_ceiling"] is None
    assert figures["nll_floor"] is None
    assert figures["nll"] == pytest.approx(-model.log_p(x).mean().item())


@pytest.mark.parametrize(
    "config",
    [
        {"samples": 1},
        {"samples": 100.0},
        {"split": "valid"},
        {"every": 0},
        {"limit": 0},
        {"limit": "10"},
        {"enumerate_up_to": -1},
        {"batch_size": 3},
        {"mi_batch_size": 1},
    ],
)
def test_settings_that_mean_nothing_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluationConfig.model_validate(config)


def test_a_tensor_of_sentences_is_left_as_it_was() -> None:
    corpus = sentences()
    before: Tensor = corpus.splits["validation"].clone()

    evaluate(sentence_model(), corpus, EvaluationConfig(samples=2), seed=0)

    assert torch.equal(corpus.splits["validation"], before)


class Elsewhere(WithoutEncoder):
    """Notes which shapes arrive on its device, "meta", from which no figure returns."""

    def __init__(self, latents: Latents) -> None:
        super().__init__(latents)
        self.weight = torch.nn.Parameter(torch.zeros((), device="meta"))
        self.seen: list[tuple[str, tuple[int, ...]]] = []

    def encode(self, x: Tensor) -> Encoding:
        self.seen.append((x.device.type, tuple(x.shape)))
        return Encoding(x, self.weight.new_zeros(len(x), self.latents.n_parameters))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        self.seen.append((x.device.type, tuple(x.shape)))
        return self.weight.new_zeros(len(z), len(x))


def test_sentences_go_to_the_models_device_in_batches_without_needless_padding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importance, "SAMPLES_AT_ONCE", 10)
    x = torch.tensor([[3, 1, 2, 0], [1, PAD, PAD, PAD], [2, 2, PAD, PAD], [4, PAD, PAD, PAD]])
    inferred = [("meta", (2, 1)), ("meta", (2, 4))]

    model = Elsewhere(GaussianLatents(kind="gaussian", dimensions=1))
    with pytest.raises(NotImplementedError, match="meta"):
        evaluate(
            model,
            Corpus({"validation": x}, 5, "-"),
            EvaluationConfig(samples=10, mi_batch_size=2),
            seed=0,
        )
    assert model.seen == [*inferred, *(("meta", (1, length)) for length in (1, 1, 2, 4))]

    model = Elsewhere(LATENTS)
    with pytest.raises(NotImplementedError, match="meta"):
        score_exactly(model, x[1:])
    assert model.seen == [("meta", (3, 2))]
