"""What `sweeper compare` says, from stores that the tests fill."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sweeper.errors import SweeperError
from sweeper.runs import RunDirectory
from sweeper.stored.comparing import comparison
from tests.sweeper.stored.points import many

StoreArms = Callable[..., RunDirectory]
WRITTEN = [
    *("budget.pdf", "budget.png", "budget.svg"),
    *("comparison.csv", "comparison.pdf", "comparison.png", "comparison.svg"),
]


def test_a_run_with_two_arms_is_compared_in_words_and_written(store_arms: StoreArms) -> None:
    run = store_arms("r", {"good": many(0.0, 0), "bad": many(1.0, 1)})
    lines = comparison(["r:good", "r:bad"]).splitlines()

    assert lines[0] == "good against bad, nats per observation"
    [verdict] = [line for line in lines if "fits better" in line]
    assert "good fits better by " in verdict
    assert verdict.endswith(" at 90 %)")
    table = {line.split("  ")[0]: line for line in lines}
    assert {"hypervolume", "IGD+", "additive epsilon", "R2"} <= set(table)
    assert any(line.startswith("40 trials ended ") for line in lines)
    assert any(line.startswith("40,000 gradient evaluations ") for line in lines)
    assert any(line.startswith("60 seconds ") for line in lines)
    assert not any(line.startswith("warning") for line in lines)
    directory = run.comparison / "good-against-bad"
    assert sorted(path.name for path in directory.iterdir()) == WRITTEN
    assert sorted(lines[-len(WRITTEN) :]) == [str(directory / name) for name in WRITTEN]
    curve = pd.read_csv(directory / "comparison.csv")
    np.testing.assert_allclose(curve["difference"], curve["nll_a"] - curve["nll_b"])
    assert curve["label_a"].unique().tolist() == ["good"]
    assert curve["unit"].unique().tolist() == ["observation"]


def test_a_run_that_has_two_arms_is_enough(store_arms: StoreArms) -> None:
    store_arms("r", {"b": many(0.0, 0, 5), "a": many(0.0, 1, 5)})
    assert comparison(["r"]).startswith("a against b, ")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["three:b"], r"three:b is one side; name two of three:a, three:b, three:c"),
        (["one"], "one has one arm; name another run"),
        (["one", "three:aa"], r"no ended trial of an arm 'aa'; did you mean 'a'\?"),
        (["one", "three:xyz"], r"no ended trial of an arm 'xyz'; there are a, b, c"),
        (["one", "onee"], r"there is no run 'onee' in runs; did you mean 'one'\?"),
        (["one", "onee:a"], r"there is no run 'onee' in runs; did you mean 'one'\?"),
        (["one", "one:one"], "one and one:one are the same arm"),
        (["one", "none"], "runs/none: no trial has ended yet"),
        (["one", "three"], "sides of two runs need a directory .* --output"),
        (["one", "three:a"], "sides of two runs need a directory .* --output"),
    ],
)
def test_sides_that_are_none_are_one_line(store_arms: StoreArms, names, message: str) -> None:
    store_arms("one", {"one": many(0.0, 0, 4)})
    store_arms("three", {arm: many(0.0, 1, 4) for arm in "abc"})
    store_arms("none", {})
    with pytest.raises(SweeperError, match=message) as error:
        comparison(names)
    assert "\n" not in str(error.value)
    assert not Path("runs/one/comparison").exists()


def test_arms_of_one_name_are_told_apart_by_their_runs_and_names_may_hold_colons(
    store_arms: StoreArms, tmp_path: Path
) -> None:
    store_arms("r:1", {"k:a$": many(0.0, 0, 4)})
    store_arms("r:2", {"k:a$": many(0.0, 1, 4), "b": many(0.0, 2, 4)})
    text = comparison(["r:1", "r:2:k:a$"], output=tmp_path / "out")
    assert text.startswith("r:1: k:a$ against r:2: k:a$, ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == WRITTEN


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"split": "test"}, "split differs: train for a but test for b"),
        ({"scale": "small"}, "scale differs: none for a but small for b"),
        ({"data_sha256": "5b"}, "data_sha256 differs: 5a for a but 5b for b"),
        (
            {"samples": 500},
            "NLL and MI are not alike: estimates with K = 100 for a but estimates with K = 500 "
            "for b",
        ),
        (
            {"nll_exact": 5.0, "mi_exact": 1.0},
            "NLL and MI are not alike: estimates with K = 100 for a but exact for b",
        ),
    ],
)
def test_what_does_not_compare_is_refused_unless_it_is_forced(
    store_arms: StoreArms, tmp_path: Path, columns: dict[str, str], message: str
) -> None:
    store_arms("one", {"a": many(0.0, 0, 4)})
    store_arms("two", {"b": many(0.0, 1, 4)}, **columns)
    with pytest.raises(SweeperError, match=f"^{message}; compare .* with --force$"):
        comparison(["one", "two"], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    text = comparison(["one", "two"], output=tmp_path / "out", force=True)
    assert "do not compare" in text


def test_sides_are_compared_at_equal_information_of_q(
    store_arms: StoreArms, tmp_path: Path
) -> None:
    of_q = {"mi_q": 2.0, "mi_q_se": 0.0, "mi_q_ceiling": 4.0, "observations": 55}
    arms = {"a": many(0.0, 0, 5), "b": many(1.0, 1, 5)}
    store_arms("r", arms, **of_q)
    store_arms("s", {"c": many(0.0, 0, 5)}, **{**of_q, "observations": 66})

    lines = comparison(["r"], mi="mi_q").splitlines()

    assert lines[1] == "MI: MI of q, I_q(x; z), pool of 55"
    assert any("MI: a covers 2 to 2, b covers 2 to 2 nats" in line for line in lines)
    with pytest.raises(SweeperError, match="by pools of different sizes: 55, 66 observations"):
        comparison(["r:a", "s:c"], mi="mi_q", output=tmp_path / "both")


def test_sides_without_codes_are_not_compared_at_equal_code_space(
    store_arms: StoreArms, tmp_path: Path
) -> None:
    store_arms("r", {"a": many(0.0, 0, 5), "b": many(1.0, 1, 5)}, code_space=2.0)
    store_arms("s", {"c": many(0.0, 0, 5), "d": many(1.0, 1, 5)})

    lines = comparison(["r"], mi="code_space").splitlines()

    assert lines[1] == "in the place of MI: log of the code space, L ln J"
    assert any("MI: a covers 2 to 2, b covers 2 to 2 nats" in line for line in lines)
    with pytest.raises(SweeperError) as refused:
        comparison(["r:a", "s"], mi="code_space", output=tmp_path / "both")
    assert str(refused.value) == (
        "no trial of c, d has a value of code_space, which only vq latents have; name sides that "
        "have it, or compare at equal information of the model with --mi mi"
    )


def test_mi_beyond_what_is_possible_does_not_count(store_arms: StoreArms) -> None:
    arms = {"far": [*many(0.0, 0, 9), (5.0, 4.0)], "near": [*many(1.0, 1, 9), (9.0, 2.0)]}
    run = store_arms("r", arms, nll_floor=3.0, mi_ceiling=8.0)
    lines = comparison(["r:far", "r:near"]).splitlines()

    [covers] = [line for line in lines if "far covers" in line]
    assert covers.count(" to 3") == 2
    [told] = [line for line in lines if "beyond what is possible" in line]
    n_beyond = {name: sum(mi > 3 for _, mi in pairs) for name, pairs in arms.items()}
    counted = ", ".join(f"{name}: {n} of 10 beyond 3 nats" for name, n in n_beyond.items())
    assert told == (
        "warning: MI beyond what is possible, the entropy of the data or what the latents hold, "
        f"counts as that much: {counted}"
    )
    curve = pd.read_csv(run.comparison / "far-against-near" / "comparison.csv")
    assert curve["mi"].max() == 3.0
    # All that was spent bought the whole hypervolume.
    table = [line.split("  ") for line in lines]
    [volume] = [line for line in table if line[0] == "hypervolume"]
    [budget] = [line for line in table if line[0] == "10 trials ended"]
    assert [cell for cell in budget if cell][1] == [cell for cell in volume if cell][2].split()[0]


def test_what_makes_the_sides_less_comparable_is_said(store_arms: StoreArms, tmp_path) -> None:
    store_arms("one", {"a": many(0.0, 0, 4)}, sampler="tpe")
    store_arms("two", {"b": many(0.0, 1, 4)}, train_seconds=None, nll_se=None)
    text = comparison(["one", "two"], output=tmp_path / "out")
    assert "warning: the sampler (tpe) learns from earlier trials" in text
    assert "warning: 4 points have no Monte Carlo error and count as exact here" in text
    assert "warning: 4 trials have no known seconds" in text


def test_the_same_trials_on_both_sides_are_said(store_arms: StoreArms, tmp_path: Path) -> None:
    store_arms("one", {"a": many(0.0, 0, 8)})
    shutil.copytree("runs/one", "runs/two")
    text = comparison(["one", "two"], output=tmp_path / "out")
    assert "one: a and two: a attain the same NLL at every MI of both" in text
    assert "warning: both sides are the same trials" in text
    assert "fits better" not in text


def test_no_common_mi_is_an_answer_with_the_indicators(store_arms: StoreArms) -> None:
    store_arms("r", {"low": [(5.0, 0.0), (5.1, 1.0)], "high": [(6.0, 2.0), (6.1, 3.0)]})
    text = comparison(["r:low", "r:high"])
    assert "no MI at which both have a model: low covers 0 to 1, high covers 2 to 3 nats" in text
    assert "hypervolume" in text
    assert len(pd.read_csv("runs/r/comparison/low-against-high/comparison.csv")) == 0


def test_one_point_a_side_is_an_answer(store_arms: StoreArms) -> None:
    store_arms("r", {"a": [(5.0, 1.0)], "b": [(6.0, 1.0)]})
    assert (
        "at 1 nats: fewer than 3 configurations of a side have so much MI "
        "(difference -1.000 to -1.000)" in comparison(["r"])
    )


def test_a_side_without_a_model_is_an_answer(store_arms: StoreArms) -> None:
    store_arms("r", {"a": [None, None], "b": [(6.0, 1.0)]})
    text = comparison(["r"])
    assert text.splitlines()[1] == "nothing to compare: a without a model (2 failed)"
    assert not Path("runs/r/comparison").exists()


def test_failed_trials_are_left_out_but_cost(store_arms: StoreArms) -> None:
    store_arms("r", {"a": [(5.0, 1.0), None, None], "b": [(6.0, 1.0), (5.0, 0.5)]})
    lines = comparison(["r"]).splitlines()
    assert "left out: 2 failed" in lines
    assert any(line.startswith("2 trials ended ") for line in lines)


def test_pruned_trials_are_left_out_cost_and_make_the_intervals_doubtful(
    store_arms: StoreArms,
) -> None:
    sides = {"a": [(5.0, 1.0), None, None], "b": [(6.0, 1.0), (5.0, 0.5)]}
    store_arms("r", sides, lost="pruned")
    lines = comparison(["r"]).splitlines()

    assert "left out: 2 pruned" in lines
    assert any(line.startswith("2 trials ended ") for line in lines)
    assert any(line.startswith("warning: 2 trials were pruned early") for line in lines)


def test_hulls_are_said_to_interpolate(store_arms: StoreArms) -> None:
    store_arms("r", {"a": many(0.0, 0, 9), "b": many(0.0, 1, 9)})
    assert "interpolate between trained models" in comparison(["r"], hull=True)
    assert "interpolate" not in comparison(["r"])


def test_it_is_per_token_where_observations_have_several(store_arms: StoreArms) -> None:
    store_arms("r", {"a": [(8.0, 4.0)], "b": [(4.0, 4.0)]}, tokens=4.0)
    assert "nats per token" in comparison(["r"])
    assert "(difference +1.000 to +1.000)" in comparison(["r"], per="token")
    assert "(difference +4.000 to +4.000)" in comparison(["r"], per="observation")
    with pytest.raises(SweeperError, match="--per takes observation or token; got 'word'"):
        comparison(["r"], per="word")


@pytest.mark.parametrize("level", [90.0, 0.2, 1.0, float("nan")])
def test_a_level_is_a_probability(store_arms: StoreArms, level: float) -> None:
    with pytest.raises(SweeperError, match="--level is a probability"):
        comparison(["r"], level=level)


def test_a_place_that_cannot_be_written_is_one_line(store_arms: StoreArms, tmp_path: Path) -> None:
    store_arms("r", {"a": [(5.0, 1.0)], "b": [(6.0, 1.0)]})
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SweeperError, match=r"cannot write .*file: .*choose another --output"):
        comparison(["r"], output=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
