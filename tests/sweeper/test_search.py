"""Between the journal and the result store, without Ray."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeper.errors import SweeperError
from sweeper.experiment import Experiment, load
from sweeper.samplers import GP_TRIALS, create_sampler, resolve_sampler
from sweeper.sections import ParetoHalving, Sampler, Search
from tests.sweeper.sweeps import TWO_ARMS, Run, ids, rest, states

MakeExperiment = Callable[..., Experiment]

SAMPLERS = ["auto", "gp", "tpe", "nsga2", "qmc", "random"]
CHOICES = {"training.learning_rate": {"kind": "categorical", "choices": [0.1, 0.2]}}


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


def test_a_configuration_that_diverged_counts_as_worse_than_all_so_far(
    run: Run, experiment: MakeExperiment
) -> None:
    tiny = experiment(search={"trials": 4, "seeds": 2})
    sweep = run.sweep(tiny)
    tasks = rest(sweep)
    for task, nll, mi in zip(tasks[:4], (2.0, 2.0, 3.0, 3.0), (4.0, 4.0, 5.0, 5.0), strict=True):
        run.finish(sweep, task, nll=nll, mi=mi)
    for task, status in zip(tasks[4:], ("done", "diverged", "done", "failed"), strict=True):
        run.finish(sweep, task, status, nll=1.0, mi=1.0)

    for found in (sweep, run.sweep(tiny)):
        trials = found.studies["tiny"].study.get_trials()
        assert [trial.values for trial in trials] == [[2.0, 4.0], [3.0, 5.0], [4.0, 3.0], None]
        assert trials[3].state == TrialState.FAIL
        assert found.frontier() == {tasks[n].trial_id for n in (0, 1, 2, 3, 4, 6)}


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
    few = Search(trials=GP_TRIALS)
    assert resolve_sampler(few) == "gp"
    assert resolve_sampler(Search(trials=GP_TRIALS + 1)) == "tpe"
    assert resolve_sampler(few, conditional=True) == "tpe"
    assert resolve_sampler(Search(trials=1, sampler=Sampler(name="nsga2"))) == "nsga2"
    with pytest.raises(ValueError, match="unknown sampler 'annealing'"):
        create_sampler("annealing", 0, 0)


def test_auto_is_tpe_where_trials_are_pruned_which_a_gaussian_process_does_not_learn() -> None:
    halving = ParetoHalving(first=1)

    assert resolve_sampler(Search(trials=5, scheduler=halving)) == "tpe"
    chosen = Search(trials=5, scheduler=halving, sampler=Sampler(name="gp"))
    assert resolve_sampler(chosen) == "gp"


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
