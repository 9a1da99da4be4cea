import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from analysis.comparison import BAND, FEWEST, Comparison, compare, lower_hull, staircase
from analysis.membership import Estimates
from analysis.resampling import Side

# Few values, so that ties and duplicates are common.
VALUE = st.integers(0, 6).map(float) | st.floats(0, 6)
PAIRS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=9)
FEW = 40  # replicates, where the band is not what is tested

Pairs = list[tuple[float, float]]


def side(pairs: Pairs, name: str = "a", error: float = 0.0, configuration=None) -> Side:
    """A side from `(nll, mi)` pairs."""
    nll, mi = np.array(pairs, dtype=float).T
    errors = np.full(len(nll), error)
    number = np.arange(len(nll)) if configuration is None else np.asarray(configuration)
    return Side(name, Estimates(nll, mi, errors, errors, 0 * errors), number)


def naive_staircase(pairs: Pairs, at: float) -> float:
    return min((nll for nll, mi in pairs if mi >= at), default=math.inf)


def naive_hull(pairs: Pairs, at: float) -> float:
    """The lowest NLL of any mixture of two trained models that has at least that MI."""
    best = naive_staircase(pairs, at)
    for nll_1, mi_1 in pairs:
        for nll_2, mi_2 in pairs:
            if mi_1 < at <= mi_2:
                share = (at - mi_1) / (mi_2 - mi_1)
                best = min(best, nll_1 + share * (nll_2 - nll_1))
    return best


def frontier_range(pairs: Pairs) -> tuple[float, float]:
    def is_dominated(one: tuple[float, float]) -> bool:
        return any(nll <= one[0] and mi >= one[1] and (nll, mi) != one for nll, mi in pairs)

    mi = [pair[1] for pair in pairs if not is_dominated(pair)]
    return min(mi), max(mi)


@given(PAIRS, PAIRS)
def test_the_staircase_difference_is_the_naive_one(a: Pairs, b: Pairs) -> None:
    found = compare(side(a), side(b, "b"), n_replicates=FEW)
    assert found.covers == (frontier_range(a), frontier_range(b))
    start, end = max(c[0] for c in found.covers), min(c[1] for c in found.covers)
    assert found.curve.empty == (start > end)
    for row in found.curve.itertuples():
        assert start <= row.mi <= end
        assert row.a == naive_staircase(a, row.mi)
        assert row.b == naive_staircase(b, row.mi)
        assert row.difference == row.a - row.b
    if not found.curve.empty:
        assert {start, end} <= set(found.curve["mi"])
        # A staircase rises beyond an MI where nothing with more is as good.
        steps = {
            mi
            for pairs in (a, b)
            for nll, mi in pairs
            if all(other > nll for other, more in pairs if more > mi)
        }
        assert {mi for mi in steps if start <= mi <= end} <= set(found.curve["mi"])


@given(PAIRS, st.lists(VALUE, min_size=1, max_size=5).map(sorted))
def test_the_hull_is_the_naive_one(pairs: Pairs, at: list[float]) -> None:
    nll, mi = np.array(pairs).T
    found = lower_hull(nll[None], mi[None], np.array(at))[0]
    np.testing.assert_allclose(found, [naive_hull(pairs, m) for m in at], atol=1e-9)


@given(st.lists(PAIRS, min_size=1, max_size=4), st.lists(VALUE, max_size=5).map(sorted))
def test_replicates_have_a_staircase_each_and_surplus_rows_count_for_nothing(
    replicates: list[Pairs], at: list[float]
) -> None:
    most = max(map(len, replicates))
    padded = np.array([r + [(math.inf, -math.inf)] * (most - len(r)) for r in replicates])
    found = staircase(padded[:, :, 0], padded[:, :, 1], np.array(at))
    assert found.tolist() == [[naive_staircase(r, m) for m in at] for r in replicates]


@given(PAIRS, PAIRS, st.randoms(use_true_random=False), st.booleans())
def test_order_and_repeated_rows_change_nothing_and_swapping_sides_flips_the_sign(
    a: Pairs, b: Pairs, random, hull: bool
) -> None:
    def curve(a: Pairs, b: Pairs):
        found = compare(side(a), side(b, "b"), hull=hull, n_replicates=FEW).curve
        return found["mi"].to_numpy(), found["difference"].to_numpy()

    mi, d = curve(a, b)
    other = [*random.sample(a, len(a)), random.choice(a)]
    for expected, again in ((d, curve(other, b)), (-d, curve(b, a))):
        np.testing.assert_array_equal(mi, again[0])
        np.testing.assert_allclose(expected, again[1], atol=1e-12)


#  NLL
#   4 |         a        a: (1, 0) (2, 2) (4, 4)    b: (2, 1) (3, 3)
#   3 |       b          At MI m the staircases are a: 1 at 0, 2 up to 2, 4 up to 4
#   2 |   b a                                       b: 2 up to 1, 3 up to 3
#   1 | a                and the hull of a is straight from (0, 1) to (2, 2) to (4, 4).
#     +-----------
#       0 1 2 3 4  MI
A: Pairs = [(1, 0), (2, 2), (4, 4)]
B: Pairs = [(2, 1), (3, 3)]


def at(found: Comparison, *mi: float) -> list[float]:
    curve = found.curve.set_index("mi")["difference"]
    return [float(curve[m]) for m in mi]


def test_a_small_case_by_hand() -> None:
    found = compare(side(A), side(B, "b"), n_replicates=FEW)
    assert found.covers == ((0, 4), (1, 3))
    assert (found.curve["mi"].min(), found.curve["mi"].max()) == (1, 3)
    assert at(found, 1, 1.5, 2, 2.5, 3) == [0, -1, -1, 1, 1]
    hull = compare(side(A), side(B, "b"), hull=True, n_replicates=FEW)
    np.testing.assert_allclose(at(hull, 1, 1.5, 2, 2.5, 3), [-0.5, -0.5, -0.5, -0.25, 0.0])


@pytest.mark.parametrize("possible_for", ["ab", "a", "b"])
def test_nothing_is_compared_beyond_the_mi_that_is_possible(possible_for: str) -> None:
    a, b = (
        side(pairs, name)._replace(possible=2.5 if name in possible_for else math.inf)
        for pairs, name in ((A, "a"), (B, "b"))
    )
    found = compare(a, b, n_replicates=FEW)

    assert [covers[1] for covers in found.covers] == [a.mi.max(), b.mi.max()]
    assert found.curve["mi"].max() == 2.5
    assert at(found, 1, 2, 2.5) == [0, -1, 1]  # as without a limit


def test_without_a_common_mi_nothing_is_extrapolated() -> None:
    found = compare(side([(1, 0), (2, 1)]), side([(1, 2)], "b"))
    assert found.curve.empty
    assert list(found.curve) == ["mi", "a", "b", "difference", *BAND]
    assert found.verdicts == ()
    assert found.covers == ((0, 1), (2, 2))


def test_below_a_frontier_its_lowest_nll_counts() -> None:
    # a: (1, 0) (2, 1), b: (3, 2) alone: at least 0 nats are had for 1 and 3, at least 1 for 2.
    found = compare(side([(1, 0), (2, 1)]), side([(3, 2)], "b"), below=True, n_replicates=FEW)
    assert (found.curve["mi"].min(), found.curve["mi"].max()) == (0, 1)
    assert at(found, 0, 1) == [-2, -1]
    assert found.covers == ((0, 1), (2, 2))
    hull = compare(side(A), side(B, "b"), hull=True, below=True, n_replicates=FEW)
    np.testing.assert_allclose(at(hull, 0, 1, 3), [-1, -0.5, 0.0])
    collapsed = compare(side([(1, -0.1)]), side([(3, 2)], "b"), below=True, n_replicates=FEW)
    assert at(collapsed, -0.1) == [-2]


def test_one_point_a_side_has_a_difference_and_no_band() -> None:
    found = compare(side([(1, 2)]), side([(3, 2)], "b"))
    assert at(found, 2) == [-2]
    assert found.curve[list(BAND)].isna().all(axis=None)
    [verdict] = found.verdicts
    assert (verdict.outcome, verdict.mi, verdict.difference) == ("too few", (2, 2), (-2, -2))


def test_there_is_a_band_where_enough_configurations_have_that_much_mi() -> None:
    # Two seeds of a configuration are no two configurations.
    pairs = [(float(mi), float(mi)) for mi in (0, 1, 2, 3, 4, 4)]
    one = side(pairs, configuration=[0, 1, 2, 3, 4, 4])
    many = side([(float(mi), float(mi)) for mi in range(9)], "b")
    curve = compare(one, many).curve
    assert FEWEST == 3
    assert (curve["lower"].notna() == (curve["mi"] <= 2)).all()


def spread(n: int, shift: float, seed: int, error: float = 0.0) -> Side:
    generator = np.random.default_rng(seed)
    mi = generator.uniform(0, 5, n)
    nll = shift + 0.02 * mi**2 + 0.2 * generator.exponential(size=n)
    return side(list(zip(nll, mi, strict=True)), "ab"[seed % 2], error)


def test_the_simultaneous_band_holds_the_pointwise_one_which_holds_the_difference() -> None:
    curve = compare(spread(30, 5.0, 0), spread(30, 5.0, 1)).curve.dropna()
    order = ["simultaneous_lower", "lower", "difference", "upper", "simultaneous_upper"]
    assert (curve[order].diff(axis=1).dropna(axis=1) >= 0).all(axis=None)


def test_a_higher_level_and_monte_carlo_error_widen_the_band() -> None:
    def width(level: float, error: float) -> float:
        sides = spread(60, 5.0, 0, error), spread(60, 5.0, 1, error)
        curve = compare(*sides, level=level).curve.dropna()
        return float((curve["upper"] - curve["lower"]).mean())

    assert width(0.9, 0.0) < width(0.99, 0.0)
    assert width(0.9, 0.0) < width(0.9, 0.2)


def test_a_large_difference_is_decided_by_range_for_the_better_side() -> None:
    for shift, outcome in ((-1.0, "a"), (1.0, "b")):
        found = compare(spread(200, 5.0 + shift, 0), spread(200, 5.0, 1))
        [verdict] = [one for one in found.verdicts if one.outcome != "too few"]
        assert verdict.outcome == outcome
        assert verdict.mi[0] == found.curve["mi"].iloc[0]
        assert 0 < verdict.at_least < min(map(abs, verdict.difference))


@pytest.mark.parametrize("hull", [False, True])
def test_verdicts_cover_the_overlap_without_gaps_and_agree_with_the_band(hull: bool) -> None:
    found = compare(spread(40, 5.0, 0), spread(60, 5.1, 3), hull=hull)
    ends = [end for verdict in found.verdicts for end in verdict.mi]
    assert ends[0] == found.curve["mi"].iloc[0]
    assert ends[-1] == found.curve["mi"].iloc[-1]
    assert ends[1:-1:2] == ends[2::2]
    assert len(found.verdicts) > 1
    for verdict in found.verdicts:
        within = found.curve[found.curve["mi"].between(*verdict.mi, inclusive="right")]
        signs = (within["simultaneous_upper"] < 0, within["simultaneous_lower"] > 0)
        assert signs[0].all() if verdict.outcome == "a" else not signs[0].any()
        assert signs[1].all() if verdict.outcome == "b" else not signs[1].any()


def test_a_side_against_itself_is_not_decided_anywhere() -> None:
    one = spread(20, 5.0, 0)
    found = compare(one, one)
    assert (found.curve["difference"] == 0).all()
    assert {verdict.outcome for verdict in found.verdicts} == {"undecided", "too few"}


def test_the_same_sides_give_the_same_band() -> None:
    first, again = (compare(spread(20, 5.0, 0, 0.1), spread(20, 5.0, 1)).curve for _ in range(2))
    assert first.equals(again)


def test_what_cannot_be_compared_is_refused() -> None:
    empty = Side("b", Estimates(*[np.empty(0)] * 5), np.empty(0, dtype=np.intp))
    with pytest.raises(ValueError, match="both sides need a point"):
        compare(side(A), empty)
    with pytest.raises(ValueError, match="between 0 and 1; got 90"):
        compare(side(A), side(B), level=90)
