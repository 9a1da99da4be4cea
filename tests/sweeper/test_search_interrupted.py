"""Sweeps that go on after they were killed, or after something of what they wrote was lost."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sweeper import search
from sweeper.experiment import Experiment
from sweeper.results import ResultStore
from tests.sweeper.sweeps import TWO_ARMS, Run, ids, rest, states
from trainables.trial import config_hash

MakeExperiment = Callable[..., Experiment]


class Moments:
    """Copies of a run at every moment that something of it has been written."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = run
        self.copies: list[tuple[bytes, dict[str, bytes]]] = []
        for owner, name in ((JournalFileBackend, "append_logs"), (ResultStore, "append")):
            monkeypatch.setattr(owner, name, self._followed_by_a_copy(getattr(owner, name)))

    def _followed_by_a_copy(self, write: Callable[..., object]) -> Callable[..., object]:
        def writing(*args: Any) -> object:
            result = write(*args)
            results = self.run.store.directory
            files = results.iterdir() if results.exists() else ()
            parts = {file.name: file.read_bytes() for file in files}
            self.copies.append((self.run.journal.read_bytes(), parts))
            return result

        return writing


def killed_at(moments: Moments) -> Iterable[tuple[bytes, dict[str, bytes]]]:
    """Every moment, and with it every one at which half a line of the journal is written."""
    for i, (journal, parts) in enumerate(moments.copies):
        yield journal, parts
        if i + 1 < len(moments.copies):
            line = moments.copies[i + 1][0][len(journal) :]
            if line:
                yield journal + line[: len(line) // 2], parts


def test_killed_at_any_moment_a_sweep_goes_on_without_losing_or_repeating_a_trial(
    run: Run, experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"training.l2": {"kind": "float", "low": 0.0, "high": 0.1}}
    tiny = experiment(arms=TWO_ARMS, search={"trials": 2, "seeds": 2, "space": space})
    with monkeypatch.context() as patch:
        moments = Moments(run, patch)
        run.complete(run.sweep(tiny))
    reference = run.stored().set_index("trial_id")
    # Two studies; 4 times ask, two values, identity and tell; the rows of 8 trials.
    assert len(moments.copies) == 2 + 4 * 5 + 8

    for i, (journal, parts) in enumerate(killed_at(moments)):
        after = Run(tmp_path / f"after-{i}", run.rows)
        after.journal.write_bytes(journal)
        after.store.directory.mkdir()
        for name, content in parts.items():
            (after.store.directory / name).write_bytes(content)
        known = after.store.finished()

        sweep = after.sweep(tiny)
        trained = after.complete(sweep)

        stored = after.stored().set_index("trial_id")
        assert len(trained) == 8 - len(known)
        assert known.isdisjoint(ids(trained))
        assert stored.index.is_unique
        assert len(stored) == 8
        assert (stored["created_at"][list(known)] == reference["created_at"][list(known)]).all()
        assert sweep.n_remaining == 0
        for arm in TWO_ARMS:
            counts = Counter(states(sweep, arm))
            assert counts.pop(TrialState.COMPLETE) == 2
            assert counts.keys() <= {TrialState.FAIL}  # asked for, but not to the end


def test_a_lost_part_is_trained_again(run: Run, experiment: MakeExperiment) -> None:
    tiny = experiment()
    tasks = run.complete(run.sweep(tiny))
    (run.store.directory / f"{tasks[1].trial_id}.parquet").unlink()

    sweep = run.sweep(tiny)

    assert sweep.n_remaining == 1
    assert run.complete(sweep) == [tasks[1]]
    assert states(sweep) == [TrialState.COMPLETE] * 3


def test_a_lost_journal_costs_no_stored_trial(run: Run, experiment: MakeExperiment) -> None:
    tiny = experiment()
    run.complete(run.sweep(tiny))
    run.journal.unlink()
    sweep = run.sweep(tiny)

    assert run.complete(sweep) == []
    assert states(sweep) == [TrialState.COMPLETE] * 3


def test_stored_trials_keep_their_identity_under_a_newer_program(
    run: Run, experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer program may know settings that enter the identity; the others are trained by it."""
    tiny = experiment(search={"trials": 2, "seeds": 2})
    sweep = run.sweep(tiny)
    first, second, *others = rest(sweep)
    run.finish(sweep, first)
    monkeypatch.setattr(
        search, "config_hash", lambda config, data: config_hash(config, data[::-1])
    )

    sweep = run.sweep(tiny)
    assert sweep.n_remaining == 3
    trained = run.complete(sweep)

    again = [second, *others]
    assert [task.config for task in trained] == [task.config for task in again]
    assert set(ids(trained)).isdisjoint(ids(again))
    assert run.stored()["trial_id"].tolist().count(first.trial_id) == 1
    assert len(run.stored()) == 4
    assert states(sweep) == [TrialState.COMPLETE] * 2
    assert run.sweep(tiny).n_remaining == 0


def test_the_lock_that_a_killed_driver_left_on_the_journal_holds_nobody_up(
    run: Run, experiment: MakeExperiment
) -> None:
    run.journal.with_name("study.journal.lock").symlink_to(run.journal)

    assert len(run.complete(run.sweep(experiment()))) == 3


def test_a_full_disk_under_the_journal_costs_nothing_that_was_stored(
    run: Run, experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = experiment()
    sweep = run.sweep(tiny)
    first = sweep.next()
    assert first is not None

    def full(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        with run.journal.open("ab") as journal:
            journal.write(b'{"op_code":4,"work')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", full)
        with pytest.raises(OSError, match="No space left"):
            run.finish(sweep, first)

    sweep = run.sweep(tiny)
    assert sweep.n_remaining == 2
    assert len(run.complete(sweep)) == 2
    assert states(sweep) == [TrialState.COMPLETE] * 3
