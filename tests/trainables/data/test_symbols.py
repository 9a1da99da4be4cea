"""The uniform source: its observations, its floor and its identity."""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from trainables.data.symbols import Symbols

NOWHERE = Path("/nonexistent")


def test_every_split_is_each_symbol_once() -> None:
    corpus = Symbols(name="symbols", vocabulary=5).load(NOWHERE)

    assert set(corpus.splits) == {"train", "validation", "test"}
    for split in corpus.splits.values():
        torch.testing.assert_close(split, torch.tensor([0, 1, 2, 3, 4]), rtol=0, atol=0)
    assert corpus.vocabulary == 5


def test_the_vocabulary_is_the_published_one_by_default() -> None:
    assert Symbols(name="symbols").vocabulary == 10_000


@pytest.mark.parametrize("vocabulary", [2, 256, 10_000])
def test_the_floor_is_the_entropy_of_the_source(vocabulary: int) -> None:
    corpus = Symbols(name="symbols", vocabulary=vocabulary).load(NOWHERE)
    entropy = -math.fsum([math.log(1 / vocabulary) / vocabulary] * vocabulary)

    assert corpus.nll_floor == pytest.approx(entropy, rel=1e-12)


def test_the_checksum_tells_sources_apart_and_stays() -> None:
    # printf symbols:8 | sha256sum
    expected = "a1189a0e03c43be4d4148234f38d9e8af3f4938362e659b2a6a50a39a18ab217"

    assert Symbols(name="symbols", vocabulary=8).load(NOWHERE).sha256 == expected
    assert Symbols(name="symbols", vocabulary=9).load(NOWHERE).sha256 != expected


@pytest.mark.parametrize("vocabulary", [1, 0, -3, "8", 8.0, True])
def test_a_vocabulary_must_be_a_whole_number_of_at_least_two(vocabulary: object) -> None:
    with pytest.raises(ValidationError, match="vocabulary"):
        Symbols.model_validate({"name": "symbols", "vocabulary": vocabulary})
