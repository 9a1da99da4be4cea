"""Training runs: when they stop to be evaluated, what a step does, and how they diverge."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.runs import FIRST, RUNS, finish, parameters, start
from trainables.data.corpus import PAD
from trainables.training import DivergedError

pytestmark = pytest.mark.usefixtures("ten_sentences")


# Steps and evaluations ------------------------------------------------------------------------


def test_training_stops_for_every_evaluation_that_is_due() -> None:
    run = start(FIRST)
    stops = []
    while not run.finished:
        run.train()
        assert run.evaluation_due
        run.train()  # nothing more to do until it is evaluated
        stops.append(run.step)
        run.evaluate()
        assert not run.evaluation_due

    assert stops == [3, 6, 7]
    assert [row["step"] for row in run.evaluations] == [3, 6, 7]
    run.train()  # nor once it is finished
    assert run.step == 7


def test_the_training_loss_is_the_mean_since_the_last_evaluation() -> None:
    run = start(FIRST)
    losses: list[float] = []
    run.objective.register_forward_hook(lambda *call: losses.append(call[-1].loss.item()))
    assert run.train_loss is None

    finish(run)

    for row, since in zip(run.evaluations, (slice(3), slice(3, 6), slice(6, 7)), strict=True):
        assert row["train_loss"] == pytest.approx(sum(losses[since]) / len(losses[since]))
    assert len(losses) == 7


def test_metrics_of_the_objective_are_means_since_the_last_evaluation() -> None:
    run = start(RUNS["symbols, a critic and an annealed weight"])
    given: list[dict[str, float]] = []
    run.objective.register_forward_hook(
        lambda *call: given.append({k: v.item() for k, v in call[-1].metrics.items()})
    )

    finish(run)

    theirs = {
        "kl_weight": "kl_weight",
        "train_kl": "kl",
        "critic": "critic",
        "critic_bound": "information_bound",
        "critic_ceiling": "information_ceiling",
        "critic_temperature": "temperature",
    }
    for row, since in zip(run.evaluations, (slice(3), slice(3, 6), slice(6, 7)), strict=True):
        for column, metric in theirs.items():
            values = [metrics[metric] for metrics in given[since]]
            assert row[column] == pytest.approx(sum(values) / len(values))
        assert row["critic_bound"] == pytest.approx(row["critic"] + math.log(4))
    assert len({row["kl_weight"] for row in run.evaluations}) == 3
    assert len(given) == 7


def test_steps_are_taken_in_training_mode_whatever_the_mode_was() -> None:
    run = start(RUNS["sentences, vimco, dropout"])
    modes: list[bool] = []
    for module in (run.model.output_dropout, run.objective):
        module.eval()
        module.register_forward_hook(lambda module, *_: modes.append(module.training))

    run.train()

    assert modes == [True] * 6


def test_each_evaluation_says_what_it_cost() -> None:
    run = finish(start(FIRST))
    rows = run.evaluations

    for row in rows:
        assert row["train_seconds"] > 0
        assert row["eval_seconds"] > 0
        assert row["steps_per_second"] == pytest.approx(row["step"] / row["train_seconds"])
        assert row["peak_memory_bytes"] > 10_000_000  # no Python with torch is smaller
    for name in ("train_seconds", "eval_seconds"):
        assert rows[0][name] < rows[1][name] < rows[2][name]


@pytest.mark.parametrize("name", ["symbols, vimco, adam", "sentences, vimco, dropout"])
def test_every_observation_is_seen_once_an_epoch(name: str) -> None:
    run = start(RUNS[name], training={"steps": 20, "batch_size": 4}, evaluation={"every": None})
    seen: list[tuple[int, ...]] = []
    run.objective.register_forward_pre_hook(
        lambda module, given: seen.extend(
            tuple(token for token in row if token != PAD)
            for row in given[1].view(len(given[1]), -1).tolist()
        )
    )

    run.train()

    train = run.corpus.splits["train"]
    everything = Counter(
        tuple(token for token in row if token != PAD) for row in train.view(10, -1).tolist()
    )
    assert len(seen) == 80
    for epoch in range(8):
        assert Counter(seen[10 * epoch : 10 * (epoch + 1)]) == everything
    assert seen[:10] != seen[10:20]


# The optimiser's part -------------------------------------------------------------------------

SGD = {"optimizer": {"name": "sgd"}, "learning_rate": 0.1, "steps": 1}


def one_step(**training: Any) -> tuple[Tensor, Tensor]:
    """Give all parameters before and after one step of plain gradient descent."""
    run = start(FIRST, training={**SGD, **training})
    before = parameters(run)
    run.train()
    return before, parameters(run)


def test_l2_is_half_its_coefficient_times_the_squared_norm_of_all_parameters() -> None:
    before, plain = one_step()
    _, penalised = one_step(l2=0.3)

    torch.testing.assert_close(plain - penalised, 0.1 * 0.3 * before, rtol=1e-3, atol=1e-6)


def test_the_gradient_is_clipped_to_a_norm_and_keeps_its_direction() -> None:
    before, plain = one_step()
    norm = (before - plain).norm().item() / 0.1
    _, clipped = one_step(clip_norm=norm / 4)
    _, untouched = one_step(clip_norm=norm * 4)

    torch.testing.assert_close(before - clipped, (before - plain) / 4, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(untouched, plain)


def test_training_reaches_the_floor_and_lambda_buys_information() -> None:
    """No model beats the entropy of its source, and one with nothing to encode can reach it."""
    ends = {}
    for lambda_ in (0.0, 0.9):
        run = start(
            {
                **FIRST,
                "data": {"name": "symbols", "vocabulary": 8},
                "objective": {"name": "kl", "lambda": lambda_, "estimator": "vimco", "samples": 8},
                "training": {"steps": 400, "batch_size": 8, "learning_rate": 0.02},
                "evaluation": {"split": "train", "samples": 2, "every": 50},
            }
        )
        finish(run)
        assert all(row["nll_exact"] >= math.log(8) - 1e-5 for row in run.evaluations)
        ends[lambda_] = run.evaluations[-1]

    assert ends[0.0]["nll_exact"] < math.log(8) + 0.02
    assert ends[0.9]["mi_exact"] > ends[0.0]["mi_exact"] + 0.5


# Divergence -----------------------------------------------------------------------------------


def test_a_loss_that_is_not_a_number_ends_the_run() -> None:
    run = start(FIRST)
    run.train(seconds=0.0)
    with torch.no_grad():
        run.model.softmax.logits.weight[0, 0] = math.nan

    with pytest.raises(DivergedError, match="the training loss is not finite at step 2"):
        run.train()
    assert run.step == 2


def test_a_step_that_is_far_too_long_ends_the_run() -> None:
    diverging = {"optimizer": {"name": "sgd"}, "learning_rate": 1e30, "steps": 50}
    run = start(RUNS["symbols, dreg, momentum"], training={**diverging, "clip_norm": None})
    before = torch.get_rng_state()

    with pytest.raises(DivergedError, match="not finite at step"):
        finish(run)

    assert run.step < 5
    assert torch.equal(torch.get_rng_state(), before)


def test_figures_that_are_not_numbers_end_the_run_at_its_evaluation() -> None:
    run = start(FIRST)
    run.train()
    with torch.no_grad():
        run.model.softmax.logits.bias.fill_(math.nan)

    with pytest.raises(DivergedError, match="nll is nan at step 3"):
        run.evaluate()
    assert run.evaluations == []
