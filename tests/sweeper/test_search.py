"""Between the journal and the result store, without Ray."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sweeper import search
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.results import ResultStore
from sweeper.search import (
    GP_TRIALS,
    Sweep,
    Task,
    Values,
    create_sampler,
    outcome,
    resolve_sampler,
)
from trainables.trial import config_hash

MakeExperiment = Callable[..., Experiment]
MakeRows = Callable[..., list[dict[str, Any]]]

SAMPLERS = ["auto", "gp", "tpe", "nsga2", "qmc", "random"]
TWO_ARMS = {"many": {}, "one": {"objective": {"estimator": "reinforce", "samples": 1}}}
CHOICES = {"training.learning_rate": {"kind": "categorical", "choices": [0.1, 0.2]}}


class Run:
    """A run's directory, and the sweeps that follow each other over it."""

    def __init__(self, directory: Path, rows: MakeRows) -> None:
        self.directory, self.rows = directory, rows
        self.journal = directory / "study.journal"
        self.store = ResultStore(directory / "results")
        directory.mkdir(exist_ok=True)

    def sweep(self, experiment: Experiment) -> Sweep:
        return Sweep(experiment, self.journal, self.store, dict.fromkeys(experiment.arms, "5a"))

    def finish(self, sweep: Sweep, task: Task, status: str = "done", **figures: Any) -> None:
        sweep.finish(task, self.rows(sweep.experiment, task, status, **figures))

    def complete(self, sweep: Sweep) -> list[Task]:
        """Train what is left, one trial after the other."""
        done = []
        while task := sweep.next():
            self.finish(sweep, task)
            done.append(task)
        return done

    def stored(self) -> pd.DataFrame:
        return self.store.read(final_only=True)


@pytest.fixture
def run(tmp_path: Path, ended: MakeRows) -> Run:
    return Run(tmp_path / "run", ended)


def states(sweep: Sweep, arm: str = "tiny") -> list[TrialState]:
    return [trial.state for trial in sweep.studies[arm].study.get_trials()]


def rest(sweep: Sweep) -> list[Task]:
    """All that `next` still gives, none of it trained."""
    return list(iter(sweep.next, None))


def ids(tasks: Iterable[Task]) -> list[str]:
    return [task.trial_id for task in tasks]


def test_the_arms_take_turns(run: Run, experiment: MakeExperiment) -> None:
    sweep = run.sweep(experiment(arms={"many": {}, "few": {"objective": {"samples": 3}}}))

    assert [task.arm for task in rest(sweep)] == ["many", "few"] * 3
    assert sweep.next() is None


def test_what_remains_counts_every_trial_that_is_not_stored(
    run: Run, experiment: MakeExperiment
) -> None:
    sweep = run.sweep(experiment(arms=TWO_ARMS, search={"trials": 2, "seeds": 3}))
    counts = [sweep.n_remaining]
    while task := sweep.next():
        assert sweep.n_remaining == counts[-1]  # one that is at work still remains
        run.finish(sweep, task)
        counts.append(sweep.n_remaining)

    assert counts == list(range(12, -1, -1))
    assert run.sweep(sweep.experiment).n_remaining == 0


def test_seeds_are_trials_of_one_configuration_and_the_study_is_told_their_mean(
    run: Run, experiment: MakeExperiment
) -> None:
    sweep = run.sweep(experiment(search={"trials": 1, "seeds": 3}))
    tasks = rest(sweep)

    assert [task.seed for task in tasks] == [0, 1, 2]
    assert len({task.config_hash for task in tasks}) == 1
    for task in reversed(tasks):
        assert states(sweep) == [TrialState.RUNNING]
        run.finish(sweep, task, nll=2.0**task.seed, mi=3.0**task.seed)

    [trial] = sweep.studies["tiny"].study.get_trials()
    assert trial.values == [7 / 3, 13 / 3]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_where_nothing_is_swept_each_arm_has_one_configuration_and_all_its_seeds(
    run: Run, experiment_file: Callable[..., Path], sampler: str
) -> None:
    file = experiment_file(
        trial={"training": {"learning_rate": 0.1}},
        arms=TWO_ARMS,
        search={"trials": 1, "seeds": 3, "sampler": {"name": sampler}},
    )
    table = load(file, overrides=["search.space.training.learning_rate=null"])
    first = run.sweep(table)
    for _ in range(2):
        task = first.next()
        assert task is not None
        run.finish(first, task)
    done = run.complete(run.sweep(table))  # after an interruption

    assert table.document["search"]["space"] == {}
    assert len(done) == 4
    stored = run.store.read(["arm", "seed", "config_hash"], final_only=True)
    assert sorted(zip(stored["arm"], stored["seed"], strict=True)) == [
        (arm, seed) for arm in TWO_ARMS for seed in range(3)
    ]
    assert stored.groupby("arm")["config_hash"].nunique().tolist() == [1, 1]


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_configuration_with_a_trial_that_did_not_end_well_has_failed(
    run: Run, experiment: MakeExperiment, status: str
) -> None:
    sweep = run.sweep(experiment(search={"trials": 2, "seeds": 2}))
    first, second, *others = rest(sweep)
    run.finish(sweep, first, status)
    run.finish(sweep, second)
    for task in others:
        run.finish(sweep, task)

    assert states(sweep) == [TrialState.FAIL, TrialState.COMPLETE]
    assert sweep.n_remaining == 0


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"status": "done", "nll": 2.0, "mi": 1.0}, Values(2.0, 1.0)),
        ({"status": "done", "nll": 2.0, "mi": 1.0, "nll_exact": None}, Values(2.0, 1.0)),
        (
            {"status": "done", "nll": 2.0, "mi": 1.0, "nll_exact": 1.5, "mi_exact": 0.0},
            Values(1.5, 0.0),
        ),
        (
            {"status": "done", "nll": 2.0, "mi": 1.0, "nll_exact": float("nan")},
            Values(2.0, 1.0),
        ),
        ({"status": "diverged", "nll": None, "mi": None}, None),
        ({"status": "failed"}, None),
    ],
)
def test_a_study_is_told_exact_values_where_there_are_any(
    row: dict[str, Any], expected: Values | None
) -> None:
    assert outcome(row) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"nll": 2.0, "mi_q": 3.0}, Values(2.0, 3.0)),
        ({"nll": 2.0, "nll_exact": 1.9, "mi_exact": 0.9, "mi_q": 3.0}, Values(2.0, 3.0)),
        ({"nll": 2.0}, None),
        ({"nll": 2.0, "mi_q": float("nan")}, None),
        ({"nll": 2.0, "mi_q": 3.0, "status": "diverged"}, None),
    ],
)
def test_of_the_encoders_information_both_values_are_estimates(
    row: dict[str, Any], expected: Values | None
) -> None:
    assert outcome({"status": "done", "mi": 1.0, **row}, "mi_q") == expected


def test_a_study_is_told_what_the_experiment_maximises(
    run: Run, experiment: MakeExperiment
) -> None:
    tiny = experiment(frontier={"maximize": "mi_q"}, search={"trials": 3})
    sweep = run.sweep(tiny)
    first, second, third = rest(sweep)
    run.finish(sweep, first, nll=2.0, mi=9.0, mi_q=1.0)
    run.finish(sweep, second, nll=3.0, mi=1.0, mi_q=4.0)
    run.finish(sweep, third, nll=3.0, mi=1.0)  # as a row without it

    again = run.sweep(tiny)
    for found in (sweep, again):
        one, two, three = found.studies["tiny"].study.get_trials()
        assert (one.values, two.values) == ([2.0, 1.0], [3.0, 4.0])
        assert three.state == TrialState.FAIL
        assert found.frontier() == {first.trial_id, second.trial_id}
    assert again.outcomes == sweep.outcomes


def test_a_study_is_told_the_same_of_a_trial_at_once_and_after_an_interruption(
    run: Run, experiment: MakeExperiment
) -> None:
    tiny = experiment(search={"trials": 1, "seeds": 2})
    sweep = run.sweep(tiny)
    first, second = rest(sweep)
    run.finish(sweep, first, nll_exact=1.0, mi_exact=0.25)
    sweep = run.sweep(tiny)
    run.finish(sweep, second, nll_exact=2.0, mi_exact=0.75)

    assert sweep.studies["tiny"].study.get_trials()[0].values == [1.5, 0.5]


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


@pytest.mark.parametrize("trials", [4, 7])
def test_a_configuration_that_is_proposed_again_is_trained_once(
    run: Run, experiment: MakeExperiment, trials: int
) -> None:
    tiny = experiment(search={"trials": trials, "space": CHOICES})
    sweep = run.sweep(tiny)
    tasks = rest(sweep)  # all at work at the same time
    for task in tasks:
        run.finish(sweep, task)

    assert len(tasks) == len(set(ids(tasks))) <= 2
    assert states(sweep) == [TrialState.COMPLETE] * trials
    again = run.sweep(tiny)
    assert again.n_remaining == 0
    assert again.next() is None


def test_a_configuration_that_is_proposed_again_after_an_interruption_is_trained_once(
    run: Run, experiment: MakeExperiment
) -> None:
    tiny = experiment(search={"trials": 7, "space": CHOICES})
    first = rest(run.sweep(tiny))  # none of them is finished
    sweep = run.sweep(tiny)

    assert sweep.n_remaining == len(first)
    assert ids(run.complete(sweep)) == ids(first)
    assert states(sweep) == [TrialState.COMPLETE] * 7


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_continues_where_it_was_interrupted(
    run: Run, experiment: MakeExperiment, name: str
) -> None:
    space = {"training.l2": {"kind": "float", "low": 0.0, "high": 0.1}}
    tiny = experiment(search={"sampler": {"name": name}, "trials": 13, "space": space})
    sweep = run.sweep(tiny)
    finished = []
    for _ in range(11):  # enough for every sampler to leave its random beginning
        task = sweep.next()
        assert task is not None
        rate = task.values["training.learning_rate"]
        run.finish(sweep, task, nll=rate, mi=task.values["training.l2"] - rate)
        finished.append(task)
    interrupted = sweep.next()
    assert interrupted is not None

    sweep = run.sweep(tiny)
    assert sweep.n_remaining == 2
    continued, fresh = run.complete(sweep)

    assert continued == interrupted  # to the last bit of its values
    assert len(set(ids([*finished, continued, fresh]))) == 13


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_new_sampler_does_not_begin_as_the_one_before(
    run: Run, experiment: MakeExperiment, name: str
) -> None:
    tiny = experiment(search={"sampler": {"name": name}, "trials": 5})
    first = run.sweep(tiny)
    begun = [first.next(), first.next()]
    second = run.sweep(tiny)
    tasks = rest(second)

    assert tasks[:2] == begun
    assert len(set(ids(tasks))) == 5


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_proposes_the_same(
    run: Run, experiment: MakeExperiment, tmp_path: Path, name: str
) -> None:
    tiny = experiment(search={"sampler": {"name": name, "seed": 3}, "trials": 4})
    other = Run(tmp_path / "other", run.rows)

    assert ids(rest(run.sweep(tiny))) == ids(rest(other.sweep(tiny)))


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_largest_seed_of_a_file_still_serves_a_sampler_that_starts_again(
    run: Run, experiment: MakeExperiment, name: str
) -> None:
    tiny = experiment(search={"sampler": {"name": name, "seed": 2**32 - 1}, "trials": 2})
    run.sweep(tiny).next()

    assert len(rest(run.sweep(tiny))) == 2


def test_auto_is_a_gaussian_process_for_few_trials_and_tpe_for_many() -> None:
    assert resolve_sampler("auto", GP_TRIALS) == "gp"
    assert resolve_sampler("auto", GP_TRIALS + 1) == "tpe"
    assert resolve_sampler("auto", GP_TRIALS, conditional=True) == "tpe"
    assert resolve_sampler("nsga2", GP_TRIALS) == "nsga2"
    with pytest.raises(ValueError, match="unknown sampler 'annealing'"):
        create_sampler("annealing", 0, 10, 0)


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

    assert run.complete(sweep) == []  # the sampler begins as before
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


MIDDLE = {  # an early Sobol point is the middle, an order of 1
    "objective.alpha": {"kind": "float", "low": 0.25, "high": 4.0, "log": True},
}
RENYI = {"objective": {"name": "renyi"}}


def test_a_proposal_that_the_objective_refuses_is_replaced(
    run: Run, experiment: MakeExperiment
) -> None:
    tiny = experiment(
        trial=RENYI, search={"space": MIDDLE, "trials": 5, "sampler": {"name": "qmc"}}
    )
    sweep = run.sweep(tiny)
    tasks = [sweep.next() for _ in range(4)]
    assert Counter(states(sweep)) == {TrialState.RUNNING: 4, TrialState.FAIL: 1}

    sweep = run.sweep(tiny)
    assert sweep.n_remaining == 5
    trained = run.complete(sweep)
    assert trained[:4] == tasks
    assert len(trained) == 5
    assert Counter(states(sweep)) == {TrialState.COMPLETE: 5, TrialState.FAIL: 1}
    assert run.sweep(tiny).n_remaining == 0


def test_a_space_with_nothing_but_refusals_is_told(
    run: Run, experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = experiment()

    def refuse(*args: object) -> None:
        raise SweeperError("arm 'tiny' has no such trial: it never has")

    monkeypatch.setattr(Experiment, "trial_config", refuse)
    with pytest.raises(SweeperError, match=r"100 proposals in a row .* it never has; narrow"):
        run.sweep(tiny).next()


@pytest.mark.parametrize("line", [b"{]\n", b"{}\n", b"\xff\n", b"[]\n", b'"text"\n', b"junk\n"])
@pytest.mark.parametrize("at", [1, None])
def test_a_damaged_journal_is_named(
    run: Run, experiment: MakeExperiment, line: bytes, at: int | None
) -> None:
    run.complete(run.sweep(experiment()))
    lines = run.journal.read_bytes().splitlines(keepends=True)
    lines.insert(len(lines) if at is None else at, line)
    run.journal.write_bytes(b"".join(lines))

    with pytest.raises(SweeperError, match=r"study\.journal is damaged .*move it away") as error:
        run.sweep(experiment())
    assert "\n" not in str(error.value)


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
