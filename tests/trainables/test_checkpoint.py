"""A training run on disk: what is read back is what was written, or nothing."""

import errno
import functools
import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables import storage
from trainables.checkpoint import Checkpoints, adopt_model
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
    "evaluation": {"split": "train", "samples": 2, "every": 2},
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
    path = tmp_path_factory.mktemp("written")
    save(advance(new(), 2), path)
    return state(path, 4).read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "trial"


def state(path: Path, step: int) -> Path:
    return path / f"{step:012d}.pt"


def put(path: Path, content: bytes, step: int = 4) -> None:
    path.mkdir(parents=True, exist_ok=True)
    state(path, step).write_bytes(content)


def save(run: TrainingRun, path: Path) -> None:
    Checkpoints(str(path)).save(run)


def restore(path: Path, fresh: Callable[[], TrainingRun] = new) -> TrainingRun:
    return Checkpoints(str(path)).restore(fresh)


def test_a_run_continues_from_disk_to_the_same_bits(path: Path) -> None:
    save(advance(new(), 2), path)
    run = restore(path)
    assert run.step == 4

    assert metrics(advance(run, 2)) == metrics(advance(new(), 4))
    torch.testing.assert_close(
        run.model.state_dict(), advance(new(), 4).model.state_dict(), rtol=0, atol=0
    )


def test_without_a_file_a_run_starts_from_its_seed(path: Path) -> None:
    run = restore(path)

    assert run.step == 0
    assert metrics(advance(run, 1)) == metrics(advance(new(), 1))


def test_the_last_two_states_are_kept_and_nothing_else(path: Path) -> None:
    run, states = new(), Checkpoints(str(path))
    for step, kept in ((2, [2]), (4, [2, 4]), (6, [4, 6]), (8, [6, 8])):
        states.save(advance(run, 1))
        assert restore(path).step == step
        assert sorted(path.iterdir()) == [state(path, step) for step in kept]


def test_another_process_knows_what_is_kept(path: Path) -> None:
    run = new()
    for _ in range(4):
        save(advance(run, 1), path)

    assert sorted(path.iterdir()) == [state(path, 6), state(path, 8)]


def test_a_state_of_the_same_step_is_replaced(path: Path) -> None:
    run, states = new(), Checkpoints(str(path))
    run.train()
    states.save(run)
    run.evaluate()
    states.save(run)

    assert len(restore(path).evaluations) == 1


def test_where_the_newest_state_is_damaged_the_one_before_counts(path: Path) -> None:
    run = new()
    for _ in range(2):
        save(advance(run, 1), path)
    whole = state(path, 4).read_bytes()
    state(path, 4).write_bytes(whole[:100])
    states = Checkpoints(str(path))
    continued = states.restore(new)

    assert continued.step == 2
    assert states.damaged == [f"{state(path, 4)}.damaged"]
    assert sorted(path.iterdir()) == [state(path, 2), Path(states.damaged[0])]
    assert metrics(advance(continued, 3)) == metrics(advance(new(), 4))


def test_removing_takes_what_a_killed_worker_left(path: Path) -> None:
    save(advance(new(), 1), path)
    (path / "000000000004.pt.0123.partial").touch()
    Checkpoints(str(path)).remove()

    assert not path.exists()


def test_removing_leaves_what_was_set_aside(path: Path) -> None:
    for _ in range(2):
        save(advance(new(), 1), path)
    put(path, b"damaged")
    states = Checkpoints(str(path))
    states.restore(new)
    states.remove()

    assert list(path.iterdir()) == [Path(f"{state(path, 4)}.damaged")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_was_cut_short_is_as_good_as_none(
    written: bytes, path: Path, data: st.DataObject
) -> None:
    put(path, written[: data.draw(st.integers(0, len(written) - 1))])

    assert restore(path).step == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_a_wrong_byte_is_as_good_as_none(
    written: bytes, path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(written)
    damaged[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    put(path, bytes(damaged))

    assert restore(path).step == 0


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
    buffer = io.BytesIO()
    torch.save({"step": Code(tmp_path / "proof")}, buffer)
    put(path, signed(buffer.getvalue()))

    assert restore(path).step == 0
    assert not (tmp_path / "proof").exists()
    put(path, signed(buffer.getvalue()))
    assert adopt_model(new, str(state(path, 4))) is None
    assert not (tmp_path / "proof").exists()
    pickle.loads(pickle.dumps(Code(tmp_path / "proof")))
    assert (tmp_path / "proof").exists()  # it would have been


@pytest.mark.parametrize("content", [{}, [], {"step": 3}, {"step": 3, "model": {"w": 1}}, 7])
def test_a_state_of_another_version_is_as_good_as_none(path: Path, content: object) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    put(path, signed(buffer.getvalue()))

    assert metrics(advance(restore(path), 1)) == metrics(advance(new(), 1))


def test_nothing_is_left_in_a_run_of_a_state_that_does_not_fit(path: Path) -> None:
    save(advance(new(hidden=4), 1), path)
    run = restore(path, functools.partial(new, hidden=5))

    assert metrics(advance(run, 1)) == metrics(advance(new(hidden=5), 1))


def test_a_full_disk_leaves_the_states_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = advance(new(), 1)
    save(run, path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(advance(run, 1), path)

    assert restore(path).step == 2
    assert list(path.iterdir()) == [state(path, 2)]


def test_a_place_that_cannot_be_looked_into_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a trial would silently start again where a network drive is away for a moment."""

    def stale(location: str) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    save(advance(new(), 1), path)
    monkeypatch.setattr(storage, "read", stale)
    with pytest.raises(OSError, match="Stale"):
        restore(path)
