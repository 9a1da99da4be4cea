"""The masked decoder: the published one by count and by what it sees, and written out."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from trainables.models.images.masked import MaskedConv, MaskedDecoder, ResNetMaskedConfig


def make(shape: tuple[int, int] = (28, 28), **changes: Any) -> MaskedDecoder:
    torch.manual_seed(0)
    latents = {"kind": "gaussian", "dimensions": 32}
    config = ResNetMaskedConfig.model_validate(
        {"name": "resnet_masked", "latents": latents, **changes}
    )
    return config.new_decoder(shape)


def full_mask(kernel: int, *, own: bool) -> Tensor:
    seen = torch.zeros(kernel, kernel, dtype=torch.float64)
    seen.view(-1)[: kernel**2 // 2 + own] = 1
    return seen


def test_the_published_decoder_has_its_parameters() -> None:
    assert sum(p.numel() for p in make().parameters()) == 894_400


def test_the_middle_pixel_sees_384_of_the_406_before_it() -> None:
    decoder = make().double().eval()
    pixels = torch.rand(1, 1, 28, 28, dtype=torch.float64).requires_grad_()

    logits = decoder.logits(decoder.read(pixels), torch.randn(1, 1, 32, dtype=torch.float64))
    (slope,) = torch.autograd.grad(logits[0, 0, 14, 14], pixels)

    seen = (slope != 0).flatten()
    assert (seen[:406].sum(), seen[406:].sum()) == (384, 0)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_masked_convolution_is_one_with_a_masked_kernel(kernel: int) -> None:
    conv = MaskedConv(3, 2, kernel, own=True).double()
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    weight = conv.weight * full_mask(kernel, own=True)

    torch.testing.assert_close(conv(x), functional.conv2d(x, weight, padding=kernel // 2))


def test_maps_are_seen_whole_beside_a_masked_image() -> None:
    conv = MaskedConv(1, 2, 5, own=False, unmasked=3).double()
    image, maps = torch.randn(2, 4, 6, 7, dtype=torch.float64).split([1, 3], dim=1)
    mask = torch.cat([full_mask(5, own=False)[None], torch.ones(3, 5, 5).double()])
    expected = functional.conv2d(torch.cat([image, maps], dim=1), conv.weight * mask, padding=2)

    torch.testing.assert_close(conv(image) + conv.unmasked(maps), expected)


@pytest.mark.parametrize("n_layers", [3, 4, 6])
@pytest.mark.parametrize("skip", [False, True])
def test_skip_paths_lead_over_three_layers(n_layers: int, skip: bool) -> None:
    """Blocks written out: each reads the one before and, through a path, that three before."""
    kernels = [5, 3, 7, 3, 5, 3][:n_layers]
    decoder = make((4, 5), channels=6, kernels=kernels, latent_maps=2, skip=skip).double()
    x = torch.rand(3, 1, 4, 5, dtype=torch.float64)
    z = torch.randn(2, 3, 32, dtype=torch.float64)
    read = decoder.read(x)
    maps = [m(z).flatten(0, 1) for m in decoder.maps]
    joined = iter(maps[1:])

    def with_maps(features: Tensor) -> Tensor:
        return torch.cat([features, next(joined)], dim=1) if skip else features

    convolved = decoder.first.unmasked(maps[0]) + read.repeat(2, 1, 1, 1)
    outputs = [decoder.after_first(convolved)]
    for layer in range(1, n_layers):
        features = outputs[layer - 1]
        if layer >= 3:
            features = features + decoder.paths[layer - 3](outputs[layer - 3])
        outputs.append(decoder.blocks[layer - 1](with_maps(features)))
    features = outputs[-1] + decoder.paths[n_layers - 3](outputs[n_layers - 3])
    expected = decoder.last(decoder.before_last(with_maps(features))).view(2, 3, 4, 5)

    assert len(decoder.paths) == n_layers - 2
    for path, kernel in zip(decoder.paths, kernels[1:-1], strict=True):
        assert path.main[3].kernel_size == (kernel, kernel)
    torch.testing.assert_close(decoder.logits(read, z), expected)


def test_a_block_is_a_bottleneck_beside_a_shortcut() -> None:
    block = make((4, 5), channels=6).double().blocks[0]
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)

    torch.testing.assert_close(block(x), functional.elu(block.main(x) + x))
    widths = [m.weight.shape[:2] for m in block.main if isinstance(m, nn.Conv2d)]
    assert widths == [(3, 6), (3, 3), (6, 3)]


def test_weights_are_drawn_as_published() -> None:
    decoder = make()
    convolutions = {name: m for name, m in decoder.named_modules() if isinstance(m, nn.Conv2d)}

    for name, conv in convolutions.items():
        std = math.sqrt(2 / (math.prod(conv.kernel_size) * conv.out_channels))
        if name in ("before_last", "last.2"):  # torch's own: U(-b, b), b = 1 / sqrt(inputs)
            std = 1 / math.sqrt(3 * conv.in_channels)
        standard_error = std / math.sqrt(2 * conv.weight.numel())
        assert conv.weight.std().item() == pytest.approx(std, abs=5 * standard_error), name
        assert conv.bias is None
    assert len(convolutions) == 1 + 3 * (12 + 11) + 2
    linear = decoder.maps[0].linear
    bound = math.sqrt(6 / (32 + 4 * 28 * 28))  # Xavier
    assert 0.99 * bound < linear.weight.abs().max() <= bound
    assert (linear.bias == 0).all()


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("channels", 5, "multiple of 2"),
        ("kernels", [3, 3], "at least 3 items"),
    ],
)
def test_sizes_that_make_no_decoder_are_refused(field: str, value: object, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        make(**{field: value})
