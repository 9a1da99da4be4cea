"""CR-VAE: InfoNCE against a direct computation, which encoder learns from it, what the ELBO is of.

Every figure is computed a second time from the same noise: the order of the draws is x or a view
of it, its z, a view for the query and its z where the ELBO is of x, a view for the key and its z.
"""

import copy
import itertools
import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.trainables.objectives.images import image_model, images
from trainables import objectives
from trainables.augmentation import view
from trainables.models.images.model import ImageModel
from trainables.objectives import ObjectiveOutput
from trainables.objectives.cr_vae import CrVaeObjective

B = 5
X = images(B)
KEYS = ("ema", "shared", "frozen")
NEGATIVES: dict[str, Any] = {
    "batch": {"kind": "batch"},
    "queue": {"kind": "queue", "length": 10},
}
NOISE = [{"name": "noise", "sigma": 0.5}]
MIRRORED = [{"name": "flip", "probability": 1}]
CONFIGURATIONS = list(
    itertools.product(KEYS, NEGATIVES, ("clean", "augmented"), ("sample", "mean"))
)


def create(
    model: ImageModel, kind: str = "ema", negatives: str = "batch", **config: Any
) -> CrVaeObjective:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        given = {"key": {"kind": kind}, "negatives": NEGATIVES[negatives], "augmentations": NOISE}
        objective = objectives.create({"name": "cr_vae", **given, **config}, model)
    assert isinstance(objective, CrVaeObjective)
    return objective.double()


def evaluated(objective: torch.nn.Module, model: ImageModel, x: Tensor = X) -> ObjectiveOutput:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        output: ObjectiveOutput = objective(model, x)
    return output


class Direct(NamedTuple):
    """What a batch comes to, by the formulas; each with its gradient."""

    elbo: Tensor
    info_nce: Tensor
    keys: Tensor


def directly(objective: CrVaeObjective, model: ImageModel, queue: Tensor | None) -> Direct:
    config = objective.config

    def chosen(q: Any, z: Tensor) -> Tensor:
        z = z if config.contrast_on == "sample" else q.base_dist.loc
        return z / z.square().sum(dim=1, keepdim=True).sqrt()

    with torch.random.fork_rng():
        torch.manual_seed(2)
        seen = X if config.target == "clean" else view(X, config.augmentations)
        q = model.posterior(seen)
        z = q.rsample()
        kl = 0.5 * (q.base_dist.loc**2 + q.base_dist.scale**2 - 1) - q.base_dist.scale.log()
        (log_p,) = model.log_likelihood(seen, z[None])
        elbo = (log_p - config.beta * kl.sum(dim=1)).mean()
        if config.target == "clean":
            q = model.posterior(view(X, config.augmentations))
            z = q.rsample()
        queries = chosen(q, z)
        x = view(X, config.augmentations)
        if config.key.kind == "shared":
            q = model.posterior(x)
        else:
            assert objective.key_encoder is not None
            q = model.latents.posterior(objective.key_encoder(x))
        keys = chosen(q, q.rsample())
    losses = []
    for i in range(B):
        right = (queries[i] @ keys[i] / config.temperature).exp()
        others = [keys[j] for j in range(B) if j != i] if queue is None else list(queue)
        wrong = sum((queries[i] @ key / config.temperature).exp() for key in others)
        losses.append(-(right / (right + wrong)).log())
    return Direct(elbo, sum(losses) / B, keys)


def gradients(loss: Tensor, model: ImageModel) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {n: g for n, g in zip(named, found, strict=True) if g is not None}


# InfoNCE --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "negatives", "target", "contrast_on"), CONFIGURATIONS, ids=str)
def test_the_loss_and_its_gradient_are_those_of_a_direct_computation(
    key: str, negatives: str, target: str, contrast_on: str
) -> None:
    model = image_model()
    config = {"gamma": 3.0, "beta": 0.5, "temperature": 0.7}
    objective = create(model, key, negatives, target=target, contrast_on=contrast_on, **config)
    queue = None if objective.queue is None else objective.queue.keys.clone()

    expected = directly(objective, model, queue)
    slopes = gradients(-expected.elbo + 3 * expected.info_nce, model)
    loss, metrics = evaluated(objective, model)

    assert metrics["contrast"].item() == pytest.approx(expected.info_nce.item(), abs=1e-12)
    assert loss.item() == pytest.approx((-expected.elbo + 3 * expected.info_nce).item(), abs=1e-12)
    found = gradients(loss, model)
    assert set(found) == set(slopes)
    for name, slope in slopes.items():
        torch.testing.assert_close(found[name], slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_keys_have_a_gradient_where_their_encoder_is_shared_and_only_there(key: str) -> None:
    model = image_model()
    expected = directly(create(model, key), model, None)

    assert expected.keys.requires_grad == (key == "shared")


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_metrics_say_how_much_can_be_told_at_most(negatives: str) -> None:
    model = image_model()
    loss, metrics = evaluated(create(model, negatives=negatives, temperature=0.3), model)

    n_candidates = {"batch": B, "queue": 11}[negatives]
    assert metrics["critic"].item() == -metrics["contrast"].item()
    assert metrics["information_ceiling"].item() == math.log(n_candidates)
    bound = math.log(n_candidates) - metrics["contrast"].item()
    assert metrics["information_bound"].item() == pytest.approx(bound, abs=1e-14)
    assert metrics["temperature"].item() == 0.3
    assert metrics["objective"].item() == -loss.item()
    assert not any(value.requires_grad or value.dim() for value in metrics.values())


def test_views_that_tell_nothing_are_told_apart_by_chance() -> None:
    model = image_model()
    torch.nn.init.zeros_(model.to_posterior.weight)
    torch.nn.init.ones_(model.to_posterior.bias)

    metrics = evaluated(create(model, "shared", contrast_on="mean"), model).metrics

    assert metrics["contrast"].item() == pytest.approx(math.log(B), abs=1e-12)
    assert metrics["information_bound"].item() == pytest.approx(0, abs=1e-12)


# What the ELBO is of --------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_without_gamma_on_clean_images_it_is_the_vae_to_the_last_bit(key: str) -> None:
    model = image_model()
    config = {"beta": 0.5, "annealing": {"kind": "linear", "steps": 8}}
    vae = objectives.create({"name": "vae", **config})
    found = []
    for objective in (vae, create(model, key, gamma=0, **config)):
        objective.begin_step(4, 1)
        alone = copy.deepcopy(model)
        loss, metrics = evaluated(objective, alone)
        running = {n: b for n, b in alone.named_buffers() if "running" in n}
        assert not all(torch.equal(b, dict(model.named_buffers())[n]) for n, b in running.items())
        found.append((loss, metrics, gradients(loss, alone), running))

    (loss, metrics, slopes, running), theirs = found
    assert loss.item() == theirs[0].item()
    for name in ("reconstruction", "kl", "kl_weight"):
        assert torch.equal(metrics[name], theirs[1][name])
    for mine, other in ((slopes, theirs[2]), (running, theirs[3])):
        assert all(torch.equal(other[name], value) for name, value in mine.items())


@pytest.mark.parametrize("target", ["clean", "augmented"])
def test_what_is_encoded_and_reconstructed_is_the_target(target: str) -> None:
    """Where every view is mirrored, an augmented target is the mirrored image."""
    model = image_model()
    metrics = evaluated(create(model, target=target, augmentations=MIRRORED), model).metrics

    with torch.random.fork_rng():
        torch.manual_seed(2)
        x = X if target == "clean" else view(X, ()).flip(-1)
        expected = objectives.create({"name": "vae"})(model, x).metrics

    for name in ("reconstruction", "kl"):
        assert metrics[name].item() == pytest.approx(expected[name].item(), abs=1e-12)


# What is remembered ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_nothing_of_it_is_trained_and_all_of_it_is_kept(key: str, negatives: str) -> None:
    model = image_model()
    objective = create(model, key, negatives)

    assert list(objective.parameters()) == []
    kept = {name.partition(".")[0] for name in objective.state_dict()}
    assert ("key_encoder" in kept) == (key != "shared")
    assert ("queue" in kept) == (negatives == "queue")


def weights(module: torch.nn.Module) -> list[Tensor]:
    named = module.state_dict().items()
    return [weight.detach().clone() for name, weight in named if name != "started"]


def train(objective: CrVaeObjective, model: ImageModel, steps: int) -> None:
    parameters = [*model.parameters(), *objective.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        objective(model, images(4 * B)[step % 4 * B :][:B]).loss.backward()
        optimizer.step()


def test_a_frozen_key_encoder_gets_no_gradient_and_does_not_move() -> None:
    torch.manual_seed(0)
    model = image_model()
    objective = create(model, "frozen")
    assert objective.key_encoder is not None
    key_weights, model_weights = weights(objective.key_encoder), weights(model)

    train(objective, model, 3)

    assert all(map(torch.equal, weights(objective.key_encoder), key_weights))
    assert not any(map(torch.equal, weights(model), model_weights))
    for tensor in objective.buffers():
        assert not tensor.requires_grad
        assert tensor.grad is None


def test_a_moving_average_moves_before_each_use_in_training_alone() -> None:
    """Before the second step the model's weights are w1: the average is m w0 + (1 - m) w1."""
    torch.manual_seed(0)
    model = image_model()
    objective = create(model, key={"kind": "ema", "momentum": 0.75})
    assert objective.key_encoder is not None
    first = weights(objective.key_encoder)
    train(objective, model, 1)
    assert all(map(torch.equal, weights(objective.key_encoder), first))
    names = [name for name in objective.key_encoder.state_dict() if name != "started"]
    second = [model.state_dict()[name].clone() for name in names]

    evaluated(objective.eval(), model)
    assert all(map(torch.equal, weights(objective.key_encoder), first))
    evaluated(objective.train(), model)

    for weight, w0, w1 in zip(weights(objective.key_encoder), first, second, strict=True):
        torch.testing.assert_close(weight, 0.75 * w0 + 0.25 * w1, rtol=0, atol=1e-14)
        assert not torch.equal(w0, w1)


@pytest.mark.parametrize("key", KEYS)
def test_keys_go_into_the_queue_after_their_own_batch_in_training_alone(key: str) -> None:
    model = image_model()
    objective = create(model, key, "queue")
    assert objective.queue is not None
    start = objective.queue.keys.clone()

    evaluated(objective.eval(), model)
    assert torch.equal(objective.queue.keys, start)
    pushed = []
    for step in range(3):
        before = objective.queue.keys.clone()
        expected = directly(objective, model, before)
        objective.train()
        metrics = evaluated(objective, model).metrics
        assert metrics["contrast"].item() == pytest.approx(expected.info_nce.item(), abs=1e-12)
        pushed.append(expected.keys.detach())
        after = {0: [pushed[0], start[B:]], 1: pushed, 2: [*pushed[2:], *pushed[1:2]]}[step]
        torch.testing.assert_close(objective.queue.keys, torch.cat(after), rtol=0, atol=1e-14)
    assert objective.queue.position == B
