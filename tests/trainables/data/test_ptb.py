"""Penn Treebank: its encoding, on a corpus written by hand, and its published figures."""

import hashlib
import os
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from trainables.data.corpus import PAD, Corpus, RemoteFile
from trainables.data.files import DataError
from trainables.data.ptb import PennTreebank
from trainables.data.text import build_vocabulary

TRAIN = " the cat sat \n the <unk> sat down \n the end \n"
VALID = " a cat \n"
TEST = " down the dog sat \n\n"

# "the" thrice and "sat" twice; then, once each, by code point: "<" sorts before letters.
TOKENS = {"<eos>": 0, "the": 1, "sat": 2, "<unk>": 3, "cat": 4, "down": 5, "end": 6}


def write(root: Path, name: str, text: str) -> RemoteFile:
    (root / name).write_text(text)
    content = text.encode()
    return RemoteFile(name, "", len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def tiny(tmp_path: Path) -> type[PennTreebank]:
    """A data set like Penn Treebank whose three files were written by hand."""

    class Tiny(PennTreebank):
        files = (
            write(tmp_path, "train.txt", TRAIN),
            write(tmp_path, "valid.txt", VALID),
            write(tmp_path, "test.txt", TEST),
        )

    return Tiny


def test_tokens_are_numbered_by_frequency_then_spelling_after_the_end_symbol() -> None:
    vocabulary = build_vocabulary(TRAIN.splitlines(), "<unk>")

    assert list(vocabulary.items()) == list(TOKENS.items())


def test_every_line_becomes_its_words_one_end_symbol_and_padding(
    tiny: type[PennTreebank], tmp_path: Path
) -> None:
    corpus = tiny(name="ptb").load(tmp_path)

    expected = {
        "train": [[1, 4, 2, 0, PAD], [1, 3, 2, 5, 0], [1, 6, 0, PAD, PAD]],
        "validation": [[3, 4, 0]],  # "a" is not in the training file
        "test": [[5, 1, 3, 2, 0], [0, PAD, PAD, PAD, PAD]],  # an empty line is a sentence too
    }
    assert set(corpus.splits) == set(expected)
    for split, sentences in corpus.splits.items():
        torch.testing.assert_close(sentences, torch.tensor(expected[split]), rtol=0, atol=0)
    assert corpus.vocabulary == len(TOKENS)
    assert corpus.nll_floor is None


@pytest.mark.parametrize(
    ("max_tokens", "expected"),
    [
        (1, [[1], [1], [1]]),
        (3, [[1, 4, 2], [1, 3, 2], [1, 6, 0]]),
        (4, [[1, 4, 2, 0], [1, 3, 2, 5], [1, 6, 0, PAD]]),
        (99, [[1, 4, 2, 0, PAD], [1, 3, 2, 5, 0], [1, 6, 0, PAD, PAD]]),
    ],
)
def test_the_cut_counts_the_end_symbol_so_a_cut_sentence_has_none(
    max_tokens: int, expected: list[list[int]], tiny: type[PennTreebank], tmp_path: Path
) -> None:
    train = tiny(name="ptb", max_tokens=max_tokens).load(tmp_path).splits["train"]

    torch.testing.assert_close(train, torch.tensor(expected), rtol=0, atol=0)


def test_a_smaller_vocabulary_keeps_the_most_frequent_words(
    tiny: type[PennTreebank], tmp_path: Path
) -> None:
    corpus = tiny(name="ptb", max_vocabulary=4).load(tmp_path)

    assert corpus.vocabulary == 4  # the end symbol, "the", "sat" and "<unk>"
    train = torch.tensor([[1, 3, 2, 0, PAD], [1, 3, 2, 3, 0], [1, 3, 0, PAD, PAD]])
    torch.testing.assert_close(corpus.splits["train"], train, rtol=0, atol=0)


def test_a_smaller_training_set_is_a_part_of_it_and_has_its_own_vocabulary(
    tiny: type[PennTreebank], tmp_path: Path
) -> None:
    whole, part = tiny(name="ptb").load(tmp_path), tiny(name="ptb", train_limit=1).load(tmp_path)

    assert len(part.splits["train"]) == 1
    assert part.vocabulary < whole.vocabulary
    assert [len(part.splits[n]) for n in ("validation", "test")] == [1, 2]


def test_a_trial_on_the_published_data_keeps_its_identity() -> None:
    stored = PennTreebank(name="ptb").model_dump(mode="json", by_alias=True)

    assert stored == {"name": "ptb", "max_tokens": 35}
    smaller = PennTreebank(name="ptb", max_vocabulary=9, train_limit=8).model_dump(mode="json")
    assert smaller == {**stored, "max_vocabulary": 9, "train_limit": 8}


def test_the_checksum_is_of_the_content_and_not_of_the_cut(
    tiny: type[PennTreebank], tmp_path: Path
) -> None:
    whole, cut = tiny(name="ptb").load(tmp_path), tiny(name="ptb", max_tokens=2).load(tmp_path)

    class Other(tiny):  # type: ignore[misc,valid-type]
        files = (*tiny.files[:2], write(tmp_path, "test.txt", "the end\n"))

    assert whole.sha256 == cut.sha256
    assert Other(name="ptb").load(tmp_path).sha256 != whole.sha256


def test_a_file_that_was_changed_is_refused(tiny: type[PennTreebank], tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_text(VALID.replace("cat", "dog"))

    with pytest.raises(DataError, match=r"checksum is wrong of valid\.txt: run .* --force"):
        tiny(name="ptb").load(tmp_path)


def test_files_that_are_missing_are_named_with_the_command_that_gets_them(
    tiny: type[PennTreebank], tmp_path: Path
) -> None:
    (tmp_path / "train.txt").unlink()
    (tmp_path / "test.txt").unlink()

    with pytest.raises(DataError, match=r"lacks train\.txt, test\.txt: run `sweeper data fetch"):
        tiny(name="ptb").load(tmp_path)


@pytest.mark.parametrize("max_tokens", [0, -1, 35.0, "35"])
def test_sentences_are_cut_to_a_positive_whole_number(max_tokens: object) -> None:
    with pytest.raises(ValidationError, match="max_tokens"):
        PennTreebank.model_validate({"name": "ptb", "max_tokens": max_tokens})


@pytest.fixture(scope="module")
def published() -> Path:
    """The directory with the real files."""
    if "SWEEPER_DATA_DIR" not in os.environ:
        pytest.skip("SWEEPER_DATA_DIR does not say where the Penn Treebank files are")
    return Path(os.environ["SWEEPER_DATA_DIR"])


@pytest.fixture(scope="module")
def uncut(published: Path) -> Corpus:
    return PennTreebank(name="ptb", max_tokens=1_000).load(published)


@pytest.fixture(scope="module")
def cut(published: Path) -> Corpus:
    return PennTreebank(name="ptb").load(published)


def test_the_published_content_has_the_checksum_that_stored_rows_name(cut: Corpus) -> None:
    assert cut.sha256 == "e608be97f6eb722091d84afabe24e2c0aa7597d745d6441c29ee6fd7ef1431c0"


def test_the_published_vocabulary_has_10000_tokens(cut: Corpus) -> None:
    assert cut.vocabulary == 10_000
    assert torch.unique(cut.splits["train"]).tolist() == [PAD, *range(10_000)]


@pytest.mark.parametrize(
    ("split", "lines", "tokens"),
    [("train", 42_068, 929_589), ("validation", 3_370, 73_760), ("test", 3_761, 82_430)],
)
def test_the_published_lines_and_tokens(
    split: str, lines: int, tokens: int, uncut: Corpus
) -> None:
    sentences = uncut.splits[split]

    assert len(sentences) == lines
    assert (sentences == 0).sum() == lines  # one end symbol a line
    assert (sentences != PAD).sum() == tokens


def test_the_longest_training_line_has_82_words(uncut: Corpus) -> None:
    assert uncut.splits["train"].shape == (42_068, 83)


@pytest.mark.parametrize(("split", "mean"), [("train", 21.41), ("validation", 21.26)])
def test_the_published_tokens_a_sentence_after_the_cut(
    split: str, mean: float, cut: Corpus
) -> None:
    sentences = cut.splits[split]

    assert sentences.shape[1] == 35
    assert round(((sentences != PAD).sum() / len(sentences)).item(), 2) == mean


def test_the_cut_takes_three_per_cent_of_the_training_tokens(cut: Corpus, uncut: Corpus) -> None:
    kept = (cut.splits["train"] != PAD).sum() / (uncut.splits["train"] != PAD).sum()

    assert round(1 - kept.item(), 3) == 0.031


def test_padding_follows_the_end_symbol_and_nothing_else(cut: Corpus) -> None:
    for sentences in cut.splits.values():
        before, after = sentences[:, :-1], sentences[:, 1:]
        torch.testing.assert_close(after == PAD, (before == 0) | (before == PAD))
