"""Text files as tensors: what is read, what is refused, how words are numbered."""

from pathlib import Path

import pytest

from trainables.data.corpus import PAD
from trainables.data.files import DataError
from trainables.data.text import (
    build_vocabulary,
    encode,
    read_labelled,
    read_lines,
    read_sentences,
)

HERE = Path("set/text.txt")


def refusal(read: object, content: bytes) -> str:
    assert callable(read)
    with pytest.raises(DataError) as error:
        read(content, HERE)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("content", [b" a b \n c \n", b"a b\r\nc", b"a b\rc\r"])
def test_line_ends_of_every_kind_and_a_last_line_without_one_read_the_same(content: bytes) -> None:
    words = [line.split() for line in read_sentences(content, HERE)]

    assert words == [["a", "b"], ["c"]]


@pytest.mark.parametrize("read", [read_lines, read_sentences, read_labelled])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"1\tcaf\xe9", 1),
        (b"1\ta\n\xff", 2),
        (b"1\ta\r\n1\tb\r\n1\tc\xc3", 3),  # cut off within a character
        ("1\té\n1\té\n".encode() + b"\xe9\t\n", 3),
    ],
)
def test_bytes_that_are_not_utf_8_are_told_with_their_line(
    read: object, content: bytes, line: int
) -> None:
    told = refusal(read, content)

    assert told.startswith(f"{HERE}, line {line}: byte 0x")
    assert "is not UTF-8" in told


@pytest.mark.parametrize("read", [read_lines, read_sentences, read_labelled])
def test_an_empty_file_is_refused(read: object) -> None:
    assert refusal(read, b"").startswith(f"{HERE} is empty")


@pytest.mark.parametrize(
    ("content", "line"), [(b"a\n\nb\n", 2), (b"\na", 1), (b"a\nb\n \t \n", 3)]
)
def test_an_empty_line_is_told_by_its_number(content: bytes, line: int) -> None:
    assert refusal(read_sentences, content).startswith(f"{HERE}, line {line} is empty")


def test_a_word_that_would_pass_for_the_end_is_refused() -> None:
    assert f"{HERE}, line 2 holds the end symbol <eos>" in refusal(read_sentences, b"a\nb <eos> c")


def test_labels_are_read_from_before_the_tab() -> None:
    sentences, labels = read_labelled(b"4\tgood food\n0\tbad\r\n-1\t so so", HERE)

    assert [sentence.split() for sentence in sentences] == [
        ["good", "food"],
        ["bad"],
        ["so", "so"],
    ]
    assert labels == [4, 0, -1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"good food", "expected 2 columns, a label, a tab and a sentence; got 1."),
        (b"", "expected 2 columns, a label, a tab and a sentence; got 1."),
        (b"4\tgood\tfood", "expected 2 columns, a label, a tab and a sentence; got 3."),
        (b"\tgood food", "expected a whole number as label before the tab; got ''."),
        (b"good\t4", "expected a whole number as label before the tab; got 'good'."),
        (b"4.0\tgood", "expected a whole number as label before the tab; got '4.0'."),
        (b"1_0\tgood", "expected a whole number as label before the tab; got '1_0'."),
        (b"9" * 19 + b"\tgood", "expected a whole number"),  # more than 64 bits hold
        ("٣\tgood".encode(), "expected a whole number as label"),
    ],
)
def test_a_line_without_label_and_sentence_is_told_by_its_number(line: bytes, told: str) -> None:
    message = refusal(read_labelled, b"3\tfine\n" + line + b"\n3\tfine\n")

    assert message.startswith(f"{HERE}, line 2: {told}")


def test_a_label_without_sentence_is_an_empty_line() -> None:
    assert refusal(read_labelled, b"3\tfine\n3\t\n").startswith(f"{HERE}, line 2 is empty")


SENTENCES = ["b a c", "b ? a", "b d"]  # b thrice, a twice; then by spelling


@pytest.mark.parametrize(
    ("max_size", "words"),
    [
        (None, ["<eos>", "b", "a", "?", "c", "d"]),
        (7, ["<eos>", "b", "a", "?", "c", "d"]),
        (6, ["<eos>", "b", "a", "?", "c", "d"]),
        (5, ["<eos>", "b", "a", "?", "c"]),
        (4, ["<eos>", "b", "a", "?"]),
        (3, ["<eos>", "b", "?"]),
    ],
)
def test_the_most_frequent_words_are_kept_and_always_the_unknown_one(
    max_size: int | None, words: list[str]
) -> None:
    vocabulary = build_vocabulary(SENTENCES, "?", max_size)

    assert list(vocabulary.items()) == [(word, i) for i, word in enumerate(words)]


def test_an_unknown_word_that_no_sentence_has_is_numbered_all_the_same() -> None:
    assert build_vocabulary(["a b"], "?") == {"<eos>": 0, "a": 1, "b": 2, "?": 3}
    assert build_vocabulary(["a b"], "?", 3) == {"<eos>": 0, "a": 1, "?": 2}


@pytest.mark.parametrize(
    ("max_tokens", "rows"),
    [
        (None, [[8, 7, 0], [9, 0, PAD]]),
        (5, [[8, 7, 0], [9, 0, PAD]]),
        (2, [[8, 7], [9, 0]]),
        (1, [[8], [9]]),
    ],
)
def test_encoding_keeps_to_the_vocabulary_it_is_given(
    max_tokens: int | None, rows: list[list[int]]
) -> None:
    vocabulary = {"<eos>": 0, "a": 7, "b": 8, "?": 9}

    assert encode(["b a", "z"], vocabulary, "?", max_tokens).tolist() == rows
    assert len(vocabulary) == 4
