"""Training runs: the same bits however they are interrupted, and nothing else disturbed."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.runs import RUNS, TIMINGS, advance, finish, start
from trainables.training import TrainingRun

pytestmark = pytest.mark.usefixtures("ten_sentences")


def untimed(run: TrainingRun) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in TIMINGS}
        for row in run.evaluations
    ]


def assert_same_bits(one: TrainingRun, other: TrainingRun) -> None:
    """Compare all that a run remembers but the time it took."""
    assert one.step == other.step
    assert untimed(one) == untimed(other)
    assert one.train_loss == other.train_loss
    assert_same_state(one, other)


def assert_same_state(one: TrainingRun, other: TrainingRun) -> None:
    """Compare all that later steps depend on."""
    state, expected = one.state_dict(), other.state_dict()
    for section in ("model", "objective", "optimizer", "random"):
        torch.testing.assert_close(flat(state[section]), flat(expected[section]), rtol=0, atol=0)


def flat(state: Any, path: str = "") -> dict[str, Any]:
    """Name every leaf of nested dictionaries and lists by its path."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        leaves: dict[str, Any] = {}
        for key, value in items:
            leaves |= flat(value, f"{path}/{key}")
        return leaves
    return {path: state if isinstance(state, Tensor) else torch.tensor([hash(state)])}


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", RUNS)
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    torch.manual_seed(1)
    first = finish(start(RUNS[name]))
    torch.manual_seed(2)  # what the global generator is at does not matter

    assert_same_bits(first, finish(start(RUNS[name])))


@pytest.mark.parametrize("name", RUNS)
def test_another_seed_gives_another_run(name: str) -> None:
    first, other = finish(start(RUNS[name])), finish(start(RUNS[name], seed=1))

    assert untimed(first)[-1]["nll"] != untimed(other)[-1]["nll"]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("moment", range(11))
def test_a_run_interrupted_anywhere_continues_to_the_same_bits(name: str, moment: int) -> None:
    """Seven steps and three evaluations make ten places to stop after, and one before all."""
    whole = finish(start(RUNS[name]))
    stopped = start(RUNS[name])
    for _ in range(moment):
        advance(stopped)

    state = through_a_file(stopped.state_dict())
    torch.manual_seed(moment)
    continued = start(RUNS[name])
    continued.load_state_dict(state)
    finish(continued)

    assert stopped.finished == (moment == 10)
    assert_same_bits(continued, whole)


def test_continuing_leaves_the_checkpoint_as_it_was() -> None:
    """One checkpoint in memory may serve several runs, and be kept."""
    run = start(RUNS["symbols, reinforce with its baseline"])
    run.train()
    run.evaluate()
    run.train(seconds=0.0)
    state = through_a_file(run.state_dict())
    kept = through_a_file(state)

    ends = []
    for _ in range(2):
        continued = start(RUNS["symbols, reinforce with its baseline"])
        continued.load_state_dict(state)
        ends.append(finish(continued))

    assert_same_bits(*ends)
    torch.testing.assert_close(flat(state), flat(kept), rtol=0, atol=0)


@pytest.mark.parametrize("name", RUNS)
def test_how_often_a_run_is_evaluated_does_not_change_it(name: str) -> None:
    runs = [finish(start(RUNS[name], evaluation={"every": every})) for every in (None, 1, 3, 7)]

    assert [len(run.evaluations) for run in runs] == [1, 7, 3, 1]
    for run in runs[1:]:
        assert untimed(run)[-1]["nll"] == untimed(runs[0])[-1]["nll"]
        assert_same_state(run, runs[0])


def test_runs_that_take_turns_do_not_disturb_one_another() -> None:
    together = [start(trial, seed) for seed, trial in enumerate(RUNS.values())]
    while not all(run.finished for run in together):
        for run in together:
            if not run.finished:
                advance(run)

    for seed, (trial, run) in enumerate(zip(RUNS.values(), together, strict=True)):
        assert_same_bits(run, finish(start(trial, seed)))


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()

    finish(start(RUNS["sentences, vimco, dropout"]))

    assert torch.equal(torch.get_rng_state(), before)
