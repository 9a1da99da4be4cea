"""From an id to a stored trial."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.points import find_point
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.search import Task

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]
Store = Callable[..., RunDirectory]


@pytest.fixture
def stored(
    experiment: MakeExperiment, ended: MakeRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """Stores a run below `runs` that holds trials of these ids."""
    monkeypatch.chdir(tmp_path)

    def store(name: str, *trials: str) -> RunDirectory:
        tiny = experiment(name=name)
        run = RunDirectory(Path("runs") / name)
        run.create(tiny.to_yaml())
        values = {"training.learning_rate": 0.01}
        config = tiny.trial_config(name, values)
        for trial in trials:
            task = Task(name, 0, int(trial[-1]), values, config, "5a", trial[:-2], trial)
            ResultStore(run.results).append(ended(tiny, task))
        return run

    return store


@pytest.mark.parametrize("name", ["abcdef01-0", "abcdef0", "abcdef"])
def test_a_trial_is_found_by_its_id_or_how_it_begins(stored: Store, name: str) -> None:
    stored("a", "0bcdef01-0")
    stored("b", "abcdef01-0", "abcde001-0")
    point = find_point(name)

    assert (point.trial_id, point.run.path) == ("abcdef01-0", Path("runs/b"))
    assert point.row["trial_id"] == "abcdef01-0"
    assert point.row["final"]
    assert '"learning_rate": 0.01' in point.row["trial"]
    assert point.also_in == []


def test_a_whole_id_is_not_ambiguous_where_another_begins_so(stored: Store) -> None:
    stored("a", "abcdef01-1", "abcdef01-11")

    assert find_point("abcdef01-1").trial_id == "abcdef01-1"


def test_a_beginning_of_several_trials_names_them(stored: Store) -> None:
    stored("a", "abcdef01-0", "abcdef01-1")
    stored("b", "abcdef02-0")

    with pytest.raises(SweeperError) as error:
        find_point("abcdef")
    assert str(error.value) == (
        "'abcdef' begins 3 trials: abcdef01-0, abcdef01-1, abcdef02-0; name one"
    )
    assert find_point("abcdef", run="b").trial_id == "abcdef02-0"


def test_many_trials_that_begin_alike_are_cut_short(stored: Store) -> None:
    stored("a", *(f"abcdef{number:02}-0" for number in range(12)))

    with pytest.raises(SweeperError, match=r"begins 12 trials: .*07-0 and 4 more; name one"):
        find_point("abcdef")


def test_a_short_beginning_is_refused(stored: Store) -> None:
    stored("a", "abcdef01-0")

    with pytest.raises(SweeperError, match="'abcde' is too short to name a trial; give 6 char"):
        find_point("abcde")


def test_an_unknown_trial_comes_with_the_nearest(stored: Store) -> None:
    stored("a", "abcdef01-0", "12345678-0")

    with pytest.raises(SweeperError, match=r"no trial 'abcdfe01-0' .*did you mean abcdef01-0\?"):
        find_point("abcdfe01-0")
    with pytest.raises(SweeperError, match="in the runs in runs; `sweeper frontier` shows ids"):
        find_point("zzzzzz")
    stored("b")
    with pytest.raises(SweeperError, match="there is no trial 'abcdef' in runs/b"):
        find_point("abcdef", run="b")


def test_of_several_runs_with_a_trial_the_first_counts(stored: Store) -> None:
    stored("b", "abcdef01-0")
    stored("a", "abcdef01-0")
    point = find_point("abcdef")

    assert point.run.path == Path("runs/a")
    assert [run.path for run in point.also_in] == [Path("runs/b")]
    assert find_point("abcdef", run="b").run.path == Path("runs/b")


def test_damage_elsewhere_does_not_hide_a_trial(stored: Store) -> None:
    run = stored("a", "abcdef01-0", "12345678-0")
    (run.results / "12345678-0.parquet").write_bytes(b"")
    other = stored("b", "abcdef02-0")
    compacted = ResultStore(other.results).compact(threshold=1)
    assert compacted is not None
    compacted.write_bytes(b"")

    assert find_point("abcdef01").trial_id == "abcdef01-0"
    with pytest.raises(SweeperError, match=r"12345678-0\.parquet cannot be read"):
        find_point("12345678")
    with pytest.raises(SweeperError) as error:
        find_point("abcdef02-0")
    first, second = str(error.value).splitlines()
    assert first.startswith("there is no trial 'abcdef02-0'")
    assert second.startswith(f"{compacted} cannot be read")
