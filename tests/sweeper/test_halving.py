"""Who stops on a rung and who goes on; decisions on constructed cases."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from sweeper.halving import Ladder, dominance, is_rung, n_ranked_better, obstacle, rungs
from sweeper.outcomes import Measured
from sweeper.sections import ParetoHalving
from trainables.trial import TrialConfig

TRIAL = {
    "data": {"name": "symbols", "vocabulary": 8},
    "model": {"name": "symbol_mlp", "latents": {"kind": "categorical"}},
    "objective": {"name": "kl", "estimator": "vimco", "samples": 2, "lambda": 0.5},
    "evaluation": {"split": "train"},
}


def ladder(points: Mapping[str, tuple[float, ...]], **rule: float) -> Ladder:
    """What trials measured at step 10: NLL, MI and, where there are any, their errors."""
    made = Ladder(ParetoHalving.model_validate({"first": 10, **rule}), "mi")
    for trial, point in points.items():
        names = ("nll", "mi", "nll_se", "mi_se")
        made.place(trial, {"step": 10, **dict(zip(names, point, strict=False))})
    return made


def stopped(points: Mapping[str, tuple[float, ...]], **rule: float) -> set[str]:
    made = ladder(points, **rule)
    return {trial for trial in points if made.verdict(trial, 10)}


#   a has \ against b    MI lower   MI equal   MI higher
#   NLL lower            neither    a          a
#   NLL equal            b          neither    a
#   NLL higher           b          b          neither
@pytest.mark.parametrize(
    ("nll", "mi", "expected"),
    [
        *((-1, -1, "neither"), (-1, 0, "a"), (-1, 1, "a")),
        *((0, -1, "b"), (0, 0, "neither"), (0, 1, "a")),
        *((1, -1, "b"), (1, 0, "b"), (1, 1, "neither")),
    ],
)
@pytest.mark.parametrize("error", [0.0, 0.5])
def test_one_dominates_where_it_is_nowhere_worse_and_somewhere_better(
    nll: float, mi: float, expected: str, error: float
) -> None:
    a, b = Measured(3.0 + nll, 1.0 + mi, error, error), Measured(3.0, 1.0, error, error)

    found = dominance([a, b])

    assert (found[0, 1], found[1, 0]) == (expected == "a", expected == "b")
    assert not found.diagonal().any()


@pytest.mark.parametrize(
    ("difference", "expected"),
    [((-0.2, 0.0), False), ((-0.2, -0.2), False), ((-0.3, -0.2), True), ((-0.3, -0.3), False)],
)
def test_a_difference_within_its_error_is_none(
    difference: tuple[float, float], expected: bool
) -> None:
    a = Measured(3.0 + difference[0], 1.0 + difference[1], 0.15, 0.2)

    # The error of the difference is 0.25 on both axes.
    assert dominance([a, Measured(3.0, 1.0, 0.2, 0.15)])[0, 1] == expected


def test_rungs_grow_by_the_reduction_and_end_before_the_trial() -> None:
    rule = ParetoHalving(first=50, reduction=2)

    assert rungs(rule, 400) == [50, 100, 200]
    assert [step for step in range(401) if is_rung(rule, step)] == [50, 100, 200, 400]
    assert rungs(ParetoHalving(first=50), 50) == []


def test_what_is_not_measured_on_a_rung_is_not_noted() -> None:
    made = ladder({})
    for step in (0, 9, 20, 60):
        made.place("a", {"step": step, "nll": 1.0, "mi": 1.0})
    made.place("b", {"step": 10, "nll": 1.0, "mi": None})
    made.place("c", {"step": 30, "nll": 1.0, "mi": 1.0})

    assert made.rungs == {30: {"c": Measured(1.0, 1.0)}}
    assert made.verdict("a", 9) is made.verdict("b", 10) is made.verdict("c", 30) is None


def test_of_trials_in_one_order_the_best_third_goes_on() -> None:
    worse_and_worse = {name: (3.0 + number, 1.0) for number, name in enumerate("abcdef")}

    assert stopped(worse_and_worse) == set("cdef")
    assert stopped(worse_and_worse, reduction=2) == set("def")


def test_what_nobody_dominates_goes_on_however_many_it_is() -> None:
    frontier = {name: (3.0 + 0.1 * n, 1.0 + 0.1 * n) for n, name in enumerate("abcdef")}

    assert stopped(frontier) == set()


def test_equal_trials_go_on_together() -> None:
    assert stopped(dict.fromkeys("abcdef", (3.0, 1.0))) == set()


def test_informative_trials_go_on_beside_collapsed_ones_that_fit_better() -> None:
    collapsed = {f"collapsed-{n}": (4.16 + 0.001 * n, 0.01) for n in range(9)}
    informative = {"good": (4.3, 2.0), "poor": (4.5, 1.9), "poorest": (4.6, 1.8)}

    assert stopped({**collapsed, **informative}) == {
        *("poor", "poorest"),
        *(f"collapsed-{n}" for n in range(3, 9)),
    }


def test_the_window_keeps_collapsed_trials_from_counting_against_informative_ones() -> None:
    collapsed = {f"collapsed-{n}": (4.16, 0.0) for n in range(9)}
    informative = {"good": (4.3, 2.0), "less good": (4.31, 1.95)}

    assert stopped({**collapsed, **informative}) == set()
    assert stopped({**collapsed, **informative}, mi_window=100.0) == {"less good"}


#   NLL
#    4 |        d  e        a, b and c dominate d and f, and all of these dominate e.
#    3 |  c        f        Fronts: abc, df, e.
#    2 |     b
#    1 |        a
#      +--------------- MI falls to the right
FRONTS = {
    "a": (1.0, 1.0),
    "b": (2.0, 1.1),
    "c": (3.0, 1.2),
    "d": (4.0, 1.0),
    "e": (4.0, 0.9),
    "f": (3.0, 0.9),
}


def test_fronts_are_peeled_one_after_the_other() -> None:
    dominates = dominance([Measured(*point) for point in FRONTS.values()])

    assert [n_ranked_better(dominates, trial) for trial in range(6)] == [0, 0, 0, 3, 5, 3]
    assert stopped(FRONTS, reduction=2) == {"d", "e", "f"}
    assert stopped(FRONTS) == {"d", "e", "f"}


def test_trials_that_dominate_each_other_in_a_circle_share_the_last_front() -> None:
    circle = np.roll(np.eye(3, dtype=bool), 1, axis=1)

    assert [n_ranked_better(circle, trial) for trial in range(3)] == [0, 0, 0]


def test_collapsed_trials_of_one_mi_but_for_noise_are_ranked_by_nll() -> None:
    noisy = {name: (4.0 + n, 0.001 * n, 0.01, 0.01) for n, name in enumerate("abc")}

    assert stopped(noisy) == {"b", "c"}
    assert stopped({name: point[:2] for name, point in noisy.items()}) == set()


def test_with_fewer_comparable_trials_than_the_reduction_all_go_on() -> None:
    two = {"a": (3.0, 1.0), "b": (4.0, 1.0)}

    assert stopped(two) == set()
    assert stopped({**two, "far": (2.0, 2.0)}) == set()
    assert stopped({**two, "near": (5.0, 1.4)}) == {"b"}


def test_a_verdict_says_who_and_how_near() -> None:
    made = ladder({"a": (3.0, 1.0), "b": (3.5, 1.125), "c": (4.0, 0.875), "far": (1.0, 3.0)})

    assert made.verdict("c", 10) == (
        "at step 10: dominated by 2 of 2 trials with MI within 0.5 nats of its 0.875, and 2 rank "
        "better"
    )


def test_what_is_known_decides_and_not_the_order_in_which_it_came() -> None:
    points = {"a": (3.0, 1.0), "b": (3.5, 1.1), "c": (4.0, 0.9), "d": (4.5, 1.2)}
    expected = stopped(points)

    assert expected
    for order in itertools.permutations(points):
        assert stopped({name: points[name] for name in order}) == expected


def test_what_comes_later_is_not_known_yet() -> None:
    made = ladder({"worst": (5.0, 1.0)})

    assert made.verdict("worst", 10) is None  # nobody is there to be better
    made.rungs[10] |= {"a": Measured(3.0, 1.0), "b": Measured(4.0, 1.0)}
    assert made.verdict("b", 10)


@pytest.mark.parametrize(
    ("every", "training", "first", "message"),
    [
        (None, {"steps": 100}, 10, "set trial.evaluation.every, to 10"),
        (3, {"steps": 100}, 10, "make it a multiple of evaluation.every, which is 3"),
        (10, {"steps": 10}, 10, "not before the end of a trial of 10 steps"),
        (5, {"steps": 11}, 10, None),
        (5, {"epochs": 1}, 10, None),
    ],
)
def test_a_rung_needs_evaluations_before_the_end(
    every: int | None, training: dict[str, float], first: int, message: str | None
) -> None:
    training = {"batch_size": 4, "learning_rate": 0.1, **training}
    document = {**TRIAL, "training": training, "evaluation": {"split": "train", "every": every}}
    why = obstacle(ParetoHalving(first=first), TrialConfig.model_validate(document))

    assert (why is None) if message is None else message in str(why)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ({"epochs": 1}, "set its steps"),
        ({"steps": 10}, "is within the 10 steps of pre-training, which are not evaluated"),
        ({"steps": 2}, "not before the end of a trial of 10 steps"),
        ({"steps": 9}, None),
    ],
)
def test_a_rung_comes_after_pre_training(length: dict[str, int], message: str | None) -> None:
    training = {"batch_size": 4, "learning_rate": 0.1, "steps": 8}
    document = {
        **TRIAL,
        "model": {"name": "symbol_mlp", "latents": {"kind": "gaussian"}},
        "objective": {"name": "vae"},
        "training": {**training, "pretraining": {"share": 0.5, **length}},
        "evaluation": {"split": "train", "every": 5},
    }
    why = obstacle(ParetoHalving(first=10), TrialConfig.model_validate(document))

    assert (why is None) if message is None else message in str(why)
