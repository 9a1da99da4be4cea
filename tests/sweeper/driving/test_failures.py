import pickle
from pathlib import Path
from typing import NamedTuple

import pytest

from sweeper.driving.failures import NOTHING_SAID, Deaths, likely_cause

# As Ray 2.60 writes it of a worker that was sent SIGKILL.
KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some "
    "common causes include: (1) the process was killed by the OOM killer due to high memory "
    "usage, (2) ray stop --force was called, or (3) the node was terminated or out of memory "
    "OutOfMemoryError."
)


class Trial(NamedTuple):
    """A trial as Tune knows it, and where Tune has written its error."""

    trial_id: str
    error_file: str | None = None


def test_what_ray_says_of_a_trial_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("Failure # 1\nthe actor died\n\n")
    trials = [Trial("a"), Trial("b", str(tmp_path / "b.txt")), Trial("c", "/none")]
    deaths = Deaths()
    assert deaths.said("b") == NOTHING_SAID

    deaths.on_step_begin(1, trials)

    assert [deaths.said(trial) for trial in "abcd"] == [
        NOTHING_SAID,
        "Failure # 1\nthe actor died",
        NOTHING_SAID,
        NOTHING_SAID,
    ]


def test_the_arguments_of_other_programs_are_left_out(tmp_path: Path) -> None:
    listed = "Top 10 memory users: PID\tMEM(GB)\tCOMMAND\n12\t0.39\tpsql --password=x y\n3\t0.1\ta"
    (tmp_path / "a.txt").write_text(listed)
    deaths = Deaths()
    deaths.on_step_begin(1, [Trial("a", str(tmp_path / "a.txt"))])

    assert deaths.said("a") == listed.replace(" --password=x y", "")


def test_trials_that_come_later_are_known(tmp_path: Path) -> None:
    trials: list[Trial] = []
    deaths = Deaths()
    deaths.on_step_begin(1, trials)
    (tmp_path / "a.txt").write_text("it died")
    trials.append(Trial("a", str(tmp_path / "a.txt")))

    assert deaths.said("a") == "it died"


def test_ray_keeps_nothing_of_it() -> None:
    deaths = Deaths()
    deaths.on_step_begin(1, [Trial("a")])

    assert pickle.loads(pickle.dumps(deaths)).trials == ()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (KILLED, "perhaps for lack of memory; "),
        (NOTHING_SAID, "perhaps for lack of memory; "),
        ("", "perhaps for lack of memory; "),
        ("Worker exit type: NODE_OUT_OF_MEMORY Worker exit", "for lack of memory on its node; "),
        (
            "1 worker(s) were killed due to the node running low on memory. Me",
            "for lack of memory on",
        ),
        ("Task was killed due to the node running low on memory.", "for lack of memory on its"),
        ("The actor died because its node has died. Node Id: 5a", "with its node; "),
    ],
)
def test_the_likely_cause_is_what_ray_knows_and_not_what_it_guesses(said: str, cause: str) -> None:
    assert likely_cause(said).startswith(cause)
    assert "\n" not in likely_cause(said)
