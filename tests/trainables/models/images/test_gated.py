"""The gated decoder: no blind spot, and written out as its paper has it."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.models.images.gated import GatedDecoder, ResNetGatedConfig


def make(shape: tuple[int, int] = (28, 28), **changes: Any) -> GatedDecoder:
    torch.manual_seed(0)
    latents = {"kind": "gaussian", "dimensions": 32}
    config = ResNetGatedConfig.model_validate(
        {"name": "resnet_gated", "latents": latents, **changes}
    )
    return config.new_decoder(shape)


def seen(decoder: GatedDecoder, shape: tuple[int, int], place: tuple[int, int]) -> Tensor:
    """Which pixels the logit at `place` depends on, in row-major order."""
    pixels = torch.rand(1, 1, *shape, dtype=torch.float64).requires_grad_()
    logits = decoder.logits(decoder.read(pixels), torch.randn(1, 1, 32, dtype=torch.float64))
    (slope,) = torch.autograd.grad(logits[0, 0, *place], pixels)
    return (slope != 0).flatten()


def test_the_middle_pixel_sees_all_406_before_it() -> None:
    reach = seen(make().double(), (28, 28), (14, 14))

    assert reach[:406].all()
    assert not reach[406:].any()


def test_every_pixel_sees_all_before_it() -> None:
    """Where kernels reach the image's width together."""
    decoder = make((7, 6), channels=2, kernels=[5, 3, 3, 3]).double()

    for place in range(7 * 6):
        reach = seen(decoder, (7, 6), divmod(place, 6))
        assert reach[:place].all()
        assert not reach[place:].any()


@pytest.mark.parametrize("skip", [False, True])
def test_the_first_pixel_sees_z_only_through_skipped_maps(skip: bool) -> None:
    decoder = make((7, 6), channels=2, kernels=[5, 3, 3], skip=skip).double()
    z = torch.randn(1, 1, 32, dtype=torch.float64).requires_grad_()
    pixels = torch.rand(1, 1, 7, 6, dtype=torch.float64)

    first, second = decoder.logits(decoder.read(pixels), z).flatten()[:2]
    of_first, of_second = (
        torch.autograd.grad(logit, z, retain_graph=True)[0].any() for logit in (first, second)
    )

    assert of_first == skip
    assert of_second


def test_the_sizes_are_those_of_sa_vae_by_default() -> None:
    decoder = make()
    layers = [decoder.first, *decoder.layers]

    sizes = [layer.vertical.kernel_size for layer in layers]
    assert sizes == [(5, 9)] * 3 + [(4, 7)] * 3 + [(3, 5)] * 3 + [(2, 3)] * 3
    assert {layer.out.out_channels for layer in layers} == {32}
    assert decoder.maps[0].shape == (4, 28, 28)
    assert sum(p.numel() for p in decoder.parameters()) == 744_801


@pytest.mark.parametrize("skip", [False, True])
def test_the_logits_equal_ones_written_out(skip: bool) -> None:
    """tanh times sigmoid of both stacks; the vertical one tells the horizontal one."""
    decoder = make((4, 5), channels=3, kernels=[5, 3, 3], latent_maps=2, skip=skip).double()
    x = torch.rand(3, 1, 4, 5, dtype=torch.float64)
    z = torch.randn(2, 3, 32, dtype=torch.float64)
    maps = [m(z).flatten(0, 1) for m in decoder.maps]

    down = right = torch.cat([x.repeat(2, 1, 1, 1), maps[0]], dim=1)
    for number, layer in enumerate([decoder.first, *decoder.layers]):
        first, kept = number == 0, right
        if skip and not first:
            down, right = (torch.cat([part, maps[number]], dim=1) for part in (down, right))
        half, shift = layer.vertical.kernel_size[1] // 2, 1 if first else 0
        above = functional.pad(down, (half, half, half + shift, 0))[:, :, : 4 + half]
        before = functional.pad(right, (half + shift, 0, 0, 0))[:, :, :, : 5 + half]
        vertical = functional.conv2d(above, layer.vertical.weight, layer.vertical.bias)
        horizontal = functional.conv2d(before, layer.horizontal.weight, layer.horizontal.bias)
        horizontal = horizontal + layer.vertical_to_horizontal(vertical)
        down = vertical[:, :3].tanh() * vertical[:, 3:].sigmoid()
        right = layer.out(horizontal[:, :3].tanh() * horizontal[:, 3:].sigmoid())
        if not first:
            right = right + kept
            if skip:
                right = right + layer.maps_to_out(maps[number])
    if skip:
        right = torch.cat([right, maps[-1]], dim=1)
    expected = decoder.last(right).view(2, 3, 4, 5)

    torch.testing.assert_close(decoder.logits(decoder.read(x), z), expected)


def test_maps_are_drawn_as_published() -> None:
    weight = make().maps[0].linear.weight

    std = math.sqrt(2 / 32)
    assert weight.std().item() == pytest.approx(std, abs=5 * std / math.sqrt(2 * weight.numel()))
