"""Adversarial noise on what an encoder reads: x is still what the decoder has to explain.

    q(z | x + delta),    delta = argmax of -ELBO over a ball, ||delta|| <= epsilon

by a step or a few, for each observation by itself; the parameters are then updated on the
objective with that q. The fast gradient sign method is Goodfellow et al. (2015),
https://arxiv.org/abs/1412.6572; projected gradient descent, whose steps go back to the ball, is
Madry et al. (2018), https://arxiv.org/abs/1706.06083.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn
from torch.distributions import kl_divergence

from trainables.config import Config, Count
from trainables.models import Model
from trainables.models.encoder import Encoder
from trainables.models.model import AmortisedModel, Encoding
from trainables.models.statistics import statistics_kept

Norm = Literal["linf", "l2"]


class _Noise(Config):
    """What both have: how far noise may go, in the units of what the encoder reads.

    Of images those are pixels in [0, 1], where noisy ones stay; of text and symbols they are the
    coordinates of the embeddings. The norm is over all of an observation: `linf` is the largest
    coordinate, `l2` the Euclidean norm. With `epsilon: 0` there is no noise, and nothing is drawn.
    """

    epsilon: NonNegativeFloat
    norm: Norm = "linf"

    @abstractmethod
    def plan(self) -> "Plan":
        """Say which steps to take."""


class Fgsm(_Noise):
    """One step from x to the sphere, along the gradient, its signs for `linf`."""

    kind: Literal["fgsm"]

    def plan(self) -> "Plan":
        """Say which steps to take."""
        return Plan(steps=1, size=self.epsilon, random_start=False)


class Pgd(_Noise):
    """Several steps of `step_size`, each of them back to the ball, from a random point of it.

    Without `step_size` it is 2.5 epsilon / steps, which reaches the sphere from anywhere within
    it, as Madry et al. have it where they vary epsilon.
    """

    kind: Literal["pgd"]
    steps: Count = 5
    step_size: PositiveFloat | None = None
    random_start: bool = True

    def plan(self) -> "Plan":
        """Say which steps to take."""
        size = 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size
        return Plan(self.steps, size, self.random_start)


Adversarial = Annotated[Fgsm | Pgd, Field(discriminator="kind")]


class Plan(NamedTuple):
    """Steps of gradient ascent."""

    steps: int
    size: float
    random_start: bool


class Ball(NamedTuple):
    """The noise that is allowed: at most `epsilon` by a norm, x with it within `bounds`, if any.

    Noise is like x, `[batch, ...]`; norms are of each row.
    """

    x: Tensor
    epsilon: float
    norm: Norm
    bounds: tuple[float, float] | None = None

    def project(self, noise: Tensor) -> Tensor:
        """Give the nearest noise that is allowed; within bounds, one that is."""
        if self.norm == "linf":
            noise = noise.clamp(-self.epsilon, self.epsilon)
        else:
            length = _lengths(noise)
            noise = noise * (self.epsilon / length.clamp(min=self.epsilon))
        if self.bounds is None:
            return noise
        # x lies within its bounds, so that this makes no coordinate of the noise larger.
        low, high = self.bounds
        return torch.minimum(torch.maximum(noise, low - self.x), high - self.x)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Give the noise of norm 1 along which a loss rises most; none where it is flat."""
        if self.norm == "linf":
            return gradient.sign()
        length = _lengths(gradient)
        return gradient / length.where(length > 0, 1.0)

    def draw(self) -> Tensor:
        """Draw noise uniformly from the ball, before its bounds."""
        if self.norm == "linf":
            return self.epsilon * (2 * torch.rand_like(self.x) - 1)
        direction = self.steepest(torch.randn_like(self.x))
        radius = torch.rand_like(_lengths(self.x)) ** (1 / self.x[0].numel())
        return self.epsilon * radius * direction


def _lengths(noise: Tensor) -> Tensor:
    """Give each row's Euclidean norm, to be multiplied with the rows."""
    length = noise.flatten(1).norm(dim=1)
    return length.view(-1, *[1] * (noise.dim() - 1))


def ascend(loss: Callable[[Tensor], Tensor], ball: Ball, plan: Plan) -> Tensor:
    """Give noise in a ball that raises a loss, `[batch]`, each row of it by its own noise."""
    noise = ball.project(ball.draw()) if plan.random_start else torch.zeros_like(ball.x)
    for _ in range(plan.steps):
        with torch.enable_grad():
            point = noise.requires_grad_()
            (gradient,) = torch.autograd.grad(loss(point).sum(), point)
        noise = ball.project(noise.detach() + plan.size * ball.steepest(gradient))
    return noise


class NoisyModel(Model):
    """A model whose encoder reads noise beside x; all else is that of `base`."""

    def __init__(self, base: AmortisedModel, noise: Tensor) -> None:
        super().__init__(base.latents)
        self.base, self.noise = base, noise
        self.training = base.training

    def encode(self, x: Tensor) -> Encoding:
        """Give the parameters of q(z | x + noise), and the early features of that."""
        return self.base.encode_inputs(self.base.encoder.inputs(x) + self.noise, x)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Give ln p(x|z), of x as it is."""
        return self.base.log_likelihood(x, z)

    def new_encoder(self) -> Encoder:
        """Build another encoder of the base's kind, with parameters of its own."""
        return self.base.new_encoder()

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of the base's q(z|x)."""
        return self.base.inference_parameters()


class Attack:
    """Finds noise against the ELBO, with the KL's weight at 1 whatever the objective says.

    Each gradient is that of one fresh sample of z from torch's global generator, and of the model
    in its own mode. Running statistics of batch normalisation are those of the objective's passes.
    """

    def __init__(self, config: Fgsm | Pgd) -> None:
        self.config = config

    def perturb(self, model: Model, x: Tensor) -> Model:
        """Give the model with the noise for a batch; itself where there is to be none."""
        if self.config.epsilon == 0:
            return model
        assert isinstance(model, AmortisedModel)  # as a trial's configuration makes sure
        with torch.no_grad():
            inputs = model.encoder.inputs(x)
        ball = Ball(inputs, self.config.epsilon, self.config.norm, model.encoder.input_range)

        def loss(noise: Tensor) -> Tensor:
            q = model.latents.posterior(model.encode_inputs(inputs + noise, x).parameters)
            return kl_divergence(q, model.prior()) - model.log_likelihood(x, q.rsample((1,)))[0]

        with statistics_kept(model):
            return NoisyModel(model, ascend(loss, ball, self.config.plan()))
