"""A training run on disk: what is read back is what was written, or nothing."""

import errno
import functools
import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables import checkpoint
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

TRIAL = {
    "data": {"name": "symbols", "vocabulary": 8},
    "model": {
        "name": "symbol_mlp",
        "embedding": 2,
        "hidden": 3,
        "latents": {"kind": "categorical", "variables": 2, "categories": 2},
    },
    "objective": {"name": "kl", "estimator": "vimco", "samples": 2, "lambda": 0.5},
    "training": {"steps": 8, "batch_size": 3, "learning_rate": 0.1},
    "evaluation": {"samples": 2, "every": 2},
}
TIMINGS = {"train_seconds", "eval_seconds", "steps_per_second", "peak_memory_bytes"}


def new(hidden: int = 3, seed: int = 0) -> TrainingRun:
    model = {**TRIAL["model"], "hidden": hidden}
    config = TrialConfig.model_validate({**TRIAL, "model": model})
    return TrainingRun(config, seed, data_root=Path("/nonexistent"))


def advance(run: TrainingRun, evaluations: int) -> TrainingRun:
    for _ in range(evaluations):
        run.train()
        run.evaluate()
    return run


def metrics(run: TrainingRun) -> list[dict[str, Any]]:
    rows = run.evaluations
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "trial.pt"
    checkpoint.save(advance(new(), 2), path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "trial.pt"


def test_a_run_continues_from_disk_to_the_same_bits(path: Path) -> None:
    checkpoint.save(advance(new(), 2), path)
    run = checkpoint.restore(new, path)
    assert run.step == 4

    assert metrics(advance(run, 2)) == metrics(advance(new(), 4))
    torch.testing.assert_close(
        run.model.state_dict(), advance(new(), 4).model.state_dict(), rtol=0, atol=0
    )


def test_without_a_file_a_run_starts_from_its_seed(path: Path) -> None:
    run = checkpoint.restore(new, path)

    assert run.step == 0
    assert metrics(advance(run, 1)) == metrics(advance(new(), 1))


def test_a_later_state_replaces_the_one_before_and_leaves_nothing_else(path: Path) -> None:
    run = new()
    for step in (2, 4):
        checkpoint.save(advance(run, 1), path)
        assert checkpoint.restore(new, path).step == step

    assert list(path.parent.iterdir()) == [path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_was_cut_short_is_as_good_as_none(
    written: bytes, path: Path, data: st.DataObject
) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(written[: data.draw(st.integers(0, len(written) - 1))])

    assert checkpoint.restore(new, path).step == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_a_wrong_byte_is_as_good_as_none(
    written: bytes, path: Path, data: st.DataObject
) -> None:
    path.parent.mkdir(exist_ok=True)
    damaged = bytearray(written)
    damaged[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)

    assert checkpoint.restore(new, path).step == 0


def test_a_directory_in_its_place_is_as_good_as_none(path: Path) -> None:
    path.mkdir(parents=True)

    assert checkpoint.restore(new, path).step == 0


def signed(content: bytes) -> bytes:
    """`content` as `save` would have written it."""
    return hashlib.sha256(content).digest() + content


class Code:
    """Runs something where it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


def test_code_in_a_file_is_never_run(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    buffer = io.BytesIO()
    torch.save({"step": Code(tmp_path / "proof")}, buffer)
    path.write_bytes(signed(buffer.getvalue()))

    assert checkpoint.restore(new, path).step == 0
    assert not (tmp_path / "proof").exists()
    pickle.loads(pickle.dumps(Code(tmp_path / "proof")))
    assert (tmp_path / "proof").exists()  # it would have been


@pytest.mark.parametrize("state", [{}, [], {"step": 3}, {"step": 3, "model": {"w": 1}}, 7])
def test_a_state_of_another_version_is_as_good_as_none(path: Path, state: object) -> None:
    path.parent.mkdir()
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(signed(buffer.getvalue()))

    assert metrics(advance(checkpoint.restore(new, path), 1)) == metrics(advance(new(), 1))


def test_nothing_is_left_in_a_run_of_a_state_that_does_not_fit(path: Path) -> None:
    checkpoint.save(advance(new(hidden=4), 1), path)
    run = checkpoint.restore(functools.partial(new, hidden=5), path)

    assert metrics(advance(run, 1)) == metrics(advance(new(hidden=5), 1))


def test_a_full_disk_leaves_the_state_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = advance(new(), 1)
    checkpoint.save(run, path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(advance(run, 1), path)

    assert checkpoint.restore(new, path).step == 2
    assert list(path.parent.iterdir()) == [path]
