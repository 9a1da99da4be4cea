import json
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sweeper.failures import write_log
from sweeper.heartbeat import CONFIRM, ENDED, STOPPING
from sweeper.mirror import Mirror
from sweeper.results import ResultStore
from sweeper.runs import RunDirectory
from sweeper.stored import status
from sweeper.stored.looking import Look, look, stored
from sweeper.stored.status import document, text
from tests.sweeper.parts import trial as finished
from tests.sweeper.stored.signs import AT_WORK, NOW, leave

StoreRun = Callable[..., RunDirectory]


def seen(run: RunDirectory, host: str = "here", age: float | None = None) -> Look:
    return look(run, stored(run), now=NOW, host=host, age=age)


def lines(run: RunDirectory, **options: Any) -> list[str]:
    return text(seen(run, **options)).splitlines()


def test_a_run_that_nothing_has_ended_in_is_stopped(store_run: StoreRun) -> None:
    assert lines(store_run()) == [
        "runs/tiny: stopped; 0 of 3 trials have ended",
        "continue with: sweeper resume runs/tiny",
    ]


def test_a_run_in_an_object_store_is_called_by_its_address(store_run: StoreRun) -> None:
    path = store_run().path
    run = RunDirectory(path, Mirror("s3://bucket/runs/tiny", path))

    assert lines(run) == [
        "s3://bucket/runs/tiny: stopped; 0 of 3 trials have ended",
        "continue with: sweeper resume s3://bucket/runs/tiny",
    ]
    assert document(seen(run))["run"] == "s3://bucket/runs/tiny"


def test_a_run_that_is_driven_says_by_whom_and_what_is_at_work(store_run: StoreRun) -> None:
    run = store_run("done")
    leave(run, lost_workers=2, address="10.0.0.1:6379")

    assert lines(run)[:5] == [
        "runs/tiny: running; 1 of 3 trials have ended, 1 done",
        "  driven by process 12 on there since 2026-11-26 13:00:00 UTC; last sign of life 2 s ago",
        "  2 workers; Ray at 10.0.0.1:6379; about 0:01:30 left; 2 workers were lost, see "
        "runs/tiny/failures",
        "  tiny c0ffee-0 running: step 3/8, loss 1.235, for 0:00:59",
        "",
    ]


def test_a_driver_that_says_nothing_yet_is_running(store_run: StoreRun) -> None:
    run = store_run()
    with run.driven():
        assert lines(run) == ["runs/tiny: running; 0 of 3 trials have ended"]


def test_what_is_not_known_of_a_trial_at_work_is_left_out(store_run: StoreRun) -> None:
    run = store_run()
    young = AT_WORK.model_copy(update={"loss": None, "n_steps": None, "step": 0})
    leave(run, running=[young], seconds_left=None, workers=1)

    assert lines(run)[2:] == ["  1 worker", "  tiny c0ffee-0 running: step 0/?, for 0:00:59"]


@pytest.mark.parametrize(
    ("sign", "told"),
    [
        ({"workers": 0}, "  its workers are starting"),
        ({"lost_workers": 1}, "  2 workers; 1 worker was lost, see runs/tiny/failures"),
    ],
)
def test_workers_are_counted(store_run: StoreRun, sign: dict[str, Any], told: str) -> None:
    run = store_run()
    leave(run, seconds_left=None, running=[], **sign)

    assert lines(run)[2:] == [told]


def test_a_driver_that_is_stopping_says_so(store_run: StoreRun) -> None:
    run = store_run()
    leave(run, state=STOPPING)

    assert lines(run)[2] == "  2 workers; stopping: running trials save their state"


def test_a_driver_that_is_not_heard_of_may_have_died(store_run: StoreRun) -> None:
    run = store_run()
    leave(run, 600, running=[AT_WORK.model_copy(update={"since": NOW - timedelta(seconds=661)})])

    assert lines(run) == [
        "runs/tiny: silent; 0 of 3 trials have ended",
        "  process 12 on there has given no sign of life for 0:10:00, since 2026-11-26 13:50:00 "
        "UTC: it, or its machine, may have died or be cut off",
        "  once that is certain, continue with: sweeper resume runs/tiny",
        "  tiny c0ffee-0 last seen running: step 3/8, loss 1.235, for 0:01:01",
    ]


def test_a_driver_that_hangs_is_told_from_one_that_is_silent(store_run: StoreRun) -> None:
    run = store_run()
    leave(run, 600, host="here")
    with run.driven():
        assert lines(run)[1].endswith("; no sign of life for 0:10:00: it hangs, or is held still")


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (-5.0, "last sign of life 0 s ago"),
        (
            -3600.0,
            "its last sign of life is 1:00:00 ahead of this machine's clock, so the clocks "
            "differ; --watch sees whether it moves",
        ),
    ],
)
def test_a_sign_from_the_future_is_taken_for_a_clock_that_differs(
    store_run: StoreRun, age: float, told: str
) -> None:
    run = store_run()
    leave(run, age)

    assert lines(run)[1].endswith(f" UTC; {told}")


def test_a_driver_that_was_killed_ended_without_a_word(store_run: StoreRun) -> None:
    run = store_run()
    leave(run, host="here")

    assert lines(run) == [
        "runs/tiny: stopped; 0 of 3 trials have ended",
        "continue with: sweeper resume runs/tiny",
        "  process 12 on here ended without a word after 2026-11-26 13:59:58 UTC, as it does when "
        "it is killed",
    ]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("interrupted", ["  interrupted at 2026-11-26 13:59:58 UTC"]),
        ("no space", ["  ended at 2026-11-26 13:59:58 UTC by an error: no space"]),
        ("done", []),
    ],
)
def test_a_driver_that_ended_says_how(store_run: StoreRun, outcome: str, told: list[str]) -> None:
    run = store_run()
    leave(run, state=ENDED, outcome=outcome, running=[])

    assert lines(run)[2:] == told


def test_a_finished_run_says_nothing_of_its_driver(store_run: StoreRun) -> None:
    run = store_run("done", "done", "done")
    leave(run, state=ENDED, outcome="done", running=[])

    assert lines(run)[:2] == ["runs/tiny: finished; 3 of 3 trials have ended, 3 done", ""]


def test_a_confirmation_has_its_own_trials(store_run: StoreRun) -> None:
    run = store_run("done", "done", "done")
    ResultStore(run.confirmation).append(finished("fresh-0", confirms="x"))
    leave(run, command=CONFIRM, trials=7, ended={"done": 1})

    found = lines(run)
    assert found[0] == "runs/tiny: confirming; 3 of 3 trials have ended, 3 done"
    assert found[3] == "  its confirmation: 1 of 7 fresh trials have ended, 1 done"
    run.heartbeat.unlink()
    assert lines(run)[1] == "  its confirmation: 1 fresh trials, 1 done"


def test_a_merged_run_says_what_it_was_merged_from(store_run: StoreRun) -> None:
    run = store_run("done")
    run.merge([Path("runs/a"), Path("runs/b")], 1)

    assert lines(run)[:4] == [
        "runs/tiny: merged; 1 of 1 trials have ended, 1 done",
        "  from runs/a",
        "  from runs/b",
        "",
    ]


def test_a_trial_that_failed_says_why_and_where_the_whole_is(store_run: StoreRun) -> None:
    run = store_run("failed", "diverged")
    rows = ResultStore(run.results).read(final_only=True).set_index("status")
    trial = rows.loc["failed", "trial_id"]
    write_log(run.failures, trial, "failed on h", "Traceback\nE: first\nsecond")

    found = lines(run)
    assert "1 failed" in found[0]
    at = found.index(f"  tiny {trial} failed: as the test wants it")
    assert found[at + 1 : at + 3] == [
        "    last line: second",
        f"    in full: runs/tiny/failures/{trial}.log",
    ]
    diverged = rows.loc["diverged", "trial_id"]
    assert f"  tiny {diverged} diverged: as the test wants it" in found
    assert sum("in full: " in line for line in found) == 1
    again = "train what failed again with: sweeper resume runs/tiny --retry-failed"
    assert found[-1] == again
    leave(run)
    assert again not in lines(run)


def test_a_last_line_that_the_reason_holds_is_not_said_twice(store_run: StoreRun) -> None:
    run = store_run("failed")
    [trial] = ResultStore(run.results).read(final_only=True)["trial_id"]
    write_log(run.failures, trial, "failed", "Traceback\nas the test wants it")

    assert not any("last line" in line for line in lines(run))


def test_long_lists_are_cut_short(store_run: StoreRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "SHOWN_REASONS", 2)
    monkeypatch.setattr(status, "SHOWN_RUNNING", 1)
    run = store_run("failed", "failed", "failed")
    leave(run, command=CONFIRM, running=[AT_WORK] * 3)
    found = lines(run)

    assert len([line for line in found if "as the test wants it" in line]) == 2
    assert "  and 2 more at work" in found
    assert found[-1] == "  and 1 more; see the rows, or --json"


def test_the_frontier_so_far_is_shown(store_run: StoreRun) -> None:
    shown = text(seen(store_run("done", "diverged")))

    assert "Pareto frontier, nats per observation: 1 of 1 trials" in shown
    assert "2.000 ± 0.010" in shown
    assert "left out: 1 diverged" in shown


KEYS = {
    *("format", "run", "time", "state", "trials", "confirmation", "seconds_left", "driver"),
    *("running", "failures", "frontier", "merged_from", "resume"),
}


def test_a_document_has_the_same_keys_whatever_there_is(store_run: StoreRun) -> None:
    run = store_run("done", "failed")
    [trial] = (
        ResultStore(run.results).read(final_only=True).query("status == 'failed'")["trial_id"]
    )
    write_log(run.failures, trial, "failed", "E: why")
    leave(run)
    full = json.loads(json.dumps(document(seen(run)), allow_nan=False))
    empty = json.loads(json.dumps(document(seen(store_run(name="other"))), allow_nan=False))

    assert full.keys() == empty.keys() == KEYS
    assert (full["run"], full["state"], full["resume"]) == ("runs/tiny", "running", None)
    assert full["trials"] == {
        "total": 3,
        "ended": 2,
        "running": 1,
        "by_status": {"done": 1, "failed": 1},
    }
    assert full["seconds_left"] == 90
    assert full["driver"].items() >= {"pid": 12, "host": "there", "age_seconds": 2.0}.items()
    assert full["driver"]["time"] == "2026-11-26T13:59:58Z"
    assert full["running"] == [AT_WORK.model_dump(mode="json")]
    [failure] = full["failures"]
    assert failure == {
        "trial": trial,
        "arm": "tiny",
        "seed": 0,
        "status": "failed",
        "reason": "as the test wants it",
        "confirms": None,
        "last_line": "E: why",
        "log": f"runs/tiny/failures/{trial}.log",
    }
    [point] = full["frontier"]["points"]
    assert point.items() >= {"arm": "tiny", "nll": 2.0, "mi": 1.0, "exact": False}.items()
    assert (full["frontier"]["unit"], full["frontier"]["axis"]) == ("observation", "mi")
    assert (empty["driver"], empty["frontier"], empty["running"]) == (None, None, [])
    assert empty["resume"] == "sweeper resume runs/other"


def test_numbers_that_are_not_known_are_null_in_a_document(store_run: StoreRun) -> None:
    run = store_run("done", nll_se=math.nan, mi_se=None)
    whole = document(seen(run))

    [point] = json.loads(json.dumps(whole, allow_nan=False))["frontier"]["points"]
    assert (point["nll_se"], point["mi_se"]) == (None, None)
