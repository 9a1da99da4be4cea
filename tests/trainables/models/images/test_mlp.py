"""The perceptrons of image_mlp: a product of Bernoullis, written out, that z and x reach."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from trainables.adversarial import Attack, Fgsm, NoisyModel
from trainables.data.corpus import Corpus
from trainables.data.mnist import Mnist
from trainables.models.images.mlp import ImageMlp, ImageMlpConfig, MlpEncoder, MlpEncoderConfig
from trainables.models.semi_amortised import SemiAmortisedModel
from trainables.objectives.key_encoders import KeyEncoder
from trainables.training import TrainingRun
from trainables.trial import TrialConfig

GAUSSIAN = {"kind": "gaussian", "dimensions": 2}
CATEGORICAL = {"kind": "categorical", "variables": 2, "categories": 3}
TINY = {"hidden": [5, 4, 3], "encoder": {"hidden": [4, 6]}}
K = 3
EXACT = {"rtol": 1e-12, "atol": 1e-12}

plain_or_skip = pytest.mark.parametrize("skip", [False, True], ids=["plain", "skip"])
each_kind = pytest.mark.parametrize("latents", [GAUSSIAN, CATEGORICAL], ids=["gaussian", "cat"])


def configure(**changes: Any) -> ImageMlpConfig:
    return ImageMlpConfig.model_validate({"name": "image_mlp", "latents": GAUSSIAN, **changes})


def make(shape: tuple[int, int] = (2, 3), **changes: Any) -> ImageMlp:
    torch.manual_seed(0)
    model = configure(**{**TINY, **changes}).create(2, shape).double()
    assert isinstance(model, ImageMlp)
    with torch.no_grad():
        for parameter in model.parameters():  # biases too
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def images(*shape: int) -> Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# p(x|z) ---------------------------------------------------------------------------------------


@plain_or_skip
@each_kind
def test_the_likelihood_is_a_sum_over_pixels_written_out(
    latents: dict[str, Any], skip: bool
) -> None:
    model, x = make(latents=latents, skip=skip), images(4, 2, 3)
    z = model.posterior(x).sample((K,))
    parts = {name: part.detach() for name, part in model.decoder.named_parameters()}

    assert model.log_likelihood(x, z).shape == (K, 4)
    for k, image in itertools.product(range(K), range(4)):
        given = z[k, image].flatten()
        features = (parts["first.weight"] @ given + parts["first.bias"]).tanh()
        for layer in ("layers.0", "layers.1", "last"):
            read = torch.cat([features, given]) if skip else features
            logits = parts[f"{layer}.weight"] @ read + parts[f"{layer}.bias"]
            features = logits.tanh()
        expected = 0.0
        for pixel, logit in zip(x[image].flatten().tolist(), logits.tolist(), strict=True):
            one = 1 / (1 + math.exp(-logit))
            expected += math.log(one if pixel else 1 - one)
        found = model.log_likelihood(x, z)[k, image].item()
        assert found == pytest.approx(expected, rel=1e-12)


@plain_or_skip
@each_kind
def test_the_likelihoods_of_all_images_add_up_to_one(latents: dict[str, Any], skip: bool) -> None:
    """So they do where one z stands for all of them."""
    model = make(latents=latents, skip=skip)
    pixels = itertools.product([0, 1], repeat=6)
    every = torch.tensor(list(pixels), dtype=torch.uint8).view(-1, 2, 3)

    total = model.log_likelihood(every, model.prior().sample((K, 1))).exp().sum(dim=-1)

    torch.testing.assert_close(total, torch.ones(K, dtype=torch.float64), **EXACT)


@each_kind
def test_one_z_for_all_images_is_that_z_repeated(latents: dict[str, Any]) -> None:
    model, x = make(latents=latents), images(4, 2, 3)
    z = model.prior().sample((K, 1))

    repeated = model.log_likelihood(x, z.repeat_interleave(4, dim=1))

    torch.testing.assert_close(model.log_likelihood(x, z), repeated, **EXACT)
    torch.testing.assert_close(model.log_likelihood(x[:1], z), repeated[:, :1], **EXACT)


def test_z_of_other_images_is_no_z_for_these() -> None:
    model, x = make(), images(4, 2, 3)

    with pytest.raises(RuntimeError, match="expanded size"):
        model.log_likelihood(x, model.prior().sample((K, 2)))


@pytest.mark.parametrize("n_images", [1, 2])
def test_the_likelihood_is_finite_where_a_pixel_is_as_good_as_impossible(n_images: int) -> None:
    """In either form of it; certain pixels have none of that loss."""
    model = make().float()
    nn.init.constant_(model.decoder.last.weight, 0.0)
    nn.init.constant_(model.decoder.last.bias, 2000.0)
    x = torch.zeros(n_images, 2, 3, dtype=torch.uint8)
    x[:, 0] = 1

    log_p = model.log_likelihood(x, torch.zeros(1, 1, 2))

    assert log_p.tolist() == [[-3 * 2000.0] * n_images]


def test_neither_samples_nor_images_see_one_another_in_training() -> None:
    """What DReG and VIMCO ask for: each likelihood is that of its own x and z alone."""
    model, x = make().train(), images(4, 2, 3)
    z = model.prior().sample((K, 4))

    whole = model.log_likelihood(x, z)

    for k, image in itertools.product(range(K), range(4)):
        one = slice(image, image + 1)
        alone = model.log_likelihood(x[one], z[k : k + 1, one])
        torch.testing.assert_close(whole[k : k + 1, one], alone, **EXACT)


def test_skipped_weights_of_zero_leave_the_plain_decoder() -> None:
    plain, skip, x = make(), make(skip=True), images(4, 2, 3)
    with torch.no_grad():
        for name, weight in skip.named_parameters():
            same = plain.get_parameter(name)
            if weight.dim() == 1:
                weight.copy_(same)
            else:
                weight.zero_()[:, : same.shape[1]] = same
    z = plain.prior().sample((K, 4))

    torch.testing.assert_close(skip.log_likelihood(x, z), plain.log_likelihood(x, z), **EXACT)


def test_z_reaches_every_further_layer_and_the_output_by_a_skip() -> None:
    model, x = make(skip=True), images(4, 2, 3)
    model.log_likelihood(x, model.prior().sample((K, 4))).sum().backward()

    for layer, features in ((model.decoder.layers[0], 5), (model.decoder.layers[1], 4)):
        assert layer.weight.shape[1] == features + 2
        assert layer.weight.grad[:, features:].abs().min() > 0
    assert model.decoder.last.weight.shape == (6, 3 + 2)
    assert model.decoder.last.weight.grad[:, 3:].abs().min() > 0


@plain_or_skip
def test_the_likelihood_can_be_differentiated_twice(skip: bool) -> None:
    """SA-VAE differentiates gradients in z by z and by every weight of the decoder."""
    model, x = make(skip=skip), images(3, 2, 3)
    z = model.prior().sample((2, 3)).requires_grad_()
    names, weights = zip(*model.decoder.named_parameters(prefix="decoder"), strict=True)

    def log_likelihood(z: Tensor, *weights: Tensor) -> Tensor:
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, given, (x, z))

    model.forward = model.log_likelihood  # what functional_call calls

    assert torch.autograd.gradgradcheck(log_likelihood, (z, *weights), fast_mode=True)


# q(z|x) ---------------------------------------------------------------------------------------


def test_the_posterior_is_tanh_layers_and_an_affine_one() -> None:
    model, x = make(), images(4, 2, 3)
    parts = {name: part.detach() for name, part in model.named_parameters()}

    features = x.view(4, 6).double()
    for layer in ("encoder.shared.0.0", "encoder.layers.0.0"):
        features = (features @ parts[f"{layer}.weight"].T + parts[f"{layer}.bias"]).tanh()
    expected = features @ parts["to_posterior.weight"].T + parts["to_posterior.bias"]

    torch.testing.assert_close(model.encode(x).parameters, expected, **EXACT)


@pytest.mark.parametrize("shared", [1, 2, 3])
def test_early_features_are_those_of_the_shared_layers(shared: int) -> None:
    config = MlpEncoderConfig.model_validate({"hidden": [4, 5, 6], "shared_layers": shared})
    encoder, x = MlpEncoder(config, 6), images(3, 2, 3)
    early, whole = encoder.early(x), encoder(x)

    encoder.drop_early()

    assert early.shape == (3, (4, 5, 6)[shared - 1])
    assert whole.shape == (3, encoder.width) == (3, 6)
    assert torch.equal(encoder.late(early, x), whole)
    assert len(list(encoder.parameters())) == 2 * (3 - shared)


def test_a_key_encoder_is_a_copy_of_it() -> None:
    model, x = make(), images(4, 2, 3)
    key = KeyEncoder(model)

    assert torch.equal(key(x), model.encode(x).parameters)
    assert list(key.parameters()) == []


def test_noise_leaves_its_pixels_between_zero_and_one() -> None:
    model, x = make(), images(4, 2, 3)

    noisy = Attack(Fgsm(kind="fgsm", epsilon=0.25)).perturb(model, x)

    assert isinstance(noisy, NoisyModel)
    read = model.encoder.inputs(x) + noisy.noise
    assert (read >= 0).all()
    assert (read <= 1).all()
    assert set(noisy.noise.abs().unique().tolist()) == {0.0, 0.25}


def test_its_posteriors_can_be_refined() -> None:
    refined = configure(**TINY, inference={"steps": 2}).create(2, (2, 3))
    assert isinstance(refined, SemiAmortisedModel)
    x = images(4, 2, 3)

    refined.encode(x).parameters.square().sum().backward()

    assert not torch.equal(refined.encode(x).parameters, refined.base.encode(x).parameters)
    parameters = dict(refined.named_parameters())
    without = {name for name, parameter in parameters.items() if parameter.grad is None}
    assert without <= {"base.decoder.last.bias"}


# What training starts from ----------------------------------------------------------------------


@pytest.mark.parametrize("inference", [None, {"steps": 1}])
def test_without_weights_the_start_is_the_mean_image(inference: dict[str, Any] | None) -> None:
    """Grey values are what is drawn from; pixels that never change have a little left to them."""
    grey = torch.tensor([[[0, 255, 51]], [[0, 255, 153]]], dtype=torch.uint8)
    splits = {"train": torch.ones_like(grey)}
    corpus = Corpus(splits, 2, "-", shape=(1, 3), grey=grey)
    zero, mean = (
        configure(**TINY, output_bias=bias, inference=inference).create(2, (1, 3))
        for bias in ("zero", "mean_image")
    )
    for model in (zero, mean):
        model.start_from(corpus)

    assert not any(p.any() for n, p in zero.named_parameters() if n.endswith("bias"))
    (bias,) = [p for n, p in mean.named_parameters() if n.endswith("decoder.last.bias")]
    torch.testing.assert_close(bias.sigmoid(), torch.tensor([0.001, 0.999, 0.4]))


def test_a_run_starts_from_its_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    train = images(1500, 2, 3)
    corpus = Corpus(dict.fromkeys(("train", "validation"), train), 2, "-", shape=(2, 3))
    monkeypatch.setattr(Mnist, "load", lambda self, root: corpus)
    trial = {
        "data": {"name": "mnist"},
        "model": {"name": "image_mlp", "latents": GAUSSIAN, **TINY},
        "objective": {"name": "vae"},
        "training": {"steps": 1, "batch_size": 1, "learning_rate": 0.1},
    }

    run = TrainingRun(TrialConfig.model_validate(trial), 0, data_root=Path("/nonexistent"))

    expected = train.double().mean(dim=0).flatten()
    bias = run.model.get_parameter("decoder.last.bias")
    torch.testing.assert_close(bias.sigmoid().double(), expected, rtol=1e-6, atol=0)


# Sizes ----------------------------------------------------------------------------------------


@plain_or_skip
@each_kind
def test_every_parameter_gets_a_gradient(latents: dict[str, Any], skip: bool) -> None:
    model, x = make(latents=latents, skip=skip), images(5, 2, 3)
    q = model.posterior(x)
    z = q.sample((K,))

    (model.log_likelihood(x, z) + q.log_prob(z)).sum().backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_sizes_are_those_of_the_dreg_experiments_by_default() -> None:
    latents = {"kind": "gaussian", "dimensions": 50}
    each_way = 785 * 200 + 201 * 200 + 201 * 100, 51 * 200 + 201 * 200 + 201 * 784
    joined = 50 * 200 + 50 * 784

    assert n_parameters(configure(latents=latents).create(2, (28, 28))) == sum(each_way)
    skip = configure(latents=latents, skip=True).create(2, (28, 28))
    assert n_parameters(skip) == sum(each_way) + joined


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 4)])
def test_images_of_any_sides_have_their_own_number_of_logits(shape: tuple[int, int]) -> None:
    model, x = make(shape), images(3, *shape)

    assert model.decoder(torch.zeros(K, 3, 2, dtype=torch.float64)).shape == (
        K,
        3,
        shape[0] * shape[1],
    )
    assert model.log_likelihood(x, model.posterior(x).sample((K,))).shape == (K, 3)


def test_weights_are_drawn_as_glorot_and_bengio_have_it() -> None:
    torch.manual_seed(0)
    model = configure().create(2, (28, 28))

    weight = model.get_parameter("decoder.last.weight")
    bound = math.sqrt(6 / (200 + 784))
    assert 0.999 * bound < weight.abs().max() <= bound
    assert not any(p.any() for n, p in model.named_parameters() if n.endswith("bias"))


@pytest.mark.parametrize(
    ("vocabulary", "shape", "why"),
    [
        (256, (28, 28), "pixels are zero or one, so vocabulary is 2; got vocabulary=256"),
        (2, (), r"an image has a height and a width; got shape=\(\)"),
    ],
)
def test_a_corpus_that_does_not_fit_is_refused(
    vocabulary: int, shape: tuple[int, ...], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        configure().create(vocabulary, shape)


@pytest.mark.parametrize(
    ("changes", "where", "why"),
    [
        ({"hidden": []}, ("hidden",), "at least 1 item"),
        ({"hidden": [200, 0]}, ("hidden", 1), "greater than 0"),
        ({"hidden": 200}, ("hidden",), "valid tuple"),
        ({"skip": "yes"}, ("skip",), "valid boolean"),
        ({"output_bias": "mean"}, ("output_bias",), "'mean_image' or 'zero'"),
        (
            {"encoder": {"hidden": [9], "shared_layers": 2}},
            ("encoder", "shared_layers"),
            "2 layers cannot be shared where there are 1",
        ),
        ({"encoder": {"hidden": []}}, ("encoder", "hidden"), "at least 1 item"),
    ],
)
def test_sizes_that_make_no_model_are_refused(
    changes: dict[str, Any], where: tuple[object, ...], why: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        configure(**changes)

    (error,) = refusal.value.errors()
    assert error["loc"] == where
    assert why in error["msg"]
