"""Ray's view of a training run, called as Ray calls it but without Ray running."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from trainables import storage, trainable
from trainables.checkpoint import Checkpoints
from trainables.trainable import Assignment, LatentVariableTrial
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

TRIAL: dict[str, Any] = {
    "data": {"name": "symbols", "vocabulary": 8},
    "model": {
        "name": "symbol_mlp",
        "embedding": 2,
        "hidden": 3,
        "latents": {"kind": "categorical", "variables": 2, "categories": 2},
    },
    "objective": {"name": "kl", "estimator": "vimco", "samples": 2, "lambda": 0.5},
    "training": {"steps": 6, "batch_size": 3, "learning_rate": 0.1},
    "evaluation": {"split": "train", "samples": 2, "every": 2},
}
# One layer of 256 TB, more than any process can address.
TOO_LARGE = {"model": {"embedding": 1, "hidden": 2**23}}
TIMINGS = {"train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"}

Assign = Callable[..., dict[str, Any]]


@pytest.fixture
def assign(tmp_path: Path) -> Assign:
    """Makes an assignment of a trial with changed sections; what else changes is by keyword."""

    def make(sections: dict[str, dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
        trial = {name: {**TRIAL[name], **(sections or {}).get(name, {})} for name in TRIAL}
        states = str(tmp_path / "checkpoints" / "t-0")
        assignment = Assignment(trial, 0, data_root=str(tmp_path), checkpoints=states)
        return assignment._replace(**changes)._asdict()

    return make


@pytest.fixture(autouse=True)
def _no_ray() -> Iterator[None]:
    yield
    assert not ray.is_initialized()


def begun(assignment: dict[str, Any]) -> LatentVariableTrial:
    trial = LatentVariableTrial.__new__(LatentVariableTrial)  # Ray's constructor wants its workers
    trial.setup(assignment)
    return trial


def reports(trial: LatentVariableTrial) -> list[dict[str, Any]]:
    """Step until the trial has ended."""
    seen = []
    for _ in range(100):
        seen.append(trial.step())
        if seen[-1]["done"]:
            return seen
    raise AssertionError("the trial does not end")


def metrics(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


def uninterrupted(seed: int = 0) -> list[dict[str, Any]]:
    config = TrialConfig.model_validate(TRIAL)
    run = TrainingRun(config, seed, data_root=Path("/nonexistent"))
    while not run.finished:
        run.train()
        run.evaluate()
    return metrics(run.evaluations)


def test_a_trial_reports_until_it_is_done_and_then_everything_it_measured(assign: Assign) -> None:
    *earlier, last = reports(begun(assign()))

    assert {report["status"] for report in earlier} == {"running"}
    told = [evaluation for report in earlier for evaluation in report["evaluations"]]
    assert [*metrics(told), metrics(last["evaluations"])[-1]] == uninterrupted()
    assert (last["status"], last["reason"], last["step"]) == ("done", None, 6)
    assert last["traceback"] is None
    assert metrics(last["evaluations"]) == uninterrupted()
    assert last["cost"][0]["train_seconds"] > 0
    assert last["device"] == "cpu"
    assert last["host"]


def test_a_trial_that_is_continued_tells_again_what_it_measured_before(assign: Assign) -> None:
    stopped = begun(assign())
    while stopped.training is None or stopped.training.step < 4:
        stopped.step()
    stopped.cleanup()
    first, *_ = reports(begun(assign()))

    before = metrics(stopped.training.evaluations)
    assert before
    assert metrics(first["evaluations"])[: len(before)] == before


def test_a_process_takes_one_trial_after_another(assign: Assign) -> None:
    trial = begun(assign())
    reports(trial)

    assert trial.reset_config(assign(seed=1))
    assert metrics(reports(trial)[-1]["evaluations"]) == uninterrupted(seed=1)


def test_a_trial_that_is_stopped_continues_to_the_same_bits(assign: Assign) -> None:
    stopped = begun(assign())
    for _ in range(3):
        stopped.step()
    stopped.cleanup()

    continued = reports(begun(assign()))
    assert len(continued) < len(reports(begun(assign(checkpoints="/nonexistent"))))
    assert metrics(continued[-1]["evaluations"]) == uninterrupted()


def test_a_trial_that_ended_or_never_began_leaves_no_state(assign: Assign, tmp_path: Path) -> None:
    begun(assign()).cleanup()
    ended = begun(assign())
    reports(ended)
    ended.cleanup()

    assert list(tmp_path.iterdir()) == []


def test_a_long_trial_saves_its_state_as_it_goes(assign: Assign, tmp_path: Path) -> None:
    trial = begun(assign(checkpoint_seconds=0.0))
    trial.step()

    assert saved(tmp_path).step == 2


def test_a_trial_saves_its_state_before_a_long_evaluation(
    assign: Assign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "WORTH_SAVING_SECONDS", 0.0)
    trial = begun(assign())
    trial.step()
    assert list(tmp_path.iterdir()) == []
    trial.step()

    assert saved(tmp_path).step == 2
    assert saved(tmp_path).evaluation_due


def saved(tmp_path: Path) -> TrainingRun:
    return Checkpoints(str(tmp_path / "checkpoints" / "t-0")).restore(fresh)


def fresh() -> TrainingRun:
    return TrainingRun(TrialConfig.model_validate(TRIAL), 0, data_root=Path("/nonexistent"))


def test_a_loss_that_is_not_finite_ends_a_trial_as_diverged(assign: Assign) -> None:
    optimizer = {"optimizer": {"name": "sgd"}, "learning_rate": 1e38}
    last = reports(begun(assign({"training": optimizer})))[-1]

    assert last["status"] == "diverged"
    assert last["reason"].startswith("the training loss is not finite at step ")


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 1e38])
def test_parameters_that_a_sample_cannot_be_drawn_with_end_a_trial_as_diverged(
    assign: Assign, value: float
) -> None:
    trial = begun(assign())
    trial.step()
    assert trial.training is not None
    with torch.no_grad():
        for parameter in trial.training.model.parameters():
            parameter.fill_(value)
    last = reports(trial)[-1]

    assert last["status"] == "diverged"
    assert last["reason"] in (
        f"parameters as large as {abs(value):.3g} at step 2",
        "the training loss is not finite at step 3",
    )


def test_an_error_ends_a_trial_as_failed_and_tells_its_traceback(assign: Assign) -> None:
    last = reports(begun(assign(TOO_LARGE)))[-1]

    assert last["status"] == "failed"
    assert last["reason"].startswith("RuntimeError: ")
    assert "\n" not in last["reason"]
    assert (last["step"], last["evaluations"]) == (0, [])
    assert last["traceback"].startswith("Traceback (most recent call last)")


def test_a_reason_is_one_line(assign: Assign, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(run: TrainingRun, **limits: float) -> None:
        raise LookupError("\nfirst line\nsecond line")

    monkeypatch.setattr(TrainingRun, "train", train)
    reason = begun(assign()).step()["reason"]
    assert re.fullmatch(
        r"LookupError: first line \(at .*test_trainable\.py:\d+ in train\)", reason
    )


def test_a_process_that_has_seen_an_error_can_take_another_trial(assign: Assign) -> None:
    trial = begun(assign(TOO_LARGE))
    reports(trial)
    trial.reset_config(assign())

    assert metrics(reports(trial)[-1]["evaluations"]) == uninterrupted()


def test_missing_data_is_no_fault_of_a_trial(assign: Assign) -> None:
    assignment = assign()
    model = {"name": "sentence_lstm", "latents": TRIAL["model"]["latents"]}
    trial = {**TRIAL, "data": {"name": "ptb"}, "model": model}
    last = reports(begun({**assignment, "trial": trial}))[-1]

    assert last["status"] == "blocked"
    assert "sweeper data fetch ptb" in last["reason"]


def test_a_state_that_cannot_be_kept_blocks_a_trial_and_says_where(
    assign: Assign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(location: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "write", full)
    last = reports(begun(assign(checkpoint_seconds=0.0)))[-1]

    assert (last["status"], last["evaluations"]) == ("blocked", [])
    assert last["reason"] == (
        f"cannot write {tmp_path}/checkpoints/t-0: No space left on device; free space or mend "
        "the access."
    )


def test_a_state_that_cannot_be_kept_at_the_end_is_no_error(
    assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = begun(assign())
    trial.step()
    monkeypatch.setattr(Checkpoints, "save", lambda *_: Path("/dev/null/full").mkdir())
    trial.cleanup()


def test_states_are_kept_after_so_many_steps(assign: Assign, tmp_path: Path) -> None:
    """Evaluations every 2 steps do not disturb the count."""
    trial = begun(assign({"training": {"steps": 12}}, checkpoint_steps=3))
    steps = []
    while not trial.step()["done"]:
        kept = sorted((tmp_path / "checkpoints" / "t-0").glob("*.pt"))
        steps += [int(state.stem) for state in kept if int(state.stem) not in steps]

    assert steps == [3, 6, 9, 12]  # the last one before the last evaluation


def test_a_damaged_state_is_set_aside_and_told_once(assign: Assign, tmp_path: Path) -> None:
    trial = begun(assign({"training": {"steps": 12}}, checkpoint_steps=3))
    while trial.step()["step"] < 7:
        pass
    newest = max((tmp_path / "checkpoints" / "t-0").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:-1])

    continued = begun(assign({"training": {"steps": 12}}, checkpoint_steps=3))
    first, *others = reports(continued)

    assert first["notes"] == [
        f"{newest}.damaged is damaged or of another version; it was set aside, and its trial goes "
        "on from what was before it"
    ]
    assert all(report["notes"] == [] for report in others)
    assert others[-1]["step"] == 12


def test_a_trained_model_is_kept_and_evaluated_without_training(
    assign: Assign, tmp_path: Path
) -> None:
    model = str(tmp_path / "models/trained.pt")
    [*_, trained] = reports(begun(assign() | {"keep": model}))[-1]["evaluations"]
    evaluation = {**TRIAL["evaluation"], "seed": 1, "every": None}
    again = assign() | {"trial": {**TRIAL, "evaluation": evaluation}, "seed": 7, "model": model}

    [*_, last] = reports(begun(again))

    [fresh] = last["evaluations"]
    assert last["status"] == "done"
    assert fresh["train_seconds"] == 0
    assert fresh["nll_exact"] == trained["nll_exact"]
    assert fresh["nll"] != trained["nll"]


def test_a_model_that_does_not_fit_is_trained_instead(assign: Assign, tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    for content in (b"", b"damaged" * 10):
        model.write_bytes(content)
        [*_, last] = reports(begun(assign() | {"model": str(model)}))
        assert metrics(last["evaluations"]) == uninterrupted()
