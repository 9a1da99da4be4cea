"""Parts of a data set that are like the whole: files are often in the order of their topics."""

import numpy as np
from jaxtyping import Int64
from numpy import ndarray


def divide(
    n: int, n_first: int, seed: int = 0
) -> tuple[Int64[ndarray, " n_first"], Int64[ndarray, " n_rest"]]:
    """Divide the first `n` whole numbers at random into `n_first` and the rest, each in order.

    The same numbers come every time, and a larger first part holds every smaller one: they are
    from one permutation by numpy's PCG64, seeded by `seed`. Where `n` is less than `n_first`, the
    rest is empty.
    """
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[:n_first]), np.sort(order[n_first:])
