"""Training runs: the same bits however they are interrupted, and nothing else disturbed."""

import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trainables.data.corpus import PAD, Corpus
from trainables.data.ptb import PennTreebank
from trainables.training import DivergedError, TrainingRun
from trainables.trial import TrialConfig

NOWHERE = Path("/nonexistent")
TIMINGS = {"train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"}
CATEGORICAL = {"kind": "categorical", "variables": 2, "categories": 3}
GAUSSIAN = {"kind": "gaussian", "dimensions": 2}
SYMBOLS = {"name": "symbol_mlp", "embedding": 4, "hidden": 5}
SENTENCES = {"name": "sentence_lstm", "embedding": 3, "encoder_hidden": 4, "decoder_hidden": 4}
DROPOUT = {"input": 0.2, "state": 0.2, "output": 0.2}
RENYI = {"name": "renyi", "lambda": 0.5, "alpha": 2.0}

# Batches of 4 out of 10 observations: most epochs end within a batch.
TRAINING = {"steps": 7, "batch_size": 4, "learning_rate": 0.05}
EVALUATION = {"samples": 3, "every": 3}
MOMENTUM = {"name": "sgd", "momentum": 0.9}

RUNS: dict[str, dict[str, Any]] = {
    "symbols, vimco, adam": {
        "model": {**SYMBOLS, "latents": CATEGORICAL},
        "objective": {**RENYI, "estimator": "vimco", "samples": 3},
    },
    "symbols, reinforce with its baseline": {
        "model": {**SYMBOLS, "latents": CATEGORICAL},
        "objective": {**RENYI, "estimator": "reinforce", "samples": 1},
    },
    "symbols, dreg, momentum": {
        "model": {**SYMBOLS, "latents": GAUSSIAN},
        "objective": {**RENYI, "estimator": "dreg", "samples": {"log_evidence": 2, "kl": 3}},
        "training": {**TRAINING, "optimizer": MOMENTUM, "clip_norm": 1.0, "l2": 1e-3},
    },
    "symbols, a critic and an annealed weight": {
        "model": {**SYMBOLS, "latents": GAUSSIAN},
        "objective": {
            "name": "critic_neural",
            "hidden_x": 4,
            "hidden_z": 4,
            "projection": 3,
            "annealing": {"kind": "linear", "steps": 5, "start": 0.1},
        },
    },
    "sentences, vimco, dropout": {
        "data": {"name": "ptb"},
        "model": {**SENTENCES, "latents": CATEGORICAL, "dropout": DROPOUT},
        "objective": {"name": "kl", "lambda": 0.5, "estimator": "vimco", "samples": 2},
    },
    "sentences, dreg, dropout": {
        "data": {"name": "ptb"},
        "model": {
            **SENTENCES,
            "latents": GAUSSIAN,
            "dropout": {**DROPOUT, "masks": "independent", "network": "both"},
        },
        "objective": {"name": "power", "alpha": 2.0, "estimator": "dreg", "samples": 2},
    },
    "texts, refined posteriors": {
        "data": {"name": "ptb"},
        "model": {
            "name": "text_lstm",
            "embedding": 3,
            "hidden": 4,
            "latents": GAUSSIAN,
            "inference": {"steps": 2},
        },
        "objective": {"name": "bound", "estimator": "elbo"},
    },
}
FIRST = RUNS["symbols, vimco, adam"]


@pytest.fixture(autouse=True)
def _corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand ten random sentences in for Penn Treebank."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(6, (10, 5), generator=generator)
    x = x.where(torch.arange(5) < torch.randint(1, 6, (10, 1), generator=generator), PAD)
    splits = {"train": x, "validation": x[:5], "test": x[5:]}
    monkeypatch.setattr(PennTreebank, "load", lambda self, root: Corpus(splits, 6, "-"))


def start(trial: dict[str, Any], seed: int = 0, **sections: dict[str, Any]) -> TrainingRun:
    config = {
        "data": {"name": "symbols", "vocabulary": 10},
        "training": TRAINING,
        "evaluation": EVALUATION,
        **trial,
    }
    for section, settings in sections.items():
        config[section] = {**config[section], **settings}
    return TrainingRun(TrialConfig.model_validate(config), seed, data_root=NOWHERE)


def advance(run: TrainingRun) -> None:
    """Take one step, or make the evaluation that is due."""
    if run.evaluation_due:
        run.evaluate()
    else:
        run.train(seconds=0.0)


def finish(run: TrainingRun) -> TrainingRun:
    for _ in range(run.config.training.steps + 1):
        if run.finished:
            return run
        run.train()
        run.evaluate()
    raise AssertionError("the run does not end")


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


# The same bits --------------------------------------------------------------------------------


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


def parameters(run: TrainingRun) -> Tensor:
    return torch.cat([part.detach().flatten() for part in run.model.parameters()]).clone()


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
                "evaluation": {"samples": 2, "every": 50},
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
