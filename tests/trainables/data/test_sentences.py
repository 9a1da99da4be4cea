"""Yahoo and Yelp, published and small: on files written by hand, and the real small ones."""

import gzip
import os
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from trainables.data.corpus import PAD, Corpus, RemoteFile
from trainables.data.files import DataError, sha256
from trainables.data.sentences import TextData, WithoutTrainingFile
from trainables.data.yahoo import Yahoo, YahooSmall
from trainables.data.yelp import Yelp, YelpShort


def write(root: Path, name: str, text: str) -> RemoteFile:
    content = text.encode()
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return RemoteFile(name, "", None, sha256(content))


@pytest.fixture
def yahoo(tmp_path: Path) -> type[Yahoo]:
    """A data set like Yahoo whose three files were written by hand."""

    class Tiny(Yahoo):
        files = (
            write(tmp_path, "yahoo/train.txt", "b a _UNK\nb a c\nb d\n"),
            write(tmp_path, "yahoo/valid.txt", "c b\n"),
            write(tmp_path, "yahoo/test.txt", "e _UNK\nd\n"),
        )

    return Tiny


def rows(corpus: Corpus) -> dict[str, list[list[int]]]:
    return {split: tokens.tolist() for split, tokens in corpus.splits.items()}


def test_unknown_is_a_word_like_any_other_and_stands_for_those_not_trained_on(
    yahoo: type[Yahoo], tmp_path: Path
) -> None:
    corpus = yahoo(name="yahoo").load(tmp_path)

    # b: 1, a: 2, _UNK: 3, c: 4, d: 5
    assert rows(corpus) == {
        "train": [[1, 2, 3, 0], [1, 2, 4, 0], [1, 5, 0, PAD]],
        "validation": [[4, 1, 0]],
        "test": [[3, 3, 0], [5, 0, PAD]],
    }
    assert corpus.vocabulary == 6
    assert corpus.labels is None
    assert {tokens.dtype for tokens in corpus.splits.values()} == {torch.int64}


def test_a_smaller_vocabulary_makes_rarer_words_unknown(
    yahoo: type[Yahoo], tmp_path: Path
) -> None:
    corpus = yahoo(name="yahoo", max_vocabulary=4, max_tokens=3).load(tmp_path)

    assert rows(corpus) == {
        "train": [[1, 2, 3], [1, 2, 3], [1, 3, 0]],
        "validation": [[3, 1, 0]],
        "test": [[3, 3, 0], [3, 0, PAD]],
    }
    assert corpus.vocabulary == 4


def test_fewer_training_sentences_have_a_vocabulary_of_their_own(
    yahoo: type[Yahoo], tmp_path: Path
) -> None:
    whole = yahoo(name="yahoo").load(tmp_path)
    one = yahoo(name="yahoo", train_limit=1).load(tmp_path)
    more = yahoo(name="yahoo", train_limit=99).load(tmp_path)

    assert len(one.splits["train"]) == 1
    assert one.vocabulary < whole.vocabulary
    assert [len(one.splits[split]) for split in ("validation", "test")] == [1, 2]
    assert rows(more) == rows(whole)
    assert one.sha256 == whole.sha256


@pytest.mark.parametrize("field", ["max_tokens", "max_vocabulary", "train_limit"])
@pytest.mark.parametrize("value", [0, -1, "9", 9.0])
def test_limits_are_positive_whole_numbers(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Yahoo.model_validate({"name": "yahoo", field: value})


def test_a_vocabulary_holds_at_least_one_word_besides_the_end_and_unknown() -> None:
    with pytest.raises(ValidationError, match="max_vocabulary"):
        Yahoo(name="yahoo", max_vocabulary=2)
    assert Yahoo(name="yahoo", max_vocabulary=3).max_vocabulary == 3


def supply(root: Path, train: str) -> None:
    (root / "yelp").mkdir()
    for name, text in (("train", train), ("valid", "0\tbad\n"), ("test", "4\tgood\n1\tbad\n")):
        (root / f"yelp/yelp.{name}.txt").write_text(text)


def test_yelp_has_labels_beside_its_sentences(tmp_path: Path) -> None:
    supply(tmp_path, "4\tgood food\n0\tbad food\n2\tfood\n")

    corpus = Yelp(name="yelp").load(tmp_path)

    # food: 1, bad: 2, good: 3
    assert rows(corpus)["train"] == [[3, 1, 0], [2, 1, 0], [1, 0, PAD]]
    assert corpus.labels is not None
    assert {split: labels.tolist() for split, labels in corpus.labels.items()} == {
        "train": [4, 0, 2],
        "validation": [0],
        "test": [4, 1],
    }
    assert {labels.dtype for labels in corpus.labels.values()} == {torch.int64}


def test_labels_stay_with_their_sentences_when_there_are_fewer(tmp_path: Path) -> None:
    supply(tmp_path, "".join(f"{i}\t{'w ' * (i + 1)}\n" for i in range(20)))

    corpus = Yelp(name="yelp", train_limit=7).load(tmp_path)

    assert corpus.labels is not None
    lengths = (corpus.splits["train"] > 0).sum(dim=1)
    assert len(lengths) == 7
    assert (lengths - 1).tolist() == corpus.labels["train"].tolist()


def test_the_checksum_of_supplied_files_is_their_own(tmp_path: Path) -> None:
    supply(tmp_path, "4\tgood\n")
    before = Yelp(name="yelp").load(tmp_path).sha256

    (tmp_path / "yelp/yelp.test.txt").write_text("1\tbad\n")
    assert Yelp(name="yelp").load(tmp_path).sha256 != before


def test_a_malformed_line_is_told_by_file_and_number(tmp_path: Path) -> None:
    supply(tmp_path, "4\tgood food\nbad food\n")

    with pytest.raises(DataError, match=r"yelp/yelp\.train\.txt, line 2: expected 2 columns") as e:
        Yelp(name="yelp").load(tmp_path)
    assert str(tmp_path) in str(e.value)


def test_missing_files_are_told_with_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks yelp/yelp\.train\.txt, .*: get them from github"):
        Yelp(name="yelp").load(tmp_path)


LINES = [f"w{i}" for i in range(10)]


@pytest.fixture
def small(tmp_path: Path) -> type[WithoutTrainingFile]:
    """A data set like the small Yahoo with ten lines to divide."""

    class Tiny(YahooSmall):
        files = (
            write(tmp_path, "yahoo/valid.gz", "\n".join(LINES)),
            write(tmp_path, "yahoo/test.gz", "w0\nw1 w2\n"),
        )
        n_train = 6

    return Tiny


def test_without_a_training_file_the_validation_file_is_divided(
    small: type[WithoutTrainingFile], tmp_path: Path
) -> None:
    text = small(name="yahoo_small").read(tmp_path)

    train, validation = text["train"].sentences, text["validation"].sentences
    assert [len(train), len(validation)] == [6, 4]
    assert sorted([line.strip() for line in (*train, *validation)]) == LINES
    assert train != sorted(LINES)[:6]  # not its beginning, which is about one topic
    assert [line.split() for line in text["test"].sentences] == [["w0"], ["w1", "w2"]]


def test_a_file_too_short_to_divide_is_refused(
    small: type[WithoutTrainingFile], tmp_path: Path
) -> None:
    small.n_train = 10

    with pytest.raises(DataError, match=r"valid\.gz: expected more than 10 lines; got 10\."):
        small(name="yahoo_small").load(tmp_path)


def published(data: TextData) -> Corpus:
    if "SWEEPER_DATA_DIR" not in os.environ:
        pytest.skip(f"SWEEPER_DATA_DIR does not say where the files of {data.name} are")
    return data.load(Path(os.environ["SWEEPER_DATA_DIR"]))


@pytest.fixture(scope="module")
def yahoo_small() -> Corpus:
    return published(YahooSmall(name="yahoo_small"))


@pytest.fixture(scope="module")
def yelp_short() -> Corpus:
    return published(YelpShort(name="yelp_short"))


def test_yahoo_small_has_the_numbers_that_are_declared(yahoo_small: Corpus) -> None:
    lengths = {split: (x != PAD).sum(dim=1) - 1 for split, x in yahoo_small.splits.items()}

    assert {split: len(n) for split, n in lengths.items()} == {
        "train": 9_000,
        "validation": 1_000,
        "test": 10_000,
    }
    assert {(int(n.min()), int(n.max())) for n in lengths.values()} == {(20, 200)}
    both = torch.cat([lengths["train"], lengths["validation"]]).double()
    assert round(both.mean().item(), 2) == 79.07
    assert round(lengths["test"].double().mean().item(), 2) == 78.87


def test_no_sentence_is_both_trained_and_validated_on(yahoo_small: Corpus) -> None:
    train = {tuple(row) for row in yahoo_small.splits["train"].tolist()}

    # Two lines that differ in words not trained on are the same tokens.
    validated = [tuple(row) for row in yahoo_small.splits["validation"].tolist()]
    assert sum(row in train for row in validated) == 0


def test_every_topic_is_in_both_parts_of_yahoo_small(yahoo_small: Corpus) -> None:
    """The file has ten topics of a thousand lines each, which differ in length."""
    train, validation = (
        ((yahoo_small.splits[split] != PAD).sum(dim=1) - 1).double()
        for split in ("train", "validation")
    )
    standard_error = validation.std() / len(validation) ** 0.5

    assert (train.mean() - validation.mean()).abs() < 3 * standard_error


def test_yelp_short_has_the_numbers_that_are_declared(yelp_short: Corpus) -> None:
    assert {split: tuple(x.shape) for split, x in yelp_short.splits.items()} == {
        "train": (9_000, 16),
        "validation": (1_000, 16),
        "test": (10_000, 16),
    }
    words = sum(int((yelp_short.splits[s] > 0).sum()) for s in ("train", "validation"))
    assert round(words / 10_000, 2) == 9.08
    assert yelp_short.labels is None


def test_a_reduced_vocabulary_of_the_real_text_has_that_many_tokens() -> None:
    corpus = published(YahooSmall(name="yahoo_small", max_vocabulary=2_000))

    assert corpus.vocabulary == 2_000
    assert torch.unique(corpus.splits["train"]).tolist() == [PAD, *range(2_000)]
    assert corpus.splits["train"].shape == (9_000, 201)
