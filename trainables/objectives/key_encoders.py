"""What momentum contrast remembers: a second encoder that is not trained, and a queue of keys.

He, Fan, Wu, Xie and Girshick (2020), "Momentum Contrast for Unsupervised Visual Representation
Learning", https://arxiv.org/abs/1911.05722, Section 3.2.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.models.model import AmortisedModel
from trainables.passes import encoded


class KeyEncoder(nn.Module):
    """A copy of a model's q(z|x), whose weights are buffers: kept with a state, never trained.

    It normalises every batch by the batch's own statistics, whatever the mode; it has no running
    ones, so that only `follow` ever changes it. `started` tells whether it has.
    """

    started: Tensor

    def __init__(self, model: AmortisedModel) -> None:
        super().__init__()
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.encoder = _untrained(copy.deepcopy(model.encoder))
        self.to_posterior = _untrained(copy.deepcopy(model.to_posterior))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Float[Tensor, "batch parameters"]:
        """Give the parameters of the copy's q(z|x), without gradients."""
        encoded(len(x))
        features: Tensor = self.to_posterior(self.encoder(x))
        return features

    @torch.no_grad()
    def follow(self, model: AmortisedModel, momentum: float) -> None:
        """Move each weight: key <- momentum key + (1 - momentum) model's. Eq. 2.

        The first time they become the model's, which may have been trained since it was copied.
        """
        share = 1 - momentum * self.started.double()  # no device is waited for
        for own, trained in (
            (self.encoder, model.encoder),
            (self.to_posterior, model.to_posterior),
        ):
            weights = dict(own.named_buffers())
            for name, parameter in trained.named_parameters():
                weights[name].lerp_(parameter, share.to(parameter.dtype))
        self.started.fill_(True)


def _untrained(module: nn.Module) -> nn.Module:
    """Turn all parameters within a module into buffers, and drop running statistics."""
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
    return module


class KeyQueue(nn.Module):
    """The keys of the last batches, unit vectors; the oldest make room for the newest.

    It starts as random unit vectors, so that the first `length` keys meet noise among their
    negatives. `position` is where the next key goes.
    """

    keys: Tensor
    position: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", functional.normalize(torch.randn(length, width), dim=-1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "batch width"]) -> None:
        """Write the keys in their order, going on at the start where the end is reached.

        Raises ValueError for more keys than there are places.
        """
        length = len(self.keys)
        if len(keys) > length:
            raise ValueError(f"{len(keys)} keys do not fit into a queue of {length}")
        # On the device, so that no step waits for it.
        places = self.position + torch.arange(len(keys), device=keys.device)
        self.keys.index_copy_(0, places % length, keys.detach())
        self.position.add_(len(keys)).remainder_(length)
