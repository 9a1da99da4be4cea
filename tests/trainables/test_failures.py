import re
from collections.abc import Callable

import pytest

from trainables import failures
from trainables.failures import Failure, describe, shortened


def caught(raising: Callable[[], object]) -> Failure:
    try:
        raising()
    except Exception as error:
        return describe(error)
    raise AssertionError("nothing is raised")


def fails() -> None:
    raise LookupError("\nfirst line\nsecond line")


def test_a_reason_is_one_line_that_says_what_and_where() -> None:
    line = fails.__code__.co_firstlineno + 1
    assert caught(fails).reason == (
        f"LookupError: first line (at tests/trainables/test_failures.py:{line} in fails)"
    )


def test_a_traceback_is_whole() -> None:
    lines = caught(fails).traceback.splitlines()

    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "second line"
    assert any(line.endswith("in fails") for line in lines)


def test_a_cause_is_in_the_traceback() -> None:
    def raising() -> None:
        try:
            fails()
        except LookupError as error:
            raise ValueError("outer") from error

    failure = caught(raising)

    assert failure.reason.startswith("ValueError: outer (at ")
    assert "LookupError" in failure.traceback


def test_code_that_is_not_ours_is_named_by_its_file() -> None:
    assert re.search(r"\(at decoder\.py:\d+ in \w+\)", caught(_decode).reason)


def _decode() -> None:
    import json

    json.loads("nothing")


def test_an_error_without_a_message_or_a_traceback_has_its_name() -> None:
    assert describe(ValueError()).reason == "ValueError"


def test_a_long_message_loses_its_middle_and_a_deep_traceback_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "TRACEBACK_CHARACTERS", 2000)

    def raising() -> None:
        raise ValueError("a" + "x" * 10_000 + "z")

    reason, traceback = caught(raising)

    assert len(reason.partition(" (at ")[0]) <= failures.REASON_CHARACTERS
    assert reason.startswith("ValueError: axxx")
    assert "characters left out" in reason
    assert len(traceback) <= 2000
    assert traceback.endswith("z\n")


@pytest.mark.parametrize("n", [0, 10, 99, 100, 101, 1000])
def test_a_text_is_shortened_only_where_it_is_too_long(n: int) -> None:
    text = "ab" * (n // 2) + "c" * (n % 2)
    short = shortened(text, 100)

    assert len(short) <= 100
    assert (short == text) == (n <= 100)


def test_an_error_that_holds_a_secret_does_not_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_PASSWORD", "correct-horse-battery")

    def raising() -> None:
        raise ConnectionError("denied for correct-horse-battery at s3://a:bcdefgh@store")

    failure = caught(raising)

    assert failure.reason.startswith("ConnectionError: denied for *** at s3://***@store")
    assert "correct-horse-battery\n" not in failure.traceback.partition("ConnectionError: ")[2]
    assert not re.search("a:bcdefgh|denied for correct", failure.traceback)


def test_an_error_that_cannot_be_written_out_is_named_nevertheless() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    def raising() -> None:
        raise MuteError

    assert caught(raising).reason.startswith("MuteError: <exception str() failed> (at ")
