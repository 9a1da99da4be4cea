import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.sizes import UNITS, parse_size, size


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("4GiB", 4 * 2**30),
        ("4gib", 4 * 2**30),
        ("500 MB", 500 * 10**6),
        ("12", 12),
        ("0.5kB", 500),
    ],
)
def test_a_text_is_a_number_of_bytes(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "4 apples", "GiB", "-1GiB", "1e9", "4GiB 2"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a text such as 4GiB or 500MB; got"):
        parse_size(text)


@given(st.integers(0, 1023), st.sampled_from(["B", "KiB", "MiB", "GiB"]))
def test_what_is_written_is_read_again(amount: int, unit: str) -> None:
    assert parse_size(size(amount * UNITS[unit])) == amount * UNITS[unit]
