"""Intervals by Student's t beside those of scipy."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.intervals import mean, slope

numbers = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=8
).map(lambda pairs: np.array(pairs, dtype=float).T)


@given(numbers)
def test_a_slope_is_that_of_a_regression(xy: np.ndarray) -> None:
    x, y = xy
    assume(np.ptp(x) > 0)
    expected = stats.linregress(x, y)
    assume(expected.stderr > 1e-5)  # scipy has it from 1 - r², which cancels
    estimate, low, high = slope(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * expected.stderr

    assert estimate == pytest.approx(expected.slope, abs=1e-9)
    assert (high - estimate, estimate - low) == pytest.approx((half, half), rel=1e-4)


@given(numbers)
def test_the_interval_of_a_mean_is_that_of_a_t_test(xy: np.ndarray) -> None:
    values = xy[0]
    assume(np.ptp(values) > 0)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)

    assert mean(values)[1:] == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)
