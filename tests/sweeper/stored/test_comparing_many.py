"""What `sweeper compare` says of more than two sides, from stores that the tests fill."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.plots.files import write_all
from sweeper.errors import SweeperError
from sweeper.runs import RunDirectory
from sweeper.stored.comparing import comparison
from tests.sweeper.stored.points import many

StoreArms = Callable[..., RunDirectory]
KINDS = ("pdf", "png", "svg")
PICTURES = [f"{name}.{kind}" for name in ("budget", "comparison") for kind in KINDS]
WRITTEN = sorted(
    [*PICTURES, "comparison.csv", "comparison.parquet", "hypervolume.csv", "levels.csv"]
)
ARMS = {"second": many(0.0, 0, 12), "good": many(-1.0, 1, 12), "bad": many(1.0, 2, 12)}


def table(text: str, first: str) -> dict[str, str]:
    """The rows of the table whose head begins so, by their first word."""
    lines = text.splitlines()
    [start] = [n for n, line in enumerate(lines) if line.startswith(first)]
    stop = next(n for n in range(start, len(lines)) if lines[n][:1] in ("", "±", "["))
    return {line.split()[0]: line for line in lines[start + 1 : stop]}


def verdicts(text: str) -> dict[str, list[str]]:
    """The verdicts of every side against the baseline."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("  ") and " covers " in line and line.endswith(" nats"):
            found[line.split()[0]] = []
        elif line.startswith("    "):
            found[list(found)[-1]].append(line.strip())
    return found


@pytest.fixture
def store(store_arms: StoreArms, monkeypatch: pytest.MonkeyPatch) -> StoreArms:
    """Stores arms for comparisons without pictures, which take longer than all the rest."""

    def write_tables(writers: dict, directory: Path) -> list[Path]:
        tables = {name: write for name, write in writers.items() if not name.endswith(KINDS)}
        return write_all(tables, directory)

    for module in ("comparing", "comparing_many"):
        monkeypatch.setattr(f"sweeper.stored.{module}.write_all", write_tables)
    return store_arms


def test_all_arms_of_a_run_are_compared_with_its_first_in_words_and_written(
    store_arms: StoreArms,
) -> None:
    run = store_arms("r", ARMS)
    text = comparison(["r"])
    lines = text.splitlines()

    assert lines[0] == "3 sides, each against second, nats per observation"
    levels = table(text, "MI of at least")
    assert list(levels) == list(ARMS)
    assert "*" in levels["good"]
    assert not set("*~") & set(levels["bad"] + levels["second"])
    told = verdicts(text)
    assert list(told) == ["good", "bad"]
    assert all("good fits better by" in line for line in told["good"][:1])
    assert all("second fits better by" in line for line in told["bad"][:1])
    volumes = table(text, "hypervolume ")
    assert list(volumes) == list(ARMS)
    assert "  equal trials: 12 trials ended, as all spent" in lines
    assert not any(line.startswith(("warning", "left out")) for line in lines)
    directory = run.comparison / "all-against-second"
    assert sorted(path.name for path in directory.iterdir()) == WRITTEN
    assert sorted(lines[-len(WRITTEN) :]) == [str(directory / name) for name in WRITTEN]


def test_the_files_hold_what_is_told(store: StoreArms) -> None:
    directory = store("r", ARMS).comparison / "all-against-second"
    comparison(["r"])

    curves = pd.read_csv(directory / "comparison.csv")
    np.testing.assert_allclose(curves["difference"], curves["nll_a"] - curves["nll_b"])
    assert curves["label_a"].unique().tolist() == ["good", "bad"]
    assert curves["label_b"].unique().tolist() == ["second"]
    assert curves["unit"].unique().tolist() == ["observation"]
    pd.testing.assert_frame_equal(curves, pd.read_parquet(directory / "comparison.parquet"))
    levels = pd.read_csv(directory / "levels.csv", keep_default_na=True)
    assert levels["label"].unique().tolist() == list(ARMS)
    at_none = levels[levels["mi"] == 0].set_index("label")["nll"]
    assert at_none.to_dict() == {arm: min(nll for nll, _ in ARMS[arm]) for arm in ARMS}
    volumes = pd.read_csv(directory / "hypervolume.csv").set_index("label")
    assert volumes["hypervolume"].idxmax() == "good"
    assert volumes.index[volumes["difference"].isna()].tolist() == ["second"]


def test_another_baseline_can_be_named(store: StoreArms) -> None:
    run = store("r", ARMS)
    for name in ("bad", "r:bad"):
        text = comparison(["r"], against=name)
        assert text.startswith("3 sides, each against bad, ")
        assert list(verdicts(text)) == ["second", "good"]
    assert sorted(path.name for path in run.comparison.iterdir()) == ["all-against-bad"]


def test_sides_can_be_of_several_runs_and_a_run_stands_for_all_its_arms(
    store: StoreArms, tmp_path: Path
) -> None:
    store("r", {"b": many(0.0, 0, 5), "a": many(0.0, 1, 5)})
    store("s", {"a": many(0.0, 2, 5)})
    out = tmp_path / "out"

    text = comparison(["s", "r"], output=out)
    assert text.startswith("3 sides, each against s: a, ")
    assert "  r: b covers" in text
    assert "  r: a covers" in text
    assert (out / "levels.csv").exists()
    assert comparison(["r", "s"], output=out).startswith("3 sides, each against r: b, ")
    assert comparison(["r", "s"], against="s", output=out).startswith("3 sides, each against s: a")
    assert comparison(["r", "s"], against="s:a", output=out).startswith("3 sides, each against s")


def test_some_arms_of_a_run_are_written_under_their_names(store: StoreArms) -> None:
    run = store("r", {arm: many(0.0, n, 4) for n, arm in enumerate("abcd")})
    text = comparison(["r:d", "r:a", "r:b"])
    assert text.startswith("3 sides, each against d, ")
    assert [path.name for path in run.comparison.iterdir()] == ["a-b-against-d"]


@pytest.mark.parametrize(
    ("names", "against", "message"),
    [
        (["r"], "aa", r"--against 'aa' is none of the sides; did you mean 'a'\?"),
        (["r"], "xyz", "--against 'xyz' is none of the sides; there are a, b, c"),
        (["r", "s"], "a", "--against 'a' is 2 of the sides; name one: r:a, s:a"),
        (["r"], "r", "--against 'r' is 3 of the sides; name one: r:a, r:b, r:c"),
        (["r", "r:a"], None, "r and r:a both name r:a; name it once"),
        (["r", "r"], None, "r and r both name r:a; name it once"),
        (["r", "s"], None, "sides of two runs need a directory .* --output"),
        (["r", "s:x"], None, "runs/s has no ended trial of an arm 'x'; there are a"),
        (["r", "none"], None, "runs/none: no trial has ended yet"),
    ],
)
def test_sides_that_are_none_are_one_line(
    store: StoreArms, names: list[str], against: str | None, message: str
) -> None:
    store("r", {arm: many(0.0, n, 4) for n, arm in enumerate("abc")})
    store("s", {"a": many(0.0, 4, 4)})
    store("none", {})
    with pytest.raises(SweeperError, match=message) as error:
        comparison(names, against=against)
    assert "\n" not in str(error.value)
    assert not Path("runs/r/comparison").exists()


def test_either_of_two_sides_can_be_the_baseline(store: StoreArms) -> None:
    store("r", {"a": many(0.0, 0, 5), "b": many(0.0, 1, 5)})
    assert comparison(["r"], against="b") == comparison(["r"])
    swapped = comparison(["r"], against="r:a")
    assert swapped.startswith("b against a, ")
    assert swapped == comparison(["r:b", "r:a"])
    with pytest.raises(SweeperError, match="--against 'c' is none of the sides"):
        comparison(["r"], against="c")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"split": "test"}, "split differs: train for a, c but test for b"),
        (
            {"samples": 500},
            "NLL and MI are not alike: estimates with K = 100 for a, c but estimates with K = 500 "
            "for b",
        ),
    ],
)
def test_what_does_not_compare_is_refused_for_all_sides_together(
    store: StoreArms, tmp_path: Path, columns: dict, message: str
) -> None:
    store("r", {"a": many(0.0, 0, 4), "c": many(0.0, 1, 4)})
    store("s", {"b": many(0.0, 2, 4)}, **columns)
    with pytest.raises(SweeperError, match=f"^{message}; compare .* with --force$"):
        comparison(["r:a", "s", "r:c"], output=tmp_path / "out")
    text = comparison(["r:a", "s", "r:c"], output=tmp_path / "out", force=True)
    assert "do not compare" in text


def test_exact_sides_beside_estimates_are_a_warning_that_names_them(
    store: StoreArms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store("r", {"a": many(0.0, 0, 4), "c": many(0.0, 1, 4)})
    store("s", {"vq": many(0.0, 2, 4)}, nll_exact=5.0, mi_exact=1.0)
    footers = []
    monkeypatch.setattr(
        "sweeper.stored.comparing_many.differences_figure",
        lambda compared, unit, title, footer, mi: footers.append(footer),
    )
    text = comparison(["r", "s"], output=tmp_path)

    warning = "warning: NLL and MI are not alike: estimates with K = 100 for a, c but exact for vq"
    assert warning in text.splitlines()
    figures = {label: line.split()[2] for label, line in table(text, "MI of at least").items()}
    assert figures == {"a": "K", "c": "K", "vq": "exact"}
    assert [warning in footer for footer in footers] == [True]
    with pytest.raises(SweeperError, match="K = 100 for a but exact for vq"):
        comparison(["r:a", "s"], output=tmp_path)


def test_bounds_beside_estimates_are_a_warning_that_names_them(
    store: StoreArms, tmp_path: Path
) -> None:
    of_q = {"mi_q": 2.0, "mi_q_se": 0.0, "mi_q_ceiling": 4.0, "observations": 55}
    store("r", {"a": many(0.0, 0, 4), "c": many(0.0, 1, 4)}, **of_q)
    store("s", {"vq": many(0.0, 2, 4)}, nll_is_bound=True, **of_q)
    text = comparison(["r", "s"], output=tmp_path, mi="mi_q")
    told = "estimates with K = 100 for a, c but upper bounds of NLL for vq"
    assert f"warning: NLL and MI are not alike: {told}" in text.splitlines()
    assert "warning: the NLL of vq: 4 of 4 points is an upper bound" in text
    with pytest.raises(SweeperError, match="K = 100 for a but upper bounds of NLL for vq"):
        comparison(["r:a", "s"], output=tmp_path, mi="mi_q")


def test_sides_without_a_model_are_said_and_left_out(store: StoreArms) -> None:
    run = store("r", {"a": [None, None], **ARMS, "b": []})
    text = comparison(["r"])
    lines = text.splitlines()

    assert lines[0] == "3 sides, each against second, nats per observation"
    assert "left out: a: without a model (2 failed)" in lines
    assert "left out: b: no trial has ended" in lines
    assert list(table(text, "MI of at least")) == list(ARMS)
    assert (run.comparison / "all-against-second").is_dir()
    with pytest.raises(SweeperError, match=r"^a has no model, .* --against: second, good, bad$"):
        comparison(["r"], against="a")


def test_one_side_with_a_model_is_an_answer(store: StoreArms) -> None:
    store("r", {"a": [None], "b": [None, None], "c": [(5.0, 1.0)]})
    assert comparison(["r"]).splitlines() == [
        "nothing to compare: fewer than two sides have a model",
        "left out: a: without a model (1 failed)",
        "left out: b: without a model (2 failed)",
    ]
    assert not Path("runs/r/comparison").exists()


def test_budgets_are_those_that_all_sides_spent(store: StoreArms, tmp_path: Path) -> None:
    # Trials cost 1.5 seconds and 1,000 evaluations each; the last side has one trial only.
    store("r", {"a": [(6.0, 1.0), (5.0, 2.0)], "b": [(6.0, 2.0), None, None]})
    store("s", {"c": [(5.5, 1.5)]})
    text = comparison(["r", "s"], output=tmp_path)

    assert "  equal trials: 1 trials ended, all that c spent; b spent 3" in text
    assert "  equal seconds: 2 seconds of training and evaluation, all that c spent; " in text
    # Nadir: NLL 6.1, for 6 is the highest on a frontier and 5 the lowest; MI 0.
    columns = {label: line.split()[-3:] for label, line in table(text, "hypervolume ").items()}
    assert columns == {"a": ["0.1"] * 3, "b": ["0.2"] * 3, "c": ["0.9"] * 3}
    assert "warning: fewer than 3 configurations, seeds apart: all sides; " in text
    assert "[" not in table(text, "hypervolume ")["a"]


def test_a_side_that_ended_no_trial_within_the_budget_says_so(
    store: StoreArms, tmp_path: Path
) -> None:
    store("r", {"a": [(6.0, 1.0)], "b": [(6.0, 2.0)]})
    store("s", {"c": [(5.5, 1.5)]}, train_seconds=100.0)
    volumes = table(comparison(["r", "s"], output=tmp_path), "hypervolume ")
    assert volumes["c"].endswith("none ended")


def test_shared_trials_and_samplers_that_learn_are_said(store: StoreArms, tmp_path: Path) -> None:
    store("r", {"a": many(0.0, 0, 4), "b": many(0.0, 1, 4)}, sampler="tpe")
    store("s", {"c": many(0.0, 2, 4)})
    shared = "s-c-0"
    for part in Path("runs/s/results").glob(f"{shared}*"):
        (Path("runs/r/results") / part.name).write_bytes(part.read_bytes())
    text = comparison(["r:a", "r:b", "r:c", "s"], output=tmp_path)
    assert "warning: the sampler (tpe) learns from earlier trials" in text
    assert "warning: 1 trials are on several sides" in text


def test_hulls_are_written_under_their_own_names(store: StoreArms) -> None:
    run = store("r", {arm: many(0.0, n, 3) for n, arm in enumerate("abc")})
    assert "interpolate between trained models" in comparison(["r"], hull=True)
    names = {path.name for path in (run.comparison / "all-against-a").iterdir()}
    assert names == {
        *("comparison_hull.csv", "comparison_hull.parquet", "levels_hull.csv", "hypervolume.csv"),
    }


def test_many_sides_are_compared_per_token_and_at_equal_information_of_q(
    store: StoreArms,
) -> None:
    of_q = {"mi_q": 2.0, "mi_q_se": 0.0, "mi_q_ceiling": 4.0, "observations": 55}
    store("r", {arm: many(0.0, n, 5) for n, arm in enumerate("abc")}, tokens=4.0, **of_q)
    assert comparison(["r"]).startswith("3 sides, each against a, nats per token")
    text = comparison(["r"], mi="mi_q", per="observation")
    assert text.splitlines()[1] == "MI: MI of q, I_q(x; z), pool of 55"
    assert "  b covers 2 to 2 nats" in text
