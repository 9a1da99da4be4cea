"""A sweep that prunes: what is judged, stored and told, at once and after an interruption."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from optuna.trial import TrialState

from sweeper.experiment import Experiment
from sweeper.rows import trial_rows
from sweeper.search import Sweep, Task
from tests.sweeper.sweeps import Run, rest, states

MakeExperiment = Callable[..., Experiment]

HALVING = {"name": "pareto_halving", "first": 1, "reduction": 2}
PRUNES: Mapping[str, Any] = {
    "trial": {"evaluation": {"every": 1}},
    "search": {"scheduler": HALVING, "trials": 4},
}
NLLS = (3.0, 3.1, 2.0, 4.0)  # of the trials in their order, on the first rung


@pytest.fixture
def pruning(experiment: MakeExperiment) -> Experiment:
    return experiment(**PRUNES)


def measure(step: int, nll: float, mi: float = 1.0, **more: float) -> dict[str, Any]:
    return {"step": step, "nll": nll, "mi": mi, **more}


def report(*evaluations: dict[str, Any], step: int | None = None) -> dict[str, Any]:
    at = evaluations[-1]["step"] if step is None else step
    return {"status": "running", "step": at, "evaluations": list(evaluations)}


def end(sweep: Sweep, task: Task, status: str, *evaluations: dict[str, Any]) -> None:
    told = {**report(*evaluations), "status": status, "reason": "why", "cost": [{"updates": 1}]}
    sweep.finish(task, trial_rows(sweep.experiment, task, told))


def lead(sweep: Sweep, nlls: tuple[float, ...] = NLLS) -> list[str | None]:
    """Train one trial after the other, the pruned ones to step 1; give the verdicts."""
    verdicts = []
    for nll in nlls:
        task = sweep.next()
        assert task is not None
        verdicts.append(sweep.judge(task, report(measure(1, nll))))
        if verdicts[-1] is None:
            end(sweep, task, "done", measure(1, nll), measure(4, nll - 1))
        else:
            end(sweep, task, "pruned", measure(1, nll))
    return verdicts


def test_without_a_scheduler_nothing_is_pruned(run: Run, experiment: MakeExperiment) -> None:
    sweep = run.sweep(experiment(trial=PRUNES["trial"], search={"trials": 4}))

    assert sweep.experiment.search.scheduler is None
    assert lead(sweep) == [None] * 4
    assert states(sweep) == [TrialState.COMPLETE] * 4


def test_a_study_is_told_that_a_trial_was_pruned_and_of_no_values(
    run: Run, pruning: Experiment
) -> None:
    sweep = run.sweep(pruning)
    verdicts = lead(sweep)

    near = "trials with MI within 0.5 nats of its 1"
    assert verdicts == [
        None,
        f"at step 1: dominated by 1 of 1 {near}, and 1 rank better",
        None,
        f"at step 1: dominated by 3 of 3 {near}, and 3 rank better",
    ]
    ended = [TrialState.COMPLETE, TrialState.PRUNED] * 2
    assert states(sweep) == ended
    assert [trial.values for trial in sweep.studies["tiny"].study.trials][1::2] == [None, None]
    assert len(sweep.frontier()) == 1


def test_a_pruned_trial_is_stored_with_what_it_measured_and_without_final_figures(
    run: Run, pruning: Experiment
) -> None:
    lead(run.sweep(pruning))
    rows = run.store.read()
    [trial] = rows.loc[rows["nll"] == NLLS[1], "trial_id"]
    rows = rows[rows["trial_id"] == trial]

    assert list(rows["status"]) == ["running", "pruned"]
    assert list(rows["step"]) == [1, 1]
    assert list(rows["nll"].isna()) == [False, True]
    assert list(rows["reason"].notna()) == [False, True]
    assert list(rows["final"]) == [False, True]
    assert list(rows["updates"])[-1] == 1  # what it cost counts


def test_what_is_pruned_is_not_trained_again(run: Run, pruning: Experiment) -> None:
    lead(run.sweep(pruning))
    again = run.sweep(pruning)

    assert (again.n_remaining, rest(again)) == (0, [])
    assert states(again) == [TrialState.COMPLETE, TrialState.PRUNED] * 2


def test_a_study_that_was_not_told_hears_of_it_when_the_sweep_resumes(
    run: Run, pruning: Experiment
) -> None:
    first = run.sweep(pruning)
    lead(first, NLLS[:1])
    task = first.next()
    assert task is not None
    told = {**report(measure(1, 9.0)), "status": "pruned", "reason": "why"}
    run.store.append(trial_rows(pruning, task, told))  # and then the driver was killed

    assert states(run.sweep(pruning)) == [TrialState.COMPLETE, TrialState.PRUNED]


@pytest.mark.parametrize("n_before", [1, 2, 3])
def test_verdicts_after_an_interruption_are_those_without_one(
    run: Run, pruning: Experiment, n_before: int
) -> None:
    before = lead(run.sweep(pruning), NLLS[:n_before])
    resumed = run.sweep(pruning)

    expected = [False, True, False, True]
    assert [v is not None for v in [*before, *lead(resumed, NLLS[n_before:])]] == expected


def test_the_stored_rows_hold_all_that_was_known_on_the_rungs(
    run: Run, pruning: Experiment
) -> None:
    sweep = run.sweep(pruning)
    lead(sweep)

    known = sweep.ladders["tiny"].rungs
    assert {step: len(rung) for step, rung in known.items()} == {1: 4, 4: 2}
    assert run.sweep(pruning).ladders["tiny"].rungs == known


def test_a_trial_that_is_back_at_work_beyond_a_rung_is_not_judged_there(
    run: Run, pruning: Experiment
) -> None:
    sweep = run.sweep(pruning)
    lead(sweep, NLLS[:3])
    task = sweep.next()
    assert task is not None

    assert sweep.judge(task, report(measure(1, 9.0), step=2)) is None
    assert sweep.judge(task, report(step=1)) is None  # nor by a report without the evaluation
    assert sweep.judge(task, report(measure(1, 9.0)))


def test_trials_of_another_arm_are_no_peers(run: Run, experiment: MakeExperiment) -> None:
    arms = {"many": {}, "one": {"objective": {"estimator": "reinforce", "samples": 1}}}
    sweep = run.sweep(experiment(**PRUNES, arms=arms))

    assert lead(sweep, (1.0, 9.0, 2.0, 10.0))[:2] == [None, None]


def test_the_encoders_information_decides_where_it_is_maximised(
    run: Run, experiment: MakeExperiment
) -> None:
    sweep = run.sweep(experiment(**PRUNES, frontier={"maximize": "mi_q"}))
    one, other = sweep.next(), sweep.next()
    assert one is not None
    assert other is not None

    sweep.judge(one, report(measure(1, 3.0, mi=9.0, mi_q=1.0)))
    assert sweep.judge(other, report(measure(1, 4.0, mi=0.0, mi_q=0.9)))


def test_a_configuration_is_pruned_where_any_of_its_seeds_is(
    run: Run, experiment: MakeExperiment
) -> None:
    search = {**PRUNES["search"], "trials": 1, "seeds": 3}
    sweep = run.sweep(experiment(trial=PRUNES["trial"], search=search))
    for status in ("done", "pruned", "diverged"):
        task = sweep.next()
        assert task is not None
        end(sweep, task, status, measure(1, 2.0))

    assert states(sweep) == [TrialState.PRUNED]
