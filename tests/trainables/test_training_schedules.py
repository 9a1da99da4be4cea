"""Schedules in a training run: when the validation set is looked at, and what comes of it."""

import itertools

import pytest
import torch
from torch import Tensor

from tests.trainables.runs import advance, finish, parameters
from tests.trainables.sentence_runs import PLATEAU, start
from trainables import schedules
from trainables.evaluation.importance import score
from trainables.feeding import importance_loss
from trainables.training import DivergedError

pytestmark = pytest.mark.usefixtures("short_sentences")


def script(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> list[float]:
    """Let the validation set have these losses, one after another."""
    left = list(losses)

    def elbo_loss(model: object, batches: object) -> float:
        return left.pop(0)

    monkeypatch.setattr(schedules, "elbo_loss", elbo_loss)
    return left


def test_a_schedule_ends_with_the_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    left = script(monkeypatch, [3.0, 1.0, 2.0, 5.0])
    run = start(epochs=4, schedule={**PLATEAU, "patience": 9}, evaluation={"every": 5})
    after: dict[int, Tensor] = {}
    while not run.finished:
        advance(run)
        after[run.step] = parameters(run)

    assert left == []
    assert torch.equal(after[20], after[10])
    assert not torch.equal(after[15], after[10])
    assert [row["step"] for row in run.evaluations] == [5, 10, 15, 20]
    # Whatever the step, evaluations draw the same samples.
    assert run.evaluations[3]["nll"] == run.evaluations[1]["nll"] != run.evaluations[2]["nll"]


def test_a_decay_goes_back_to_the_best_weights_with_a_new_optimiser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script(monkeypatch, [1.0, 2.0, 3.0, 0.5])
    run = start(epochs=4, schedule={**PLATEAU, "patience": 2})
    best = None
    while run.step < 15 or run._check_due:
        advance(run)
        if run.step == 5 and not run._check_due:
            best = parameters(run)

    assert best is not None
    assert torch.equal(parameters(run), best)
    assert run._learner.learning_rate == 0.05
    assert not run._learner.optimizer.state
    finish(run)
    assert not torch.equal(parameters(run), best)


def test_training_stops_after_the_last_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    left = script(monkeypatch, [1.0, 2.0, 3.0])
    run = finish(start(epochs=9, schedule={**PLATEAU, "max_decays": 2}))

    assert left == []
    assert (run.step, run.n_steps) == (15, 45)
    assert [row["step"] for row in run.evaluations] == [15]
    run.train()
    assert run.step == 15


@pytest.mark.parametrize(
    ("every", "steps", "checks"),
    [(None, 12, [5, 10, 12]), (None, 10, [5, 10]), (4, 10, [4, 8, 10]), (3, 6, [3, 6])],
)
def test_checks_follow_epochs_or_steps_and_the_last_step(
    monkeypatch: pytest.MonkeyPatch, every: int | None, steps: int, checks: list[int]
) -> None:
    run = start(steps=steps, schedule={**PLATEAU, "every": every})
    found = []

    def elbo_loss(model: object, batches: object) -> float:
        found.append(run.step)
        return 1.0

    monkeypatch.setattr(schedules, "elbo_loss", elbo_loss)
    finish(run)

    assert found == checks


@pytest.mark.parametrize(
    ("every", "first_epoch", "decay"), [(None, 2, 15), (2, 2, 12), (5, 1, 10)]
)
def test_the_epoch_of_a_check_is_the_one_that_its_step_is_in(
    monkeypatch: pytest.MonkeyPatch, every: int | None, first_epoch: int, decay: int
) -> None:
    losses = map(float, itertools.count())
    monkeypatch.setattr(schedules, "elbo_loss", lambda model, batches: next(losses))
    schedule = {**PLATEAU, "every": every, "first_epoch": first_epoch, "max_decays": 1}

    assert finish(start(epochs=9, schedule=schedule)).step == decay


def test_looking_at_the_validation_set_does_not_disturb_training() -> None:
    runs = [
        start(steps=19, schedule=schedule)
        for schedule in (
            None,
            {**PLATEAU, "patience": 99},
            {**PLATEAU, "patience": 99, "every": 1, "limit": 3},
        )
    ]
    for run in runs:
        while run.step < 18:
            advance(run)

    assert torch.equal(parameters(runs[1]), parameters(runs[0]))
    assert torch.equal(parameters(runs[2]), parameters(runs[0]))


def test_a_validation_loss_that_is_not_finite_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script(monkeypatch, [float("nan")])

    with pytest.raises(DivergedError, match="the elbo loss of validation is nan at step 5"):
        start(epochs=2, schedule=PLATEAU).train()


def test_a_look_at_the_validation_set_is_a_step_of_its_own_and_part_of_training() -> None:
    run = start(epochs=2, schedule=PLATEAU)
    for _ in range(5):
        run.train(seconds=0.0)
    assert (run.step, run._checked) == (5, 0)
    before = run.train_seconds

    run.train(seconds=0.0)

    assert (run.step, run._checked) == (5, 5)
    assert run.train_seconds > before
    assert run.eval_seconds == 0


KEEP_BEST = {"kind": "keep_best", "samples": 2}


def test_training_ends_with_the_weights_of_the_lowest_nll_at_its_own_learning_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = [3.0, 1.0, 1.0, 5.0]

    def figure(samples: int) -> object:
        assert samples == 2
        return lambda model, batches: left.pop(0)

    monkeypatch.setattr(schedules, "importance_loss", figure)
    run = start(epochs=4, schedule=KEEP_BEST, evaluation={"every": 5})
    after: dict[int, Tensor] = {}
    while not run.finished:
        advance(run)
        after[run.step] = parameters(run)

    assert left == []
    assert torch.equal(after[20], after[10])  # of equal ones, the first
    assert not torch.equal(after[15], after[10])
    assert run._learner.learning_rate == 0.1
    assert [row["step"] for row in run.evaluations] == [5, 10, 15, 20]
    assert run.evaluations[3]["nll"] == run.evaluations[1]["nll"] != run.evaluations[2]["nll"]


def test_the_nll_that_is_kept_is_that_of_the_whole_validation_set_without_dropout() -> None:
    run = start(steps=3, schedule={**KEEP_BEST, "every": 1})
    finish(run)
    kept = run._validate(importance_loss(500), None)

    x = run.corpus.splits["validation"]
    run.model.eval()
    torch.manual_seed(1)
    assert kept == pytest.approx(-score(run.model, x, 2_000).log_p.mean().item(), abs=0.05)
    assert run._validate(importance_loss(500), None) == kept  # the same noise each time


def test_an_nll_that_is_not_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def nll(model: object, batches: object) -> float:
        return float("inf")

    monkeypatch.setattr(schedules, "importance_loss", lambda samples: nll)

    with pytest.raises(DivergedError, match="the nll of validation is inf at step 5"):
        start(epochs=2, schedule=KEEP_BEST).train()
