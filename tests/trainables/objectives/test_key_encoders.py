"""A copy that follows the encoder by hand-computed steps, and a queue in its order."""

import copy

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from tests.trainables.objectives.images import SIDE, image_model, images
from trainables.models import MODELS, AnyModel
from trainables.models.images.model import ImageModel
from trainables.objectives.key_encoders import KeyEncoder, KeyQueue


def weights(module: KeyEncoder | ImageModel) -> dict[str, Tensor]:
    """All weights of q(z|x), by name, as copies."""
    within = ("encoder.", "to_posterior.")
    tensors = module.state_dict()
    found = {n: t.clone() for n, t in tensors.items() if n.startswith(within)}
    return {n: t for n, t in found.items() if "running" not in n and "tracked" not in n}


def change(model: ImageModel, by: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


# The copy -------------------------------------------------------------------------------------


def test_a_key_encoder_starts_as_the_encoder_in_training_mode() -> None:
    model, x = image_model(), images(6)
    key = KeyEncoder(model)

    torch.testing.assert_close(key(x), model.encode(x).parameters, rtol=0, atol=0)
    key.eval()  # it has no running statistics
    torch.testing.assert_close(key(x), model.encode(x).parameters, rtol=0, atol=0)


def test_its_weights_are_all_of_those_of_q_and_nothing_else() -> None:
    model = image_model()
    key = KeyEncoder(model)
    trained = [name for name, _ in model.named_parameters() if not name.startswith("decoder.")]

    assert sorted(weights(key)) == sorted(trained)
    assert set(key.state_dict()) == {*trained, "started"}
    assert list(key.parameters()) == []
    assert all(torch.equal(weights(key)[name], weights(model)[name]) for name in trained)


def test_it_follows_as_computed_by_hand() -> None:
    """From k = w, and w rising by 1 before each step: 1 - m, then m (1 - m) + 2 (1 - m)."""
    model = image_model()
    start, key = weights(model), KeyEncoder(model)
    key.follow(model, 0.7)
    assert key.started

    for risen in (0.3, 0.3 * 0.7 + 2 * 0.3):
        change(model, 1.0)
        key.follow(model, 0.7)
        for name, weight in weights(key).items():
            torch.testing.assert_close(weight, start[name] + risen, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("momentum", "is_there"), [(0.0, True), (1.0, False)])
def test_without_momentum_it_is_the_encoder_and_with_all_of_it_it_stays(
    momentum: float, is_there: bool
) -> None:
    model = image_model()
    start, key = weights(model), KeyEncoder(model)
    key.follow(model, 0.5)
    change(model, 1.0)

    key.follow(model, momentum)

    reached = weights(model) if is_there else start
    assert all(torch.equal(weights(key)[name], reached[name]) for name in start)


def test_it_starts_to_follow_from_where_the_encoder_is_by_then() -> None:
    """Pre-training may have moved it since."""
    model = image_model()
    key = KeyEncoder(model)
    change(model, 1.0)

    key.follow(model, 0.99)

    assert all(
        torch.equal(weights(key)[name], weight)
        for name, weight in weights(model).items()
        if name in weights(key)
    )


def test_a_pass_has_no_gradient_and_leaves_the_copy_and_the_model_alone() -> None:
    model = image_model()
    key = KeyEncoder(model)
    states = copy.deepcopy((key.state_dict(), model.state_dict()))

    assert not key(images(6)).requires_grad

    for module, before in zip((key, model), states, strict=True):
        after = module.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_the_model_stays_as_it_was_built() -> None:
    model = image_model()
    KeyEncoder(model)

    assert all(parameter.requires_grad for parameter in model.parameters())
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms
    assert all(norm.track_running_stats and norm.running_mean is not None for norm in norms)


@pytest.mark.parametrize("name", [n for n, model in MODELS.items() if model.reads == "images"])
def test_the_encoder_of_every_image_model_can_be_copied(name: str) -> None:
    """It may not look for its parameters, of which a copy has none."""
    latents = {"kind": "gaussian", "dimensions": 3}
    config = TypeAdapter(AnyModel).validate_python({"name": name, "latents": latents})
    torch.manual_seed(0)
    model = config.create(2, (SIDE, SIDE)).double()
    key = KeyEncoder(model)
    change(model, 0.1)
    key.follow(model, 0.9)

    torch.testing.assert_close(key(images(6)), model.encode(images(6)).parameters)


# The queue ------------------------------------------------------------------------------------


def numbered(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)[:, None].expand(-1, 2)


def in_queue(queue: KeyQueue) -> list[float]:
    assert torch.equal(queue.keys[:, 0], queue.keys[:, 1])
    return queue.keys[:, 0].tolist()


def test_keys_lie_in_their_order_and_the_oldest_make_room() -> None:
    queue = KeyQueue(6, 2).double()
    for first in (1, 3, 5):
        queue.push(numbered(first, first + 1))
    assert in_queue(queue) == [1, 2, 3, 4, 5, 6]
    assert queue.position == 0

    queue.push(numbered(7, 8))
    assert in_queue(queue) == [7, 8, 3, 4, 5, 6]
    assert queue.position == 2


def test_keys_go_on_at_the_start_where_the_end_is_reached() -> None:
    queue = KeyQueue(5, 2).double()
    queue.push(numbered(1, 2, 3, 4))
    queue.push(numbered(5, 6, 7))
    assert in_queue(queue) == [6, 7, 3, 4, 5]
    assert queue.position == 2

    queue.push(numbered(8, 9, 10, 11, 12))
    assert in_queue(queue) == [11, 12, 8, 9, 10]
    assert queue.position == 2


def test_more_keys_than_places_are_refused() -> None:
    with pytest.raises(ValueError, match="4 keys do not fit into a queue of 3"):
        KeyQueue(3, 2).double().push(numbered(1, 2, 3, 4))


def test_a_queue_starts_with_random_unit_vectors_and_all_of_it_is_kept_with_a_state() -> None:
    torch.manual_seed(0)
    queue, other = KeyQueue(200, 3), KeyQueue(200, 3)

    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(200))
    assert queue.keys.mean(dim=0).abs().max() < 4 / (3 * 200) ** 0.5
    assert not torch.equal(queue.keys, other.keys)
    queue.push(torch.ones(7, 3))
    other.load_state_dict(queue.state_dict())
    assert torch.equal(queue.keys, other.keys)
    assert other.position == 7
    assert list(queue.parameters()) == []
