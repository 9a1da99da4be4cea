"""The residual encoder: the published one by count, in two parts, for images of any size."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from trainables.models.images.encoder import ResNetConfig, ResNetEncoder
from trainables.models.images.masked import ResNetMaskedConfig
from trainables.models.images.model import ImageModel

SMALL = {"channels": 2, "hidden": 3}


def images(*shape: int) -> torch.Tensor:
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def published() -> ImageModel:
    torch.manual_seed(0)
    latents = {"kind": "gaussian", "dimensions": 32}
    return ResNetMaskedConfig.model_validate({"name": "resnet_masked", "latents": latents}).build(
        2, (28, 28)
    )


def test_the_published_encoder_has_its_parameters() -> None:
    model = published()

    assert sum(p.numel() for p in model.inference_parameters()) == 752_448
    assert model.encoder.last[0].kernel_size == (4, 4)
    assert model.to_posterior.weight.shape == (64, 512)


def test_weights_are_drawn_as_published() -> None:
    model = published()
    convolutions = [m for m in model.encoder.modules() if isinstance(m, nn.Conv2d)]

    for conv in convolutions:
        std = math.sqrt(2 / (math.prod(conv.kernel_size) * conv.out_channels))
        standard_error = std / math.sqrt(2 * conv.weight.numel())
        assert conv.weight.std().item() == pytest.approx(std, abs=5 * standard_error)
        assert conv.bias is None
    assert len(convolutions) == 10
    bound = math.sqrt(6 / (512 + 64))  # Xavier
    assert 0.99 * bound < model.to_posterior.weight.abs().max() <= bound
    assert (model.to_posterior.bias == 0).all()


@pytest.mark.parametrize("shared", [1, 2, 3])
def test_the_early_part_is_the_shared_blocks(shared: int) -> None:
    config = ResNetConfig.model_validate({**SMALL, "shared_blocks": shared})
    encoder = ResNetEncoder(config, (28, 28)).eval()
    x = images(4, 28, 28)
    side = {1: 14, 2: 7, 3: 4}[shared]

    early = encoder.early(x)

    assert early.shape == (4, 2, side, side)
    torch.testing.assert_close(encoder.late(early, x), encoder(x))


def test_the_late_part_needs_no_shared_block() -> None:
    encoder = ResNetEncoder(ResNetConfig.model_validate(SMALL), (28, 28)).eval()
    x = images(2, 28, 28)
    early = encoder.early(x).detach()

    encoder.late(early, x).sum().backward()

    reached = [
        [all(p.grad is not None for p in block.parameters()) for block in blocks]
        for blocks in (encoder.shared, encoder.blocks)
    ]
    assert reached == [[False, False], [True]]


@pytest.mark.parametrize(
    ("shape", "blocks", "left"),
    [
        ((28, 28), 3, (4, 4)),
        ((5, 9), 3, (1, 2)),
        ((2, 3), 1, (1, 2)),
        ((3, 3), 2, (1, 1)),
        ((28, 14), 2, (7, 4)),
    ],
)
def test_the_last_convolution_covers_what_is_left(
    shape: tuple[int, int], blocks: int, left: tuple[int, int]
) -> None:
    config = ResNetConfig.model_validate({**SMALL, "blocks": blocks, "shared_blocks": 1})
    encoder = ResNetEncoder(config, shape)

    assert encoder.last[0].kernel_size == left
    assert encoder(images(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize(
    ("shape", "blocks", "allowed"), [((4, 28), 3, 2), ((28, 2), 3, 1), ((1, 1), 1, 0)]
)
def test_images_that_are_too_small_are_refused(
    shape: tuple[int, int], blocks: int, allowed: int
) -> None:
    config = ResNetConfig.model_validate({**SMALL, "blocks": blocks, "shared_blocks": 1})

    with pytest.raises(ValueError, match=rf"too small for {blocks} .* they allow {allowed}$"):
        ResNetEncoder(config, shape)
    if allowed:
        fewer = ResNetConfig.model_validate({**SMALL, "blocks": allowed, "shared_blocks": 1})
        assert ResNetEncoder(fewer, shape).width == 3


def test_a_single_image_is_refused_in_training_alone() -> None:
    encoder = ResNetEncoder(ResNetConfig.model_validate(SMALL), (28, 28))

    with pytest.raises(ValueError, match="two images or more to train on; got a batch of 1"):
        encoder(images(1, 28, 28))
    assert encoder.eval()(images(1, 28, 28)).shape == (1, 3)


@pytest.mark.parametrize(
    ("sizes", "where", "why"),
    [
        ({"blocks": 1}, "shared_blocks", "2 blocks cannot be shared where there are 1"),
        ({"shared_blocks": 4}, "shared_blocks", "4 blocks cannot be shared where there are 3"),
        ({"shared_blocks": 0}, "shared_blocks", "greater than 0"),
        ({"blocks": 31}, "blocks", "less than or equal to 30"),
        ({"channels": 0}, "channels", "greater than 0"),
    ],
)
def test_sizes_that_make_no_encoder_are_refused(
    sizes: dict[str, Any], where: str, why: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        ResNetConfig.model_validate(sizes)

    (error,) = refusal.value.errors()
    assert error["loc"] == (where,)
    assert why in error["msg"]
