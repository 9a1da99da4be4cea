"""What training spends, counted where it is spent and for each observation by itself.

Networks tell of their passes, and whoever trains says who counts them: nobody does elsewhere, so
that evaluation and validation cost nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch


class Passes:
    """Counts of what was spent so far; they are plain numbers, for which no device is waited.

    An `encoder` pass is one observation read by one encoder: the model's, a key encoder or a
    critic's. A `decoder` pass is one sample z of one observation scored. `gradients` counts the
    samples whose gradient was taken: decoder passes that are differentiated, and observations
    whose labels an encoder is trained on without a decoder.
    """

    def __init__(self, gradients: int = 0, encoder: int = 0, decoder: int = 0) -> None:
        self.gradients, self.encoder, self.decoder = gradients, encoder, decoder

    def figures(self) -> dict[str, int]:
        """Give the counts as figures of a stored row."""
        return {
            "gradient_evaluations": self.gradients,
            "encoder_passes": self.encoder,
            "decoder_passes": self.decoder,
        }

    def state_dict(self) -> dict[str, int]:
        """Give the counts by the names that the constructor takes them by."""
        return {"gradients": self.gradients, "encoder": self.encoder, "decoder": self.decoder}


_counting: ContextVar[Passes | None] = ContextVar("counting", default=None)


@contextmanager
def counted(passes: Passes | None) -> Iterator[None]:
    """Let `passes`, if any, count what is told meanwhile."""
    before = _counting.set(passes)
    try:
        yield
    finally:
        _counting.reset(before)


def encoded(observations: int) -> None:
    """Tell that an encoder reads so many observations."""
    passes = _counting.get()
    if passes is not None:
        passes.encoder += observations


def decoded(samples: int) -> None:
    """Tell that a decoder scores so many samples, over all observations of a batch.

    They are differentiated wherever gradients are enabled.
    """
    passes = _counting.get()
    if passes is not None:
        passes.decoder += samples
        if torch.is_grad_enabled():
            passes.gradients += samples


def differentiated(observations: int) -> None:
    """Tell that a loss of so many observations that needs no decoder is differentiated."""
    passes = _counting.get()
    if passes is not None:
        passes.gradients += observations
