"""Intervals by Student's t: of a mean, and of the slope of a straight line."""

import math

from analysis.replicates import LEVEL, Array


def mean(values: Array, level: float = LEVEL) -> tuple[float, float, float]:
    """Give the mean of `[replicates]`, two at least, and the ends of its interval.

    >>> import numpy as np
    >>> mean(np.array([2.0, 2.0, 2.0]))
    (2.0, 2.0, 2.0)
    """
    estimate, degrees = float(values.mean()), len(values) - 1
    half = _reach(degrees, level) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return estimate, estimate - half, estimate + half


def slope(x: Array, y: Array, level: float = LEVEL) -> tuple[float, float, float]:
    """Give the slope of the least-squares line and the ends of its interval.

    `x` and `y` are `[points]`, three at least, and x is not the same everywhere. Points on a
    line leave no doubt.

    >>> import numpy as np
    >>> slope(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    (2.0, 2.0, 2.0)
    """
    about = x - x.mean()
    spread = float((about**2).sum())
    estimate = float((about * y).sum()) / spread
    left = y - y.mean() - estimate * about
    degrees = len(x) - 2
    half = _reach(degrees, level) * math.sqrt(float((left**2).sum()) / degrees / spread)
    return estimate, estimate - half, estimate + half


def _reach(degrees: int, level: float) -> float:
    from scipy.special import stdtrit  # takes a while, and few commands need it

    return float(stdtrit(degrees, 0.5 + level / 2))
