"""What training spends against counts by hand, for batches of 4 of 10 observations."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from tests.trainables.runs import CATEGORICAL, GAUSSIAN, NOWHERE, VQ, finish
from tests.trainables.test_continuation import CASES, KNOBS, TRAINING, stand_ins, start, trial
from trainables.data.symbols import Symbols
from trainables.models import MODELS
from trainables.objectives import OBJECTIVES
from trainables.passes import Passes, counted, decoded, differentiated, encoded
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

__all__ = ["stand_ins"]  # data for every kind of model

BATCH = 4


def spent(made: Mapping[str, Any], steps: int) -> tuple[int, int, int]:
    """Gradient evaluations, encoder passes and decoder passes after so many steps."""
    run = start(dict(made))
    while run.step < steps:
        if run.evaluation_due:
            run.evaluate()
        run.train(steps=steps - run.step)
    cost = run.cost()
    return tuple(cost[n] for n in ("gradient_evaluations", "encoder_passes", "decoder_passes"))  # type: ignore[return-value]


def with_samples(name: str, estimator: str, samples: Any, latents: Any = CATEGORICAL) -> Any:
    return trial({"name": name, "estimator": estimator, "samples": samples}, latents=latents)


def trained(
    objective: Any, model: str = "symbol_mlp", latents: Any = GAUSSIAN, **training: Any
) -> Any:
    gentle = {**TRAINING, "learning_rate": 0.001, **training}
    return trial(objective, model, latents, training=gentle)


def refined(objective: Any, steps: int) -> Any:
    made = trial(objective)
    return {**made, "model": {**made["model"], "inference": {"steps": steps}}}


VAE = {"name": "vae"}
BEFOREHAND = {"share": 0.4, "steps": 2}  # batches of 4 of 4 observations
QUEUE = {"kind": "queue", "length": 8}
# Of each observation in a step: gradients, passes of encoders, samples scored.
A_STEP = {
    "vae": (trial(VAE), (1, 1, 1)),
    "vae, 5 samples": (trial({**VAE, "samples": 5}), (5, 1, 5)),
    "control_vae, 2 samples": (trial({"name": "control_vae", "samples": 2}), (2, 1, 2)),
    "bound, iwae 3": (with_samples("bound", "iwae", 3, GAUSSIAN), (3, 1, 3)),
    "bound, elbo 2": (with_samples("bound", "elbo", 2, GAUSSIAN), (2, 1, 2)),
    "renyi, reinforce 1": (with_samples("renyi", "reinforce", 1), (1, 1, 1)),
    "renyi, vimco 6": (with_samples("renyi", "vimco", 6), (6, 1, 6)),
    # The decoder's gradient is reused for z, and one draw serves all terms.
    "kl, dreg 3": (with_samples("kl", "dreg", 3, GAUSSIAN), (3, 1, 3)),
    "kl, vimco 5 and 2": (with_samples("kl", "vimco", {"log_evidence": 5, "kl": 2}), (5, 1, 5)),
    "renyi, dreg 1 and 4": (
        with_samples("renyi", "dreg", {"log_evidence": 1, "kl": 4}, GAUSSIAN),
        (4, 1, 4),
    ),
    "critic_self": (trial({"name": "critic_self"}), (1, 1, 1)),
    "critic_neural": (trial({"name": "critic_neural"}), (1, 2, 1)),
    "critic_hybrid": (trial({"name": "critic_hybrid"}), (1, 2, 1)),
    "cr_vae": (trained({"name": "cr_vae"}, "resnet_masked"), (1, 3, 1)),
    "cr_vae, shared key": (
        trained({"name": "cr_vae", "key": {"kind": "shared"}}, "resnet_masked"),
        (1, 3, 1),
    ),
    "cr_vae, augmented target": (
        trained({"name": "cr_vae", "target": "augmented", "negatives": QUEUE}, "resnet_masked"),
        (1, 2, 1),
    ),
    # Codes are looked up and averaged without a network.
    "vq_vae": (trial({"name": "vq_vae"}, latents=VQ), (1, 1, 1)),
    "vq_vae, text": (trained({"name": "vq_vae"}, "text_lstm", latents=VQ), (1, 1, 1)),
    # Refinement: each of 3 steps takes a sample's gradient, the encoder reads once.
    "refined": (refined(VAE, 3), (4, 1, 4)),
    "refined, 5 samples": (refined({**VAE, "samples": 5}, 3), (8, 1, 8)),
    # Noise: each of its steps runs the whole model.
    "pgd": (trained(VAE, adversarial={"kind": "pgd", "epsilon": 0.1, "steps": 4}), (5, 5, 5)),
    "fgsm": (trained(VAE, adversarial={"kind": "fgsm", "epsilon": 0.1}), (2, 2, 2)),
    "no noise": (trained(VAE, adversarial={"kind": "fgsm", "epsilon": 0.0}), (1, 1, 1)),
    "text": (trial(VAE, "text_lstm"), (1, 1, 1)),
    "sentences": (trial({**VAE, "samples": 2}, "sentence_lstm"), (2, 1, 2)),
}


@pytest.mark.parametrize(("made", "a_step"), A_STEP.values(), ids=list(A_STEP))
def test_a_step_spends_what_it_takes_by_hand(made: Any, a_step: tuple[int, int, int]) -> None:
    # Step 3 is followed by an evaluation, which costs nothing.
    assert spent(made, 4) == tuple(4 * BATCH * count for count in a_step)


def test_every_objective_is_counted() -> None:
    """Each trains on every observation of a batch, whatever else it does."""
    for name in OBJECTIVES:
        made = next(case for case in CASES.values() if case["objective"]["name"] == name)
        gradients, encoders, decoders = spent(made, 1)
        assert gradients >= BATCH, name
        assert encoders >= BATCH, name
        assert decoders >= BATCH, name
    assert set(KNOBS) <= set(OBJECTIVES)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_tells_of_its_passes(name: str) -> None:
    run = start(trial({"name": "bound", "estimator": "elbo"}, name))
    x = run.corpus.splits["train"][:3]
    passes = Passes()
    with counted(passes):
        q = run.model.posterior(x)
        run.model.log_likelihood(x, q.rsample((5,)))
        assert (passes.encoder, passes.decoder, passes.gradients) == (3, 15, 15)
        with torch.no_grad():
            run.model.log_likelihood(x, q.sample((2,)))
    run.model.posterior(x)
    assert (passes.encoder, passes.decoder, passes.gradients) == (3, 21, 15)


def test_inner_updates_are_counted_until_the_loop_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 3 updates of the encoder before one of the decoder, in the only phase there is."""
    monkeypatch.setattr(Symbols, "held_out", True)
    lagging = {"name": "aggressive", "max_inner": 3, "check_every": 9}
    made = trained(VAE, procedure=lagging)
    assert spent(made, 2) == (2 * 4 * BATCH,) * 3
    noise = {"kind": "fgsm", "epsilon": 0.1}
    assert spent(trained(VAE, procedure=lagging, adversarial=noise), 2) == (4 * 4 * BATCH,) * 3


def test_pre_training_counts_with_a_decoder_or_without() -> None:
    sentences = trained(VAE, "text_lstm", pretraining=BEFOREHAND)
    assert spent(sentences, 2) == (2 * BATCH,) * 3
    assert spent(sentences, 5) == (5 * BATCH,) * 3
    labels = trained(VAE, "resnet_masked", pretraining=BEFOREHAND)
    assert spent(labels, 2) == (2 * BATCH, 2 * BATCH, 0)
    assert spent(labels, 5) == (5 * BATCH, 5 * BATCH, 3 * BATCH)


def test_batches_of_other_sizes_count_as_they_are() -> None:
    """An epoch in batches of one length reads each of ten sentences once; validation is free."""
    plateau = {"kind": "plateau", "every": 1}
    made = trained(VAE, "text_lstm", batching="exact_length", steps=None, epochs=2)
    made["training"]["schedule"] = plateau
    run = finish(start(made))
    assert run.evaluations[-1]["epochs"] == 2
    for name in ("gradient_evaluations", "encoder_passes", "decoder_passes"):
        assert run.evaluations[-1][name] == 20


def test_a_trained_model_brings_along_what_it_cost_and_one_of_old_does_not() -> None:
    run = finish(start(trial(VAE)))
    state = run.trained_state()
    names = ("gradient_evaluations", "encoder_passes", "decoder_passes")

    adopted = start(trial(VAE))
    adopted.adopt(state)
    assert [adopted.cost()[n] for n in names] == [run.cost()[n] for n in names] == [20] * 3

    of_old = start(trial(VAE))
    of_old.adopt({key: value for key, value in state.items() if key != "passes"})
    assert of_old.cost()["updates"] == 5
    assert not set(names) & set(of_old.cost())


def test_a_run_that_began_uncounted_stays_so() -> None:
    run = TrainingRun(TrialConfig.model_validate(trial(VAE)), 0, data_root=NOWHERE)
    run.train(steps=2)
    state = run.state_dict()
    del state["passes"]
    run.load_state_dict(state)
    run.train(steps=1)
    assert "encoder_passes" not in run.cost()


def test_nobody_counts_unless_asked_and_counts_do_not_mix() -> None:
    encoded(1)
    outer, inner = Passes(), Passes(gradients=1)
    with counted(outer):
        encoded(2)
        with counted(inner):
            decoded(3)
            differentiated(4)
        with counted(None):
            encoded(100)
        decoded(5)
    assert outer.figures() == {
        "gradient_evaluations": 5,
        "encoder_passes": 2,
        "decoder_passes": 5,
    }
    assert inner.state_dict() == {"gradients": 8, "encoder": 0, "decoder": 3}
