"""Meters that are asked for: what they give, on what, and what they leave alone."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.trainables.evaluation.test_collapse import shifted
from trainables.data.corpus import PAD, Corpus
from trainables.evaluation.config import EvaluationConfig
from trainables.evaluation.meters import measure
from trainables.evaluation.metrics import chosen
from trainables.models.latents import CategoricalLatents, GaussianLatents, Latents
from trainables.models.model import Encoding, Model
from trainables.models.symbol import SymbolMlpConfig

GAUSSIAN = GaussianLatents(kind="gaussian", dimensions=4)
ALL = {"collapse": {}, "probes": {"train": 40, "k": 5}, "tsne": {"points": 10, "perplexity": 3.0}}


class Table(Model):
    """A model whose posteriors are rows of a table, by the symbol x."""

    def __init__(self, table: Tensor, latents: Latents = GAUSSIAN) -> None:
        super().__init__(latents)
        self.table = torch.nn.Parameter(table)

    def encode(self, x: Tensor) -> Encoding:
        x = x if x.dim() == 1 else x[:, 0]
        assert not self.training
        return Encoding(x, self.table[x])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        raise AssertionError("meters need no likelihood")

    new_encoder = inference_parameters = log_likelihood  # type: ignore[assignment]


def config(meters: dict[str, Any] | None, **settings: Any) -> EvaluationConfig:
    return EvaluationConfig.model_validate({"meters": meters, **settings})


def means() -> Tensor:
    """Ten symbols, two classes told apart by the second of four dimensions; the last is dead."""
    table = torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    table *= torch.tensor([0.3, 0.05, 0.1, 0.0], dtype=torch.float64)
    table[5:, 1] += 4.0
    return table


def model() -> Table:
    return Table(torch.cat([means(), torch.zeros(10, 4, dtype=torch.float64)], dim=1))


def corpus(**changes: Any) -> Corpus:
    x = {"train": torch.arange(10).repeat(8), "validation": torch.arange(10).repeat(3)}
    labels = {split: (some >= 5).long() for split, some in x.items()}
    return Corpus(x, 10, "-", labels=labels)._replace(**changes)


def test_the_curve_is_a_row_a_dimension_by_rising_epsilon() -> None:
    figures, tables = measure(model(), corpus(), config({"collapse": {"delta": 0.1}}), seed=0)
    kl = means() ** 2 / 2
    steps = kl.repeat(3, 1).sort(dim=0).values[30 - 3 - 1]
    order = steps.argsort()
    curve = tables["curves"]

    assert set(tables) == {"curves"}
    assert figures == {"collapsed_share": (steps < 0.01).double().mean().item()}
    assert 0 < figures["collapsed_share"] < 1
    np.testing.assert_allclose(curve["epsilon"], steps[order])
    assert curve["share"] == [0.25, 0.5, 0.75, 1.0]
    assert curve["dimension"] == order.tolist()
    np.testing.assert_allclose(curve["kl"], kl.mean(dim=0)[order])
    np.testing.assert_allclose(
        curve["mean_variance"], means().repeat(3, 1).var(dim=0)[order], atol=1e-15
    )
    assert curve["delta"] == [0.1] * 4
    assert curve["observations"] == [30] * 4


def test_dimensions_that_collapse_at_once_share_a_step() -> None:
    kl = torch.tensor([[0.5, 0.1, 0.1, 0.1]], dtype=torch.float64).expand(10, 4)
    table = measure(Table(shifted(kl)), corpus(), config({"collapse": {}}), 0).tables["curves"]

    assert table["share"] == [0.75, 0.75, 0.75, 1.0]


def test_categories_have_a_curve_without_variances_of_means() -> None:
    latents = CategoricalLatents(kind="categorical", variables=2, categories=3)
    model = Table(torch.zeros(10, 6), latents)
    figures, tables = measure(model, corpus(), config({"collapse": {}, "tsne": {}}), seed=0)

    assert figures == {"collapsed_share": 1.0}
    assert tables["curves"]["mean_variance"] == [None, None]
    assert len(tables["embeddings"]["x"]) == 30


def test_probes_say_how_many_they_were_fitted_on_and_what_chance_would_do() -> None:
    skewed = corpus(labels={s: (x >= 5).long() for s, x in corpus().splits.items()})
    figures, tables = measure(model(), skewed, config({"probes": {"train": 40, "k": 90}}), 0)
    known = (skewed.splits["train"] >= 5)[chosen(80, 40)].long()

    assert tables == {}
    assert figures["probe_accuracy"] == 1.0
    assert figures["probe_accuracy_se"] == 0.0
    assert figures["knn_k"] == figures["probe_train"] == 40  # no more than there are
    assert known.double().mean() != 0.5
    assert figures["knn_accuracy"] == figures["probe_chance"] == 0.5  # with all of them voting


def test_labels_follow_their_observations_through_the_order_of_encoding() -> None:
    """Sentences are encoded by length; the label of one is its first word."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(10, (60, 5), generator=generator)
    x = x.where(torch.arange(5) < torch.randint(1, 6, (60, 1), generator=generator), PAD)
    labels = (x[:, 0] >= 5).long()
    sentences = Corpus(
        {"train": x, "validation": x}, 10, "-", labels={"train": labels, "validation": labels}
    )
    figures, tables = measure(model(), sentences, config(ALL, limit=30), seed=0)
    embedded = tables["embeddings"]

    assert figures["probe_accuracy"] == figures["knn_accuracy"] == 1.0
    assert embedded["observation"] == chosen(60, 30)[chosen(30, 10)].tolist()
    assert embedded["class"] == labels[embedded["observation"]].tolist()
    assert embedded["perplexity"] == [3.0] * 10
    on_one_side = np.array(embedded["x"]) > np.median(embedded["x"])
    assert len(embedded["y"]) == len(on_one_side) == 10


@pytest.mark.parametrize("labels", [None, {"validation": torch.zeros(30).long()}], ids=str)
def test_without_labels_to_learn_from_probes_are_absent(labels: dict[str, Tensor] | None) -> None:
    figures, tables = measure(model(), corpus(labels=labels), config(ALL), seed=0)

    assert set(figures) == {"collapsed_share"}
    assert set(tables) == {"curves", "embeddings"}
    assert (tables["embeddings"]["class"][0] is None) == (labels is None)


def test_nothing_else_is_touched_and_nothing_random_matters() -> None:
    measured = model().train()
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = measure(measured, corpus(), config(ALL), seed=1)

    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert measured.training
    torch.manual_seed(6)
    assert measure(measured, corpus(), config(ALL), seed=1) == first


@pytest.mark.parametrize(
    ("meters", "settings", "problem"),
    [
        ({}, {}, "names no meter; name collapse, probes or tsne"),
        ({"at": "every"}, {}, "names no meter"),
        ({"probes": {}}, {"split": "train"}, "measured on another one; set split to validation"),
        ({"collapse": {"delta": 1.0}}, {}, "less than 1"),
        ({"collapse": {"epsilon": 0.0}}, {}, "greater than 0"),
        ({"probes": {"k": 0}}, {}, "greater than 0"),
        ({"tsne": {"perplexity": 0.5}}, {}, "greater than or equal to 1"),
        ({"tsne": {"points": 2001}}, {}, "less than or equal to 2000"),  # reports stay small
        ({"umap": {}}, {}, "Extra inputs"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    meters: dict[str, Any], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        config(meters, **settings)


def test_a_model_with_parameters_in_single_precision_is_measured_in_double() -> None:
    torch.manual_seed(0)
    made = SymbolMlpConfig(name="symbol_mlp", latents=GAUSSIAN, embedding=3, hidden=4).create(10)
    figures, tables = measure(made, corpus(), config(ALL), seed=0)

    assert set(figures) >= {"collapsed_share", "probe_accuracy", "knn_accuracy"}
    assert all(isinstance(value, float) for value in tables["curves"]["epsilon"])
