"""Fixed random parts of a data set."""

import numpy as np
import pytest

from trainables.data.splitting import divide


@pytest.mark.parametrize("n_first", [0, 1, 7, 10])
def test_every_number_is_in_one_of_two_ordered_parts(n_first: int) -> None:
    first, rest = divide(10, n_first)

    assert len(first) == n_first
    assert sorted([*first, *rest]) == list(range(10))
    assert (np.diff(first) > 0).all()
    assert (np.diff(rest) > 0).all()


def test_the_parts_are_the_same_every_time() -> None:
    # The order is written down, since a stored result is only good for one split.
    assert divide(10, 4)[0].tolist() == sorted(np.random.default_rng(0).permutation(10)[:4])
    assert divide(10, 4)[0].tolist() == [2, 4, 6, 7]


def test_a_larger_part_holds_every_smaller_one() -> None:
    parts = [set(divide(100, n)[0].tolist()) for n in (10, 20, 50)]

    assert parts[0] < parts[1] < parts[2]


def test_a_part_is_not_a_stretch_of_the_whole() -> None:
    first, rest = divide(1_000, 100)

    assert first.max() > 900
    assert rest.min() < 100


def test_no_more_than_there_is_is_taken() -> None:
    first, rest = divide(3, 5)

    assert (first.tolist(), rest.tolist()) == ([0, 1, 2], [])
