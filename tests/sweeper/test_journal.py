"""The journal of a run: mended, set aside, and made again from the stored rows."""

from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState

from search_spaces.distributions import Categorical, Float, Int
from search_spaces.spaces import Space
from sweeper.errors import SweeperError
from sweeper.experiment import Experiment
from sweeper.journal import IDENTITY, stored_params
from tests.sweeper.sweeps import TWO_ARMS, Run, ids, rest, states

MakeExperiment = Callable[..., Experiment]


@pytest.mark.parametrize(
    ("parameter", "stored", "value"),
    [
        (Float(kind="float", low=0.0, high=1.0), 0.5, 0.5),
        (Float(kind="float", low=0.0, high=1.0), 2.0, None),
        (Int(kind="int", low=1, high=4), 3, 3),
        (Int(kind="int", low=1, high=4), 3.0, 3),
        (Int(kind="int", low=1, high=4), None, None),
        (Categorical(kind="categorical", choices=(1, 0.5)), 1.0, 1.0),
        (Categorical(kind="categorical", choices=(True, False)), False, False),
        (Categorical(kind="categorical", choices=("a", "1")), "1", "1"),
        (Categorical(kind="categorical", choices=(True, False)), "true", True),
    ],
)
def test_a_stored_knob_is_a_value_of_its_parameter_again(
    parameter: Any, stored: object, value: object
) -> None:
    params = stored_params({"knob": stored}, Space({"knob": parameter}))

    chosen = params.get("knob")
    assert (chosen, type(chosen)) == (value, type(value))


def test_a_torn_last_line_is_cut_off_and_named(run: Run, experiment: MakeExperiment) -> None:
    run.complete(run.sweep(experiment()))
    whole = run.journal.read_bytes()
    run.journal.write_bytes(whole + b'{"op_code":4,"work')

    sweep = run.sweep(experiment())

    assert sweep.notices == [f"{run.journal}: its last line was torn (18 bytes) and is cut off"]
    assert run.journal.read_bytes().startswith(whole)
    assert rest(sweep) == []
    assert run.sweep(experiment()).notices == []


@pytest.mark.parametrize(
    "line", [b"{]\n", b"{}\n", b"\xff\n", b"[]\n", b'"text"\n', b"junk\n", b'{"op_code":4}\n']
)
@pytest.mark.parametrize("at", [1, 9, None])
def test_a_damaged_journal_is_set_aside_and_made_again_from_the_rows(
    run: Run, experiment: MakeExperiment, line: bytes, at: int | None
) -> None:
    tiny = experiment(arms=TWO_ARMS, search={"trials": 3, "seeds": 2})
    sweep = run.sweep(tiny)
    for _ in range(7):  # of 12; of one configuration, one seed of two
        task = sweep.next()
        assert task is not None
        run.finish(sweep, task)
    stored = run.stored().set_index("trial_id")
    lines = run.journal.read_bytes().splitlines(keepends=True)
    lines.insert(len(lines) if at is None else at, line)
    run.journal.write_bytes(b"".join(lines))

    sweep = run.sweep(tiny)

    aside = run.directory / "damaged" / "study.journal"
    assert aside.read_bytes() == b"".join(lines)
    [notice] = sweep.notices
    assert notice.startswith(f"{run.journal} is damaged (")
    assert notice.endswith(f") and lies in {aside} now; a new one is made from the stored rows")
    assert "\n" not in notice
    trained = run.complete(sweep)
    assert len(trained) == 5
    assert set(ids(trained)).isdisjoint(stored.index)
    final = run.stored().set_index("trial_id")
    assert len(final) == 12
    assert final.index.is_unique
    assert final.groupby("arm").size().to_dict() == {"many": 6, "one": 6}
    assert (final["created_at"][stored.index] == stored["created_at"]).all()
    for arm in TWO_ARMS:
        assert states(sweep, arm) == [TrialState.COMPLETE] * 3
    again = run.sweep(tiny)
    assert (again.notices, again.n_remaining) == ([], 0)


@pytest.mark.parametrize("sampler", ["qmc", "random", "tpe"])
def test_a_sampler_that_begins_anew_still_proposes_as_many_configurations(
    run: Run, experiment: MakeExperiment, sampler: str
) -> None:
    """A quasi-random sequence first proposes again what is stored."""
    tiny = experiment(search={"trials": 6, "sampler": {"name": sampler}})
    sweep = run.sweep(tiny)
    for _ in range(3):
        task = sweep.next()
        assert task is not None
        run.finish(sweep, task)
    run.journal.unlink()

    sweep = run.sweep(tiny)
    next_one = sweep.next()
    assert next_one is not None
    assert next_one.trial_id not in set(run.stored()["trial_id"])
    assert run.sweep(tiny).n_remaining == 3  # killed in the midst of that
    assert len(run.complete(run.sweep(tiny))) == 3
    assert run.stored()["trial_id"].nunique() == 6


def test_an_adopted_trial_is_told_as_the_study_was_told_before(
    run: Run, experiment: MakeExperiment
) -> None:
    space = {
        "training.learning_rate": {"kind": "float", "low": 0.001, "high": 0.1, "log": True},
        "objective.estimator": {"kind": "categorical", "choices": ["vimco", "reinforce"]},
        "model.hidden": {"kind": "int", "low": 2, "high": 6, "step": 2},
        "training.l2": {
            "kind": "float",
            "low": 0.0,
            "high": 0.1,
            "when": {"objective.estimator": "vimco"},
        },
    }
    trial = {"objective": {"estimator": None}, "model": {"hidden": None}}
    tiny = experiment(trial=trial, search={"trials": 5, "seeds": 2, "space": space})
    sweep = run.sweep(tiny)
    run.complete(sweep)

    def told(one: Any) -> list[Any]:
        trials = one.studies["tiny"].study.get_trials()
        told = [
            (t.params, t.distributions, t.values, t.state, t.user_attrs[IDENTITY]) for t in trials
        ]
        return sorted(told, key=lambda trial: str(trial[0]))

    before = told(sweep)
    run.journal.unlink()

    assert told(run.sweep(tiny)) == before
    assert run.sweep(tiny).n_remaining == 0


def test_a_journal_that_lost_lines_gets_back_what_is_stored(
    run: Run, experiment: MakeExperiment
) -> None:
    """As on a disk that lied about having written them."""
    tiny = experiment()
    sweep = run.sweep(tiny)
    while task := sweep.next():
        run.finish(sweep, task)
        if len(run.stored()) == 1:
            earlier = run.journal.read_bytes()
    run.journal.write_bytes(earlier)

    sweep = run.sweep(tiny)

    assert sweep.notices == []
    assert rest(sweep) == []
    assert states(sweep) == [TrialState.COMPLETE] * 3


def test_every_set_aside_journal_is_kept(run: Run, experiment: MakeExperiment) -> None:
    for _ in range(2):
        run.complete(run.sweep(experiment()))
        run.journal.write_bytes(b"junk\n")
    run.sweep(experiment())

    kept = sorted(path.name for path in (run.directory / "damaged").iterdir())
    assert kept == ["study.journal", "study.journal.2"]


def test_a_journal_that_cannot_be_set_aside_is_one_error(
    run: Run, experiment: MakeExperiment
) -> None:
    run.complete(run.sweep(experiment()))
    run.journal.write_bytes(b"junk\n")
    (run.directory / "damaged").write_text("in the way")

    with pytest.raises(SweeperError, match=r"cannot move .*study\.journal") as error:
        run.sweep(experiment())
    assert "\n" not in str(error.value)
    assert run.journal.read_bytes() == b"junk\n"
