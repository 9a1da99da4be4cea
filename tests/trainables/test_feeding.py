"""What training is fed: images drawn anew, and figures of the validation set."""

import math

import pytest
import torch
from torch import Tensor

from trainables.data.corpus import PAD, Corpus
from trainables.feeding import TrainingData, Validation, elbo_loss
from trainables.models.symbol import SymbolMlp, SymbolMlpConfig

CPU = torch.device("cpu")
GREY = torch.tensor([[[0, 255], [51, 204]]] * 8, dtype=torch.uint8)
LENGTHS = torch.tensor([4, 2, 4, 1, 2, 4])
SENTENCES = torch.arange(6)[:, None].expand(6, 5).where(torch.arange(5) < LENGTHS[:, None], PAD)


def images(grey: Tensor | None = GREY) -> TrainingData:
    x = torch.full((8, 2, 2), 1, dtype=torch.uint8)
    return TrainingData(Corpus({"train": x}, 2, "-", grey=grey), "shuffled", 4, 0, CPU)


def model(vocabulary: int = 6) -> SymbolMlp:
    config = {"name": "symbol_mlp", "embedding": 3, "hidden": 4}
    latents = {"kind": "gaussian", "dimensions": 2}
    torch.manual_seed(0)
    return SymbolMlp(SymbolMlpConfig.model_validate(config | {"latents": latents}), vocabulary)


# To train on ----------------------------------------------------------------------------------


def test_grey_images_are_drawn_anew_for_every_batch_from_the_global_generator() -> None:
    data = images()
    torch.manual_seed(0)
    draws = [data.batch(0) for _ in range(500)]

    assert all(x.shape == (4, 2, 2) and x.dtype == torch.uint8 for x in draws)
    mean = torch.stack(draws).double().mean(dim=(0, 1))
    assert mean[0].tolist() == [0, 1]  # black and white are certain
    expected = torch.tensor([0.2, 0.8], dtype=torch.float64)
    torch.testing.assert_close(mean[1], expected, rtol=0, atol=4 * 0.4 / 2000**0.5)
    torch.manual_seed(0)
    assert torch.equal(data.batch(0), draws[0])
    assert not torch.equal(data.batch(0), draws[0])


def test_images_without_grey_values_are_taken_as_they_are_and_draw_nothing() -> None:
    before = torch.get_rng_state()

    assert torch.equal(images(grey=None).batch(0), torch.ones(4, 2, 2, dtype=torch.uint8))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_of_one_length_have_no_padding() -> None:
    data = TrainingData(Corpus({"train": SENTENCES}, 6, "-"), "exact_length", 2, 0, CPU)

    batches = [data.batch(step) for step in range(4)] + [data.random() for _ in range(20)]

    assert not any((x == PAD).any() for x in batches)
    seen = torch.cat([x[:, 0] for x in batches[:4]])
    assert sorted(seen.tolist()) == [0, 1, 2, 3, 4, 5]


# To validate on -------------------------------------------------------------------------------


def shapes(batching: str, limit: int | None = None) -> list[tuple[int, ...]]:
    corpus = Corpus({"validation": SENTENCES}, 6, "-")
    validation = Validation(corpus, batching, 2, 0, CPU)  # type: ignore[arg-type]
    found: list[tuple[int, ...]] = []

    def note(model: object, batches: object) -> float:
        found.extend(tuple(x.shape) for x in batches)  # type: ignore[attr-defined]
        return 0.0

    validation.measure(model(), note, limit)
    return found


def test_validation_batches_are_like_those_of_training() -> None:
    assert shapes("exact_length") == [(1, 1), (2, 2), (2, 4), (1, 4)]
    assert shapes("shuffled") == [(2, 2), (2, 4), (2, 4)]  # of like length
    assert sum(rows for rows, _ in shapes("shuffled", limit=3)) == 3


def test_what_follows_in_a_file_does_not_meet_in_a_batch() -> None:
    symbols = torch.arange(1000)
    found: list[Tensor] = []

    def note(given: object, batches: object) -> float:
        found.extend(batches)  # type: ignore[call-overload]
        return 0.0

    validation = Validation(Corpus({"validation": symbols}, 1000, "-"), "shuffled", 10, 7, CPU)
    validation.measure(model(), note)
    once, spread = torch.cat(found), [int(x.max() - x.min()) for x in found]
    found.clear()
    validation.measure(model(), note)

    assert torch.equal(once.sort().values, symbols)
    assert min(spread) > 100
    assert torch.equal(torch.cat(found), once)


def test_measuring_is_repeatable_and_leaves_everything_as_it_was() -> None:
    validation = Validation(Corpus({"validation": torch.arange(6)}, 6, "-"), "shuffled", 4, 1, CPU)
    measured, modes = model(), []

    def noise(given: object, batches: object) -> float:
        modes.append(measured.training)
        assert not torch.is_grad_enabled()
        return torch.randn(()).item()

    torch.manual_seed(3)
    before = torch.get_rng_state()
    figures = [validation.measure(measured.train(mode), noise) for mode in (True, False)]

    assert figures[0] == figures[1]
    assert modes == [False, False]
    assert not measured.training
    assert torch.equal(torch.get_rng_state(), before)
    other = Validation(validation.corpus, "shuffled", 4, 2, CPU)
    assert other.measure(measured, noise) != figures[0]


def test_the_elbo_loss_is_the_mean_over_observations_of_nll_and_kl() -> None:
    """A decoder that does not look at z leaves nothing to chance."""
    blind = model()
    x = torch.arange(6)
    with torch.no_grad():
        first = blind.decoder[1]
        first.weight.zero_()
        mean, log_variance = blind.encode(x).parameters.double().chunk(2, dim=-1)
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=-1)
        log_p = blind.log_likelihood(x, torch.zeros(1, 6, 2))[0].double()

        loss = elbo_loss(blind, [x[:4], x[4:]])

    assert loss == pytest.approx((kl - log_p).mean().item(), rel=1e-6)
    assert kl.mean() > 0.01
    assert not math.isclose(loss, -log_p.mean().item(), rel_tol=1e-3)
