"""Both image models: distributions over images, pixel by pixel, that z reaches."""

import itertools
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from trainables.models import MODELS
from trainables.models.images import model as image_model
from trainables.models.images.model import ImageModel
from trainables.trial import TrialConfig

NAMES = ["resnet_masked", "resnet_gated"]
GAUSSIAN = {"kind": "gaussian", "dimensions": 2}
CATEGORICAL = {"kind": "categorical", "variables": 2, "categories": 3}
TINY = {
    "channels": 4,
    "latent_maps": 2,
    "kernels": [5, 3, 5, 3],
    "encoder": {"channels": 3, "hidden": 4, "blocks": 1, "shared_blocks": 1},
}
EXACT = {"rtol": 1e-12, "atol": 1e-12}

each_model = pytest.mark.parametrize("name", NAMES)
plain_or_skip = pytest.mark.parametrize("skip", [False, True], ids=["plain", "skip"])


def make(name: str, shape: tuple[int, int] = (3, 3), **changes: Any) -> ImageModel:
    """A tiny model in evaluation mode whose batch normalisations have seen some images."""
    torch.manual_seed(0)
    config = {"name": name, "latents": GAUSSIAN, **TINY, **changes}
    model = MODELS[name].model_validate(config).create(2, shape).double()
    assert isinstance(model, ImageModel)
    x = images(6, *shape)
    for _ in range(3):
        model.log_likelihood(x, model.posterior(x).sample((2,)))
    return model.eval()


def images(*shape: int) -> Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def logits(model: ImageModel, pixels: Tensor, z: Tensor) -> Tensor:
    return model.decoder.logits(model.decoder.read(pixels[:, None]), z)


@each_model
@plain_or_skip
@pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL], ids=["gaussian", "categorical"])
@pytest.mark.parametrize("shape", [(2, 3), (3, 3)])
def test_the_likelihoods_of_all_images_add_up_to_one(
    name: str, skip: bool, latents: dict[str, Any], shape: tuple[int, int]
) -> None:
    """For every z; so no pixel is predicted from itself or from later ones."""
    model = make(name, shape, latents=latents, skip=skip)
    pixels = itertools.product([0, 1], repeat=shape[0] * shape[1])
    every = torch.tensor(list(pixels), dtype=torch.uint8).view(-1, *shape)
    z = model.prior().sample((3, 1))

    total = model.log_likelihood(every, z).exp().sum(dim=-1)

    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64), **EXACT)


@each_model
@plain_or_skip
def test_the_likelihood_is_that_of_independent_pixels_given_their_logits(
    name: str, skip: bool
) -> None:
    model = make(name, skip=skip)
    x = images(4, 3, 3)
    z = model.prior().sample((2, 4))
    one = logits(model, x.double(), z).sigmoid()

    expected = torch.where(x == 1, one, 1 - one).log().sum(dim=(-2, -1))

    torch.testing.assert_close(model.log_likelihood(x, z), expected, **EXACT)


def test_the_likelihood_is_finite_where_a_pixel_is_as_good_as_impossible() -> None:
    model = make("resnet_gated").float()
    nn.init.constant_(model.decoder.last.bias, 2000.0)
    nothing = torch.zeros(1, 3, 3, dtype=torch.uint8)

    log_p = model.log_likelihood(nothing, torch.zeros(1, 1, 2))

    assert log_p.item() == pytest.approx(-9 * 2000, rel=0.01)


@each_model
@plain_or_skip
def test_a_pixels_logit_depends_on_no_later_pixel_and_on_z(name: str, skip: bool) -> None:
    """The Jacobian in the pixels is strictly lower triangular."""
    model = make(name, (6, 5), skip=skip)
    pixels = torch.rand(1, 6, 5, dtype=torch.float64).requires_grad_()
    z = model.prior().sample((1, 1)).requires_grad_()

    for place, logit in enumerate(logits(model, pixels, z).flatten()):
        in_pixels, in_z = torch.autograd.grad(logit, (pixels, z), retain_graph=True)
        assert (in_pixels.flatten()[place:] == 0).all()
        assert place % 5 == 0 or in_pixels.flatten()[place - 1] != 0
        # The first layer's maps, like the image, are not seen from the first pixel.
        assert (in_z != 0).all() or (name == "resnet_gated" and place == 0 and not skip)


@each_model
def test_skip_maps_with_zero_weights_leave_the_plain_decoder(name: str) -> None:
    """In evaluation and in training mode; the other weights are the same."""
    plain, skip = make(name), make(name, skip=True)
    others = dict(plain.named_parameters()) | dict(plain.named_buffers())
    with torch.no_grad():
        for key, value in (*skip.named_parameters(), *skip.named_buffers()):
            if key not in others:
                continue  # maps of later layers, or what they go through alone
            same = others[key]
            if value.shape == same.shape:
                value.copy_(same)
            else:  # channels of maps come after those of features
                value.zero_()[:, : same.shape[1]] = same
        for layer in skip.modules():
            if getattr(layer, "maps_to_out", None) is not None:
                layer.maps_to_out.weight.zero_()
    x = images(4, 3, 3)
    z = plain.prior().sample((2, 4))
    n_maps = len(TINY["kernels"]) + 1  # of every layer and of the output

    assert (len(plain.decoder.maps), len(skip.decoder.maps)) == (1, n_maps)
    for training in (False, True):
        plain.train(training), skip.train(training)
        expected = plain.log_likelihood(x, z)
        torch.testing.assert_close(skip.log_likelihood(x, z), expected, **EXACT)


@each_model
def test_every_skip_map_reaches_the_logits(name: str) -> None:
    model = make(name, skip=True)
    z = model.prior().sample((1, 1))
    before = logits(model, images(1, 3, 3).double(), z)

    for maps in model.decoder.maps:
        kept = maps.linear.bias.detach().clone()
        with torch.no_grad():
            maps.linear.bias.add_(1)
        assert not torch.equal(logits(model, images(1, 3, 3).double(), z), before)
        with torch.no_grad():
            maps.linear.bias.copy_(kept)


@each_model
@plain_or_skip
def test_every_parameter_gets_a_gradient(name: str, skip: bool) -> None:
    model = make(name, skip=skip).train()
    x = images(5, 3, 3)
    posterior = model.posterior(x)

    (model.log_likelihood(x, posterior.rsample((2,))).sum()).backward()

    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


# Company and passes ---------------------------------------------------------------------------


@each_model
@plain_or_skip
def test_one_z_for_all_images_is_that_z_repeated(name: str, skip: bool) -> None:
    model = make(name, skip=skip)
    x, z = images(4, 3, 3), model.prior().sample((3, 1))
    repeated = z.repeat_interleave(4, dim=1)

    expected = model.log_likelihood(x, repeated)

    torch.testing.assert_close(model.log_likelihood(x, z), expected, **EXACT)


@each_model
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("at_once", [1, 2, 6, 12, 100])
def test_many_decodes_are_scored_a_few_at_a_time(
    name: str, rows: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is read once however many samples there are; values stay the same."""
    model = make(name, skip=True)
    x, z = images(5, 3, 3), model.prior().sample((4, rows))
    whole = model.log_likelihood(x, z)
    decoded, read = [], []
    monkeypatch.setattr(image_model, "AT_ONCE", at_once)
    monkeypatch.setattr(type(model.decoder), "read", _noting(type(model.decoder).read, read))
    last = model.decoder.last
    last.register_forward_hook(lambda module, given, result: decoded.append(len(result)))

    with torch.no_grad():
        parts = model.log_likelihood(x, z)

    torch.testing.assert_close(parts, whole, **EXACT)
    assert sum(read) == 5
    assert sum(decoded) == 20
    assert max(decoded) <= max(1, at_once)


def _noting(method: Any, sizes: list[int]) -> Any:
    def noted(self: nn.Module, pixels: Tensor) -> Tensor:
        sizes.append(len(pixels))
        return method(self, pixels)

    return noted


@each_model
def test_training_takes_the_statistics_of_the_whole_batch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is never cut into passes, with gradients or without."""
    model = make(name).train()
    x, z = images(5, 3, 3), model.prior().sample((2, 5))
    whole = model.log_likelihood(x, z).detach()
    monkeypatch.setattr(image_model, "AT_ONCE", 1)

    with torch.no_grad():
        assert torch.equal(model.log_likelihood(x, z), whole)


# Second derivatives ---------------------------------------------------------------------------


@each_model
@plain_or_skip
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_the_likelihood_can_be_differentiated_twice(name: str, skip: bool, training: bool) -> None:
    """SA-VAE differentiates gradients in z by z and by every weight of the decoder."""
    model = make(name, (2, 3), skip=skip, channels=2, kernels=[3, 3, 3]).train(training)
    x, z = images(3, 2, 3), model.prior().sample((2, 3)).requires_grad_()
    names, weights = zip(*model.decoder.named_parameters(prefix="decoder"), strict=True)

    def log_likelihood(z: Tensor, *weights: Tensor) -> Tensor:
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, given, (x, z))

    model.forward = model.log_likelihood  # what functional_call calls

    assert torch.autograd.gradgradcheck(log_likelihood, (z, *weights), fast_mode=True)


# What is refused ------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize(
    ("vocabulary", "shape", "why"),
    [
        (256, (28, 28), "pixels are zero or one, so vocabulary is 2; got vocabulary=256"),
        (2, (), r"an image has a height and a width; got shape=\(\)"),
        (2, (1, 28, 28), r"an image has a height and a width; got shape=\(1, 28, 28\)"),
        (2, (1, 28), "images of 1 x 28 are too small for 1 residual blocks"),
    ],
)
def test_a_corpus_that_does_not_fit_is_refused(
    name: str, vocabulary: int, shape: tuple[int, ...], why: str
) -> None:
    config = MODELS[name].model_validate({"name": name, "latents": GAUSSIAN, **TINY})

    with pytest.raises(ValueError, match=why):
        config.create(vocabulary, shape)


@each_model
@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("kernels", [7, 4, 3, 3], "a kernel is centred on its pixel, so its size is odd; got 4"),
        ("kernels", [7, 1, 3, 3], "greater than or equal to 3"),
        ("kernels", [], "at least"),
        ("latent_maps", 0, "greater than 0"),
        ("channels", 0, "greater than"),
        ("skip", "yes", "valid boolean"),
    ],
)
def test_sizes_that_make_no_decoder_are_refused(
    name: str, field: str, value: object, why: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        MODELS[name].model_validate({"name": name, "latents": GAUSSIAN, **TINY, field: value})

    (error,) = refusal.value.errors()
    assert error["loc"][0] == field
    assert why in error["msg"]


@each_model
@pytest.mark.parametrize(("data", "kind"), [("ptb", "sentences"), ("symbols", "symbols")])
def test_an_image_model_on_other_data_is_refused(name: str, data: str, kind: str) -> None:
    trial = {
        "data": {"name": data},
        "model": {"name": name, "latents": GAUSSIAN},
        "objective": {
            "name": "kl",
            "lambda": 0.0,
            "estimator": "elbo",
            "samples": 1,
        },
        "training": {"steps": 1, "batch_size": 2, "learning_rate": 0.1},
    }

    with pytest.raises(ValidationError) as refusal:
        TrialConfig.model_validate(trial)

    (error,) = refusal.value.errors()
    assert error["loc"] == ("data", "name")
    assert error["msg"] == f"data '{data}' is {kind}, but model '{name}' reads images"
