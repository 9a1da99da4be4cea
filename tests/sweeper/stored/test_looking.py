import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.failures import write_log
from sweeper.heartbeat import CONFIRM, ENDED, SILENT_SECONDS
from sweeper.mirror import Mirror
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored.looking import (
    CONFIRMING,
    FINISHED,
    MERGED,
    RUNNING,
    SILENT,
    STOPPED,
    Look,
    look,
    stored,
)
from tests.sweeper.parts import trial as finished
from tests.sweeper.stored.signs import AT_WORK, NOW, leave

StoreRun = Callable[..., RunDirectory]
MakeExperiment = Callable[..., Experiment]
TEXT: Any = {"capture_output": True, "text": True, "check": True}
ALL = ("done", "failed", "diverged")


def seen(run: RunDirectory, host: str = "here", age: float | None = None) -> Look:
    return look(run, stored(run), now=NOW, host=host, age=age)


@pytest.mark.parametrize(
    ("statuses", "state"), [((), STOPPED), (ALL[:2], STOPPED), (ALL, FINISHED)]
)
def test_a_run_without_a_sign_of_life_is_stopped_or_finished(
    store_run: StoreRun, statuses: tuple[str, ...], state: str
) -> None:
    found = seen(store_run(*statuses))

    assert (found.state, found.beat, found.age) == (state, None, None)
    assert (found.stored.n_trials, found.stored.n_ended) == (3, len(statuses))
    assert found.stored.ended == dict.fromkeys(statuses, 1)


def test_a_sweep_that_ended_with_fewer_trials_is_finished(store_run: StoreRun) -> None:
    run = store_run("done", "done")
    assert seen(run).state == STOPPED
    run.finish(2)
    assert seen(run).state == FINISHED


def test_a_driver_on_this_machine_is_known_by_its_lock(store_run: StoreRun) -> None:
    run = store_run("done")
    for command, state in (("run", RUNNING), (CONFIRM, CONFIRMING)):
        leave(run, host="here", command=command)
        with run.driven():
            assert seen(run).state == state
            assert seen(run, age=1e6).state == state  # it may hang, but it is there
        assert seen(run).state == STOPPED  # killed, however fresh its last sign is


def test_a_driver_here_of_a_run_in_an_object_store_is_known_by_its_process(
    store_run: StoreRun,
) -> None:
    stored_here = store_run("done")
    run = RunDirectory(stored_here.path, Mirror("s3://bucket/runs/tiny", stored_here.path))
    leave(run, host="here", pid=os.getpid())
    assert seen(run).state == RUNNING
    assert seen(run, age=SILENT_SECONDS).state == SILENT
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], **TEXT)
    leave(run, host="here", pid=int(ended.stdout))
    assert seen(run).state == STOPPED


def test_a_driver_that_has_not_given_a_sign_yet_is_running(store_run: StoreRun) -> None:
    run = store_run("done")
    with run.driven():
        assert seen(run).state == RUNNING
        leave(run, state=ENDED, outcome="interrupted")  # by the one before
        assert seen(run).state == RUNNING


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, RUNNING), (SILENT_SECONDS - 1, RUNNING), (SILENT_SECONDS, SILENT), (-3600, RUNNING)],
)
def test_a_driver_on_another_machine_is_known_by_the_age_of_its_signs(
    store_run: StoreRun, age: float, state: str
) -> None:
    run = store_run("done")
    leave(run, age)

    assert (seen(run).state, seen(run).age) == (state, age)


def test_who_has_watched_knows_better_than_clocks_that_differ(store_run: StoreRun) -> None:
    run = store_run("done")
    leave(run, 3600)
    assert seen(run, age=3.0).state == RUNNING
    leave(run, -3600)
    assert seen(run, age=SILENT_SECONDS).state == SILENT


def test_a_driver_that_said_goodbye_is_not_missed(store_run: StoreRun) -> None:
    run = store_run("done")
    leave(run, 1, state=ENDED, outcome="interrupted")

    assert seen(run).state == STOPPED


def test_a_run_whose_trials_have_all_ended_is_finished_whatever_became_of_its_driver(
    store_run: StoreRun,
) -> None:
    run = store_run(*ALL)
    leave(run, 1e6)
    assert seen(run).state == FINISHED
    leave(run, 1e6, command=CONFIRM)
    assert seen(run).state == SILENT


def test_a_merged_run_is_merged(store_run: StoreRun) -> None:
    run = store_run("done")
    run.merge([Path("runs/a"), Path("runs/b")], 1)

    assert seen(run).state == MERGED


def test_trials_that_ended_badly_are_failures_with_their_log(store_run: StoreRun) -> None:
    run = store_run("done", "failed", "diverged")
    rows = ResultStore(run.results).read(final_only=True).set_index("status")
    write_log(run.failures, rows.loc["failed", "trial_id"], "failed on h", "Traceback\nE: why")

    by_status = {failure.status: failure for failure in stored(run).failures}
    failed, diverged = by_status["failed"], by_status["diverged"]
    assert len(by_status) == 2
    assert (failed.arm, failed.seed, failed.reason) == ("tiny", 0, "as the test wants it")
    assert failed.log == Path(f"runs/tiny/failures/{failed.trial}.log")
    assert failed.last_line == "E: why"
    assert (diverged.log, diverged.last_line, diverged.confirms) == (None, None, None)


def test_a_trial_that_was_stopped_early_has_ended_and_is_no_failure(store_run: StoreRun) -> None:
    found = stored(store_run("done", "pruned"))

    assert found.ended == {"done": 1, "pruned": 1}
    assert found.failures == []


def test_the_fresh_trials_of_a_confirmation_are_counted_apart(store_run: StoreRun) -> None:
    run = store_run("done")
    for trial, status in (("fresh-0", "done"), ("fresh-1", "failed")):
        rows = finished(trial, confirms="x", status=status, reason="why")
        ResultStore(run.confirmation).append(rows)

    found = stored(run)
    assert (found.n_ended, found.confirmed) == (1, {"done": 1, "failed": 1})
    [failure] = found.failures
    assert (failure.trial, failure.confirms, failure.reason) == ("fresh-1", "x", "why")


def test_a_run_has_a_frontier_once_a_trial_is_done(store_run: StoreRun) -> None:
    assert stored(store_run("failed")).frontier is None
    found = stored(store_run("done", "done", name="other")).frontier
    assert found is not None
    assert len(found.points) == 2


def test_what_is_at_work_comes_with_the_sign_of_life(store_run: StoreRun) -> None:
    run = store_run()
    leave(run)
    found = seen(run)

    assert found.beat is not None
    assert list(found.beat.running) == [AT_WORK]


def test_a_damaged_part_is_one_line_or_told_to_who_listens(store_run: StoreRun) -> None:
    run = store_run("done", "done")
    damaged_part = min(run.results.iterdir())
    damaged_part.write_bytes(damaged_part.read_bytes()[:-10])
    damaged: list[str] = []

    with pytest.raises(SweeperError, match=r"cannot be read .*damaged; resume") as error:
        stored(run)
    assert "\n" not in str(error.value)
    assert stored(run, damaged).ended == {"done": 1}
    assert [problem.split(" cannot be read")[0] for problem in damaged] == [str(damaged_part)]


def test_a_run_that_is_extended_has_more_trials_to_end(
    store_run: StoreRun, experiment: MakeExperiment
) -> None:
    run = store_run(*ALL)
    changes: dict[str, Any] = {"search": {"trials": 5}}
    run.experiment_file.write_text(experiment(**changes).to_yaml())

    assert (seen(run).state, seen(run).stored.n_trials) == (STOPPED, 5)
