"""Semi-amortised inference: an encoder's q(z|x), refined for each observation by a few steps.

Kim, Wiseman, Miller, Sontag and Rush (2018), "Semi-Amortized Variational Autoencoders",
https://arxiv.org/abs/1802.02550, Algorithm 1.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.distributions import kl_divergence

from trainables.config import Config, Count, Momentum
from trainables.data.corpus import Corpus
from trainables.models.encoder import Encoder
from trainables.models.model import Encoding, Model
from trainables.models.statistics import statistics_kept
from trainables.models.vocabulary import second_derivatives


class SemiAmortised(Config):
    """Gradient steps with momentum on each observation's own -ELBO.

    The published steps are on the mean over a batch of B with learning rate 1, and clip the norm
    of the whole batch's gradient to 5. Here each observation is on its own, so that its q(z|x)
    does not depend on its company: the same step has learning rate 1 / B, and among B gradients
    of like norms the same clipping is to 5 sqrt(B) each. The defaults are those for the text
    models' B = 32; the image models' B = 50 has 0.02 and 35.

    Gradients of means and of log-variances are clipped apart, as published.
    """

    steps: Count = 20
    learning_rate: PositiveFloat = 1 / 32
    momentum: Momentum = 0.5
    clip_norm: PositiveFloat | None = 28.0


class SemiAmortisedModel(Model):
    """A model whose q(z|x) starts at another's and takes some steps up the ELBO.

    With lambda the means and log-variances of q, v = 0 at first, and each step

        v <- m v - g,  lambda <- lambda + eta v,    g = d(-ELBO)/d lambda, clipped,

    where the ELBO is that of one fresh sample of z, with the KL in closed form and weight 1:
    whatever an objective weighs the KL with, q is drawn to the posterior.

    What is made of the refined q is differentiated exactly, through all steps, in the encoder's
    and the decoder's parameters; only the factor of a clipped gradient counts as a constant. So
    all steps' graphs are in memory at once. Without gradients (`torch.no_grad`) the steps are the
    same, one graph at a time.

    Steps draw from torch's global generator. In training mode they see dropout, with masks of
    their own. Batch normalisation in a decoder lets rows see one another in that mode; its running
    statistics are those of the objective's own passes, for steps that do not yet fit the data
    would soon outnumber them.
    """

    def __init__(self, base: Model, config: SemiAmortised) -> None:
        super().__init__(base.latents)
        self.base = base
        self.config = config

    def encode(self, x: Tensor) -> Encoding:
        """Give the refined parameters of q(z|x), and the base's early features."""
        early, start = self.base.encode(x)
        return Encoding(early, self.refine(x, start))

    def refine(
        self, x: Tensor, start: Float[Tensor, "batch parameters"]
    ) -> Float[Tensor, "batch parameters"]:
        """Take all steps from the parameters `start`, each row by itself as the model lets it."""
        differentiable = torch.is_grad_enabled()
        point, velocity = start, torch.zeros_like(start)
        for _ in range(self.config.steps):
            slope = self._slope(x, point, differentiable=differentiable)
            velocity = self.config.momentum * velocity - self._clip(slope)
            point = point + self.config.learning_rate * velocity
        return point

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Give ln p(x|z), the base's."""
        return self.base.log_likelihood(x, z)

    def start_from(self, corpus: Corpus) -> None:
        """Let the base's parameters start at what the training data say."""
        self.base.start_from(corpus)

    def new_encoder(self) -> Encoder:
        """Build another encoder of the base's kind, with parameters of its own."""
        return self.base.new_encoder()

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of the base's q(z|x), where the steps start."""
        return self.base.inference_parameters()

    def _slope(self, x: Tensor, point: Tensor, *, differentiable: bool) -> Tensor:
        """Give d(-ELBO)/d(parameters) of every row at `point`, from one sample of z."""
        if not (differentiable and point.requires_grad):
            point = point.detach().requires_grad_()
        derivatives = second_derivatives() if differentiable else nullcontext()
        with torch.enable_grad(), derivatives, statistics_kept(self.base):
            q = self.latents.posterior(point)
            (log_p,) = self.base.log_likelihood(x, q.rsample((1,)))
            loss = kl_divergence(q, self.prior()) - log_p
            # Rows do not depend on one another, so the gradient of the sum is each one's own.
            (slope,) = torch.autograd.grad(loss.sum(), point, create_graph=differentiable)
        return slope

    def _clip(self, slope: Tensor) -> Tensor:
        """Shrink each row's gradients, of means and of log-variances, to the norm allowed."""
        limit = self.config.clip_norm
        if limit is None:
            return slope
        parts = slope.reshape(len(slope), 2, -1)
        norm = parts.detach().norm(dim=-1, keepdim=True)
        # No division by a norm of zero; and a factor of one leaves every bit as it was.
        factor = limit / norm.clamp(min=limit)
        return (parts * factor).flatten(-2)
