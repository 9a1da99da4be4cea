"""Critics' networks: how many rows pass them, what they share with the model, and their scores."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables import objectives
from trainables.models import Model
from trainables.models.images.masked import ResNetMaskedConfig
from trainables.models.images.mlp import ImageMlpConfig
from trainables.models.latents import GaussianLatents
from trainables.models.sentence import SentenceLstmConfig
from trainables.models.symbol import SymbolMlpConfig
from trainables.models.text import TextLstmConfig
from trainables.objectives.critic_networks import SeparableCritic
from trainables.objectives.critics import CriticObjective
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

B = 7
LATENTS = GaussianLatents(kind="gaussian", dimensions=2)
SEPARABLE = ("critic_neural", "critic_hybrid")
EARLY = {
    "symbol_mlp": "encoder.embedding.",
    "sentence_lstm": "encoder.embedding.",
    "text_lstm": "encoder.embedding.",
    "resnet_masked": "encoder.shared.",
    "image_mlp": "encoder.shared.",
}


def model_and_batch(name: str) -> tuple[Model, Tensor]:
    torch.manual_seed(0)
    if name == "symbol_mlp":
        symbols = SymbolMlpConfig(name="symbol_mlp", latents=LATENTS, embedding=3, hidden=4)
        return symbols.create(9).double(), torch.arange(B)
    if name == "resnet_masked":
        config = ResNetMaskedConfig.model_validate(
            {
                "name": "resnet_masked",
                "latents": LATENTS,
                "channels": 2,
                "kernels": [3, 3, 3],
                "encoder": {"channels": 3, "hidden": 4},
            }
        )
        return config.create(2, (6, 6)).double(), torch.randint(2, (B, 6, 6)).to(torch.uint8)
    if name == "image_mlp":
        perceptrons = ImageMlpConfig.model_validate(
            {"name": "image_mlp", "latents": LATENTS, "encoder": {"hidden": [3, 4]}}
        )
        return perceptrons.create(2, (6, 6)).double(), torch.randint(2, (B, 6, 6)).to(torch.uint8)
    if name == "text_lstm":
        text = TextLstmConfig(name="text_lstm", latents=LATENTS, embedding=3, hidden=4, dropout=0)
        return text.create(9).double(), torch.randint(9, (B, 5))
    sentences = SentenceLstmConfig(
        name="sentence_lstm", latents=LATENTS, embedding=3, encoder_hidden=4, decoder_hidden=4
    )
    return sentences.create(9).double(), torch.randint(9, (B, 5))


def create(name: str, model: Model, **config: Any) -> CriticObjective:
    torch.manual_seed(1)
    objective = objectives.create({"name": name, **config}, model)
    assert isinstance(objective, CriticObjective)
    return objective.double()


def scored(objective: CriticObjective, model: Model, x: Tensor) -> Tensor:
    """Scores of every pair, whose z is cut from the encoder."""
    encoding = model.encode(x)
    z = model.latents.posterior(encoding.parameters).rsample().detach()
    return objective.critic(model, x, encoding, z)


@contextmanager
def counted(*modules: nn.Module) -> Iterator[Counter[str]]:
    """Count the numbers that each linear layer, convolution or embedding reads."""
    read: Counter[str] = Counter()

    def count(name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        return lambda _, inputs: read.update({name: inputs[0].numel()})

    handles = [
        layer.register_forward_pre_hook(count(name))
        for module in modules
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Embedding | nn.Conv2d)
    ]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("name", SEPARABLE)
def test_a_batch_passes_every_layer_once_and_not_once_for_each_pair(name: str) -> None:
    model, x = model_and_batch("symbol_mlp")
    objective = create(name, model, hidden_x=256, hidden_z=64)

    with counted(objective.critic) as read:
        objective(model, x)

    heads = {"of_x.0": 4 * B, "of_x.2": 256 * B, "of_z.0": 2 * B, "of_z.2": 64 * B}
    late = {"encoder.layers.0": 3 * B, "encoder.layers.2": 4 * B}
    early = {"encoder.embedding": B} if name == "critic_neural" else {}
    assert read == {**heads, **late, **early}


@pytest.mark.parametrize("of_model", EARLY)
@pytest.mark.parametrize("name", SEPARABLE)
def test_twice_the_batch_is_twice_the_work_of_every_layer(name: str, of_model: str) -> None:
    model, x = model_and_batch(of_model)
    objective = create(name, model)

    with counted(model, objective.critic) as once:
        objective(model, x)
    with counted(model, objective.critic) as twice:
        objective(model, torch.cat([x, x]))

    assert len(once) > 8
    assert twice == {layer: 2 * numbers for layer, numbers in once.items()}


@pytest.mark.parametrize("name", ["critic_self", *SEPARABLE])
@pytest.mark.parametrize("of_model", EARLY)
def test_the_models_encoder_runs_once_for_bound_and_critic(name: str, of_model: str) -> None:
    model, x = model_and_batch(of_model)

    with counted(model.encoder, model.to_posterior) as alone:
        model.encode(x)
    with counted(model.encoder, model.to_posterior) as read:
        create(name, model)(model, x)

    assert len(alone) > 1
    assert read == alone


def test_the_self_critic_has_no_parameters() -> None:
    model, _ = model_and_batch("symbol_mlp")

    assert not list(create("critic_self", model).parameters())
    assert not create("critic_self", model).state_dict()


@pytest.mark.parametrize("of_model", EARLY)
def test_the_neural_critic_shares_nothing_with_the_model(of_model: str) -> None:
    model, x = model_and_batch(of_model)
    objective = create("critic_neural", model)

    slopes = torch.autograd.grad(
        scored(objective, model, x).square().sum(), list(model.parameters()), allow_unused=True
    )

    assert all(slope is None for slope in slopes)
    kept = {parameter.data_ptr() for parameter in objective.parameters()}
    assert kept.isdisjoint(parameter.data_ptr() for parameter in model.parameters())
    shapes = {n: p.shape for n, p in model.named_parameters() if n.startswith("encoder.")}
    own = {n.removeprefix("critic."): p for n, p in objective.named_parameters()}
    assert {n: own[n].shape for n in shapes} == shapes
    early = [n for n in shapes if n.startswith(EARLY[of_model]) and own[n].dim() > 1]
    assert early
    assert not any(torch.equal(own[n], model.get_parameter(n)) for n in early)


@pytest.mark.parametrize("of_model", EARLY)
def test_the_hybrid_critic_trains_the_early_layers_of_the_model_and_no_others(
    of_model: str,
) -> None:
    model, x = model_and_batch(of_model)
    parameters = dict(model.named_parameters())

    scores = scored(create("critic_hybrid", model), model, x)
    slopes = torch.autograd.grad(
        scores.square().sum(), list(parameters.values()), allow_unused=True
    )

    reached = {name for name, slope in zip(parameters, slopes, strict=True) if slope is not None}
    assert reached == {name for name in parameters if name.startswith(EARLY[of_model])}
    assert max(slope.abs().max() for slope in slopes if slope is not None) > 1e-6


@pytest.mark.parametrize("of_model", EARLY)
@pytest.mark.parametrize("name", SEPARABLE)
def test_critics_keep_no_parameter_that_they_do_not_use(name: str, of_model: str) -> None:
    model, x = model_and_batch(of_model)
    objective = create(name, model)
    parameters = dict(objective.named_parameters())

    slopes = torch.autograd.grad(scored(objective, model, x).square().sum(), parameters.values())

    assert all(slope.abs().max() > 0 for slope in slopes)
    has_early = any(part.startswith(f"critic.{EARLY[of_model]}") for part in parameters)
    assert has_early == (name == "critic_neural")


@pytest.mark.parametrize("name", SEPARABLE)
@pytest.mark.parametrize("normalise", [True, False])
def test_scores_are_products_of_what_the_two_heads_say(name: str, normalise: bool) -> None:
    model, x = model_and_batch("symbol_mlp")
    objective = create(name, model, temperature=0.25, normalise=normalise)
    critic = objective.critic
    assert isinstance(critic, SeparableCritic)
    encoding, z = model.encode(x), torch.randn(B, 2, dtype=torch.float64)

    scores = critic(model, x, encoding, z)

    features = (
        critic.encoder(x)
        if name == "critic_neural"
        else critic.encoder.layers(model.encoder.embedding(x))
    )
    a, b = (
        head[2].weight @ functional.relu(head[0].weight @ row + head[0].bias) + head[2].bias
        for head, row in ((critic.of_x, features[4]), (critic.of_z, z[1]))
    )
    assert (critic.of_x[0].out_features, critic.of_z[0].out_features) == (256, 64)
    assert len(a) == len(b) == 128
    scale = a.norm() * b.norm() if normalise else 1.0
    torch.testing.assert_close(scores[1, 4], (a @ b) / scale / 0.25, rtol=1e-6, atol=1e-9)
    if normalise:
        assert scores.abs().max() <= 1 / 0.25


@pytest.mark.parametrize("name", SEPARABLE)
def test_a_temperature_is_learnt_as_a_logarithm_or_stays(name: str) -> None:
    model, x = model_and_batch("symbol_mlp")
    learnt, fixed = create(name, model), create(name, model, learn_temperature=False)

    loss, metrics = learnt(model, x)

    assert metrics["temperature"].item() == pytest.approx(0.07)
    (slope,) = torch.autograd.grad(loss, learnt.critic.log_temperature)
    assert slope.abs() > 1e-6
    names = {name for name, _ in learnt.named_parameters()}
    assert names - {name for name, _ in fixed.named_parameters()} == {"critic.log_temperature"}
    assert fixed.critic.log_temperature.item() == pytest.approx(math.log(0.07))
    with torch.no_grad():
        learnt.critic.log_temperature.fill_(math.log(0.5))
    assert learnt(model, x).metrics["temperature"].item() == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["critic_self", *SEPARABLE])
def test_a_run_trains_the_critic_and_continues_to_the_same_bits(name: str) -> None:
    config = TrialConfig.model_validate(
        {
            "data": {"name": "symbols", "vocabulary": 9},
            "model": {"name": "symbol_mlp", "latents": {"kind": "gaussian", "dimensions": 2}},
            "objective": {"name": name, "annealing": {"kind": "linear", "steps": 4}},
            "training": {"steps": 4, "batch_size": 4, "learning_rate": 0.01},
            "evaluation": {"split": "train", "samples": 2, "every": 2},
        }
    )
    whole, first, second = (TrainingRun(config, 0, data_root=Path()) for _ in range(3))
    before = {key: value.clone() for key, value in whole.objective.state_dict().items()}

    whole.train()
    first.train()
    first.evaluate()
    whole.evaluate()
    second.load_state_dict(first.state_dict())
    for run in (whole, second):
        run.train()

    state = whole.objective.state_dict()
    for key, value in second.objective.state_dict().items():
        assert torch.equal(value, state[key])
        assert not torch.equal(value, before[key])
    for key, value in second.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[key])
