"""Stand-ins for the data of training runs."""

import pytest
import torch

from trainables.data.corpus import PAD, Corpus
from trainables.data.ptb import PennTreebank


@pytest.fixture
def ten_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand ten random sentences in for Penn Treebank."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(6, (10, 5), generator=generator)
    x = x.where(torch.arange(5) < torch.randint(1, 6, (10, 1), generator=generator), PAD)
    splits = {"train": x, "validation": x[:5], "test": x[5:]}
    monkeypatch.setattr(PennTreebank, "load", lambda self, root: Corpus(splits, 6, "-"))


LENGTHS = [1, 1, 1, 2, 2, 3, 3, 3, 3, 3]  # batches of 2: 2 + 1 + 3


@pytest.fixture
def short_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand ten random sentences in for Penn Treebank."""
    x = torch.randint(6, (10, 4), generator=torch.Generator().manual_seed(0))
    x = x.where(torch.arange(4) < torch.tensor(LENGTHS)[:, None], PAD)
    splits = {"train": x, "validation": x.flip(0)[:7], "test": x[5:]}
    monkeypatch.setattr(PennTreebank, "load", lambda self, root: Corpus(splits, 6, "-"))
