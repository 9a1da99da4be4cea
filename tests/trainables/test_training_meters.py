"""Training runs with meters: trained and measured as without them, and continued to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.runs import EVALUATION, RUNS, advance, finish, start
from tests.trainables.test_training_bits import assert_same_bits, assert_same_state, untimed
from trainables.checkpoint import Checkpoints
from trainables.data.corpus import Corpus
from trainables.data.symbols import Symbols

HELD_OUT = {**EVALUATION, "split": "validation"}
RUN = {**RUNS["symbols, a critic and an annealed weight"], "evaluation": HELD_OUT}
METERS = {"collapse": {}, "probes": {"train": 8, "k": 3}, "tsne": {"points": 10}}
OURS = {"collapsed_share", "probe_accuracy", "probe_accuracy_se", "knn_accuracy"}
OURS |= {"knn_accuracy_se", "knn_k", "probe_chance", "probe_train", "tables"}


@pytest.fixture(autouse=True)
def labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give ten symbols a label each."""
    x = torch.arange(10)
    splits, labels = ({"train": one, "validation": one} for one in (x, x % 2))
    corpus = Corpus(splits, 10, "-", labels=labels)
    monkeypatch.setattr(Symbols, "load", lambda self, root: corpus)
    monkeypatch.setattr(Symbols, "held_out", True)


def metered(at: str, **changes: Any) -> dict[str, Any]:
    return {**RUN, "evaluation": {**HELD_OUT, "meters": {"at": at, **METERS, **changes}}}


@pytest.mark.parametrize("at", ["final", "every"])
def test_meters_change_nothing_else(at: str) -> None:
    plain, with_meters = finish(start(RUN)), finish(start(metered(at)))
    without = [{k: v for k, v in e.items() if k not in OURS} for e in untimed(with_meters)]

    assert without == untimed(plain)
    assert_same_state(with_meters, plain)


@pytest.mark.parametrize(("at", "measured"), [("final", [7]), ("every", [3, 6, 7])])
def test_meters_are_at_the_end_or_at_every_evaluation(at: str, measured: list[int]) -> None:
    run = finish(start(metered(at)))

    assert [e["step"] for e in run.evaluations] == [3, 6, 7]
    for evaluation in run.evaluations:
        assert (set(evaluation) >= OURS) == (evaluation["step"] in measured)
        assert bool(set(evaluation) & OURS) == (evaluation["step"] in measured)
    assert set(run.evaluations[-1]["tables"]) == {"curves", "embeddings"}
    assert len(run.evaluations[-1]["tables"]["curves"]["epsilon"]) == 2
    assert len(run.evaluations[-1]["tables"]["embeddings"]["class"]) == 10


def test_a_run_continues_to_the_same_bits_with_its_tables(tmp_path: Path) -> None:
    made = metered("every", tsne={"points": 10, "perplexity": 2.0})
    whole = finish(start(made))
    states = Checkpoints(str(tmp_path / "states"))
    for moment in range(10):
        torch.manual_seed(moment)  # nothing may depend on what another process is at
        run = states.restore(lambda: start(made))
        advance(run)
        states.save(run)

    assert states.damaged == []
    assert run.finished
    assert_same_bits(run, whole)
