"""Batches are normalised, and nothing is remembered of them."""

import pytest
import torch
from torch import nn

from trainables.models.statistics import statistics_kept


def test_running_statistics_stay_and_batches_are_normalised_as_usual() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.BatchNorm1d(3, momentum=0.3)))
    layers(torch.randn(8, 3))
    x = 5 + torch.randn(4, 3)
    kept = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in norms(layers)]

    with statistics_kept(layers):
        within = layers(x)

    for layer, (mean, variance) in zip(norms(layers), kept, strict=True):
        assert torch.equal(layer.running_mean, mean)
        assert torch.equal(layer.running_var, variance)
    assert torch.equal(layers(x), within)
    assert not torch.equal(norms(layers)[0].running_mean, kept[0][0])
    assert [layer.momentum for layer in norms(layers)] == [0.1, 0.3]


def test_what_goes_wrong_within_leaves_layers_as_they_were() -> None:
    layer = nn.BatchNorm1d(3)

    with pytest.raises(ValueError, match="more than 1 value"), statistics_kept(layer):
        layer(torch.zeros(1, 3))

    assert layer.momentum == 0.1


def norms(module: nn.Module) -> list[nn.BatchNorm1d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm1d)]
