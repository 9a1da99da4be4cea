"""Codebooks against traces by hand, and the model round them against enumeration."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from trainables.evaluation.enumeration import score_exactly
from trainables.models.latents import VqLatents
from trainables.models.symbol import SymbolMlpConfig
from trainables.models.vq import Codebook, VqModel

VOCABULARY, VARIABLES, CATEGORIES, DIMENSION = 7, 2, 3, 2
X = torch.arange(VOCABULARY)


def latents(**settings: Any) -> VqLatents:
    sizes = {"variables": VARIABLES, "categories": CATEGORIES, "dimension": DIMENSION}
    return VqLatents(kind="vq", **{**sizes, **settings})


def codebook(codes: list[Any] | None = None, **settings: Any) -> Codebook:
    torch.manual_seed(0)
    made = Codebook(latents(**settings)).double()
    if codes is not None:
        made.codes.data = torch.tensor(codes, dtype=torch.float64)
    return made


def model(**settings: Any) -> VqModel:
    torch.manual_seed(0)
    join = settings.pop("join", "concatenate")
    config = SymbolMlpConfig(
        name="symbol_mlp", latents=latents(**settings), embedding=4, hidden=5, join=join
    )
    made = config.create(VOCABULARY).double()
    assert isinstance(made, VqModel)
    with torch.no_grad():  # codes among what is quantised, so that several are in use
        made.codebook.codes.copy_(torch.randn_like(made.codebook.codes) / 2)
        dict(made.base.named_parameters())["to_posterior.weight"].mul_(5)
    return made


def vectors(*rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_the_nearest_code_is_chosen_and_the_first_of_equals() -> None:
    shared = codebook([[[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]])
    apart = codebook([[[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]], [[9.0, 9.0], [2.0, 1.0], [0.0, 0.0]]])
    given = vectors([[0.4, 0.5], [1.7, 1.2]], [[1.0, 0.0], [0.0, 1.1]], [[-1.0, 9.0], [8.0, 8.0]])

    assert shared.nearest(given).tolist() == [[0, 1], [0, 2], [2, 1]]
    assert apart.nearest(given).tolist() == [[0, 1], [0, 2], [2, 0]]


@pytest.mark.parametrize("shared", [True, False])
def test_the_nearest_code_is_that_of_the_smallest_difference(shared: bool) -> None:
    book = codebook(shared=shared, categories=20, dimension=5)
    given = torch.randn(30, VARIABLES, 5).double() / 20 + 1e5  # a product would lose these digits
    book.codes.data += 1e5

    for row, chosen in zip(given, book.nearest(given), strict=True):
        for variable in range(VARIABLES):
            codes = book.codes[0 if shared else variable]
            distances = (codes - row[variable]).square().sum(dim=-1)
            assert chosen[variable] == distances.argmin()


@pytest.mark.parametrize(("shared", "books"), [(True, 1), (False, VARIABLES)])
def test_codes_start_uniform_within_one_over_their_number(shared: bool, books: int) -> None:
    codes = codebook(shared=shared, categories=100, dimension=50).codes * 100

    assert codes.shape == (books, 100, 50)
    assert 0.99 < codes.max() <= 1
    assert -1 <= codes.min() < -0.99
    assert abs(codes.mean()) < 5 / math.sqrt(3 * codes.numel())


@pytest.mark.parametrize(
    ("smoothing", "after_one", "after_two"),
    [(0.0, [2.0, 10.0], [3.0, 10.0]), (1.0, [20 / 9, 25 / 3], [132 / 35, 5.5])],
)
def test_codes_are_smoothed_averages_that_start_at_zero_by_hand(
    smoothing: float, after_one: list[float], after_two: list[float]
) -> None:
    """Decay 1/2, two codes of one number.

    First 1 and 3 come to code 0, and 10 to code 1: N is half of (2, 1), m half of (4, 10), and an
    average of ones is 1/2. Then 4 comes to code 0: N = (1, 1/4), m = (3, 5/2), ones 3/4. Read are
    N = (4/3, 1/3) and m = (4, 10/3), the former as (N + eps) / (5/3 + 2 eps) 5/3.
    """
    book = codebook([[[0.5], [-0.5]]], variables=1, categories=2, dimension=1)

    book.follow(vectors([[1.0]], [[3.0]], [[10.0]]), torch.tensor([[0], [0], [1]]), 0.5, smoothing)
    assert book.codes[0, :, 0].tolist() == pytest.approx(after_one, rel=1e-14)
    book.follow(vectors([[4.0]]), torch.tensor([[0]]), 0.5, smoothing)
    assert book.codes[0, :, 0].tolist() == pytest.approx(after_two, rel=1e-14)

    # Neither the correction nor the smoothing is in what is kept.
    assert book.counts.tolist() == [[1.0, 0.25]]
    assert book.sums[0, :, 0].tolist() == [3.0, 2.5]
    assert book.weight == 0.75


def test_many_updates_are_the_weighted_mean_of_all_that_came() -> None:
    """After T updates, m and N are sums weighed by (1 - d) d^(T - t), and so is their ratio."""
    decay, n_updates = 0.9, 200
    book = codebook(variables=1, categories=2, dimension=1)
    values = torch.randn(n_updates, 3).double()
    first = torch.zeros(3, 1, dtype=torch.int64)
    for batch in values:
        book.follow(batch[:, None, None], first, decay, 0.0)

    weight = decay ** torch.arange(n_updates - 1, -1, -1).double()
    expected = (weight[:, None] * values).sum() / (3 * weight.sum())
    torch.testing.assert_close(book.codes[0, 0, 0], expected)
    torch.testing.assert_close(book.weight, torch.tensor(1 - decay**n_updates).double())


@pytest.mark.parametrize("shared", [True, False])
def test_variables_that_share_a_book_count_together(shared: bool) -> None:
    book = codebook(shared=shared)
    start = book.codes.detach().clone()
    given = vectors([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
    index = torch.tensor([[0, 0], [1, 0]])

    assert book.usage(index).tolist() == ([[3, 1, 0]] if shared else [[1, 1, 0], [2, 0, 0]])
    book.follow(given, index, 0.9, 1e-12)

    means = [[[11 / 3, 14 / 3], [5, 6]]] if shared else [[[1, 2], [5, 6]], [[5, 6], start[1, 1]]]
    for of_book, expected in zip(book.codes, means, strict=True):
        for code, mean in zip(of_book, expected, strict=False):
            assert code.tolist() == pytest.approx(list(map(float, mean)), rel=1e-9)


def test_a_code_that_nothing_came_to_yet_stays_where_it_started_to_the_bit() -> None:
    book = codebook()
    start = book.codes.detach().clone()

    for _ in range(5):
        book.follow(torch.ones(4, 2, 2).double(), torch.ones(4, 2, dtype=torch.int64), 0.99, 1e-5)

    assert torch.equal(book.codes[0, [0, 2]], start[0, [0, 2]])
    assert not torch.equal(book.codes[0, 1], start[0, 1])


def test_a_code_that_is_left_stays_at_its_mean_as_long_as_it_weighs_anything() -> None:
    book = codebook([[[0.0], [0.0]]], variables=1, categories=2, dimension=1)
    book.follow(vectors([[5.0]]), torch.tensor([[0]]), 0.9, 1e-9)
    for _ in range(50):
        book.follow(vectors([[7.0]]), torch.tensor([[1]]), 0.9, 1e-9)

    assert book.codes[0, :, 0].tolist() == pytest.approx([5.0, 7.0], rel=1e-5)

    # After 240 steps its count is 1e-12, a thousandth of the smoothing, which then outweighs it.
    for _ in range(190):
        book.follow(vectors([[7.0]]), torch.tensor([[1]]), 0.9, 1e-9)
    count = 0.1 * 0.9**240
    expected = [5.0 * count / (count + 1e-9), 7.0]
    assert book.codes[0, :, 0].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_one_hot_z_reads_the_codes_that_an_index_looks_up(shared: bool) -> None:
    book = codebook(shared=shared)
    index = torch.tensor([[0, 2], [1, 1], [2, 0]])
    z = torch.nn.functional.one_hot(index, CATEGORIES).double()[None]

    looked_up = book.look_up(index)

    assert torch.equal(book.read(z)[0], looked_up)
    assert torch.equal(looked_up[0, 1], book.codes[0 if shared else 1, 2])


def test_q_is_certain_of_the_nearest_code_and_nothing_of_it_is_infinite() -> None:
    made = model()
    index = made.codebook.nearest(made.vectors(X))
    q, p = made.posterior(X), made.prior()
    z = q.sample((5,))

    assert len(index.unique(dim=0)) > 1
    assert (z.argmax(dim=-1) == index).all()
    assert torch.equal(q.log_prob(z), torch.zeros(5, VOCABULARY).double())
    assert torch.equal(q.entropy(), torch.zeros(VOCABULARY).double())
    assert made.encode(X).parameters.isfinite().all()
    rate = torch.full((VOCABULARY,), VARIABLES * math.log(CATEGORIES)).double()
    torch.testing.assert_close(kl_divergence(q, p), rate)


@pytest.mark.parametrize("join", ["concatenate", "sum"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_probabilities_of_all_symbols_sum_to_one(shared: bool, join: str) -> None:
    made = model(shared=shared, join=join)

    exact = score_exactly(made, X)

    torch.testing.assert_close(exact.log_p.exp().sum(), torch.tensor(1.0).double())
    assert (exact.mi >= 0).all()
    assert exact.mi.mean() <= VARIABLES * math.log(CATEGORIES)
    # p(x) = 1/J^L sum_z p(x|z), with what the decoder makes of the codes themselves.
    book = made.codebook.codes.expand(VARIABLES, -1, -1)
    pairs = [torch.stack([a, b]) for a in book[0] for b in book[1]]
    log_p = torch.cat([made.base.log_likelihood(X, pair[None, None]) for pair in pairs])
    torch.testing.assert_close(exact.log_p, log_p.logsumexp(dim=0) - math.log(CATEGORIES**2))


def test_the_decoder_reads_codes_in_the_place_of_embeddings() -> None:
    made = model()
    parts = dict(made.base.named_parameters())
    codes = torch.randn(3, VOCABULARY, VARIABLES, DIMENSION).double()

    hidden = (codes.flatten(2) @ parts["decoder.1.weight"].T + parts["decoder.1.bias"]).tanh()
    logits = hidden @ parts["softmax.logits.weight"].T + parts["softmax.logits.bias"]
    expected = logits.log_softmax(dim=-1)[:, X, X]

    torch.testing.assert_close(made.log_likelihood_of_codes(X, codes), expected)
    assert parts["to_posterior.weight"].shape == (VARIABLES * DIMENSION, 5)


def test_the_encoder_alone_infers() -> None:
    made = model()
    inferring = {id(parameter) for parameter in made.inference_parameters()}

    assert inferring == {
        id(parameter)
        for name, parameter in made.named_parameters()
        if name.startswith(("base.encoder.", "base.to_posterior."))
    }
    assert set(made.state_dict()) >= {
        f"codebook.{part}" for part in ("codes", "counts", "sums", "weight")
    }
