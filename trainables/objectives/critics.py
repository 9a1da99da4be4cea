"""Inference critics: the ELBO and a contrast that keeps the latents telling of the data.

    L = ELBO + lambda c,    c = mean_i ln( exp f0(x_i, z_i) / sum_j exp f0(x_j, z_i) )

over a batch of B observations with one sample z_i of q(z|x_i) each. f0 is the critic, and all
parameters, the critic's too, are raised on the same L. I_q(x; z) >= E[c] + ln B, so no batch can
show more than ln B nats. Where q(z|x) is the prior for every x, the self critic has c = -ln B, and
any critic E[c] <= -ln B with equality where its scores do not depend on x. Menon, Blei and
Vondrick (2022), "Forget-me-not! Contrastive Critics for Mitigating Posterior Collapse", Eqs. 6
and 7, Algorithm 1.
"""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from trainables.models import Model
from trainables.objectives.critic_networks import HeadsConfig, Pairs, SelfCritic, SeparableCritic
from trainables.objectives.objective import ObjectiveOutput
from trainables.objectives.vae import WeightedElboConfig, WeightedElboObjective

Over = Literal["x", "z", "both"]


def contrast(scores: Pairs, over: Over = "x") -> Tensor:
    """Give c, the mean log-probability of the pairs that belong together; a scalar <= 0.

    For each z the softmax goes over the x of the batch, which is the published form; over z it
    goes over the z of the batch for each x; `both` is the mean of the two. c + ln B is the InfoNCE
    bound of the mutual information (van den Oord et al., 2018, https://arxiv.org/abs/1807.03748)
    in each case. One row has nothing to be told from: c = 0.
    """
    match over:
        case "x":
            return scores.log_softmax(dim=1).diagonal().mean()
        case "z":
            return scores.log_softmax(dim=0).diagonal().mean()
        case "both":
            return (contrast(scores, "x") + contrast(scores, "z")) / 2


class _Critic(WeightedElboConfig):
    """What critics share.

    `lambda` defaults to that of Eq. (7). The text of the paper gives no other value; a
    re-implementation (abhijithasokan/forget-me-not-vae) takes 40 for text and 20 for images.
    """

    least_batch: ClassVar[int] = 2

    lambda_: NonNegativeFloat = Field(default=1.0, alias="lambda")
    over: Over = "x"

    @abstractmethod
    def critic(self, model: Model | None) -> nn.Module:
        """Build f0."""

    def create(self, model: Model | None = None) -> "CriticObjective":
        """Build the objective, with the critic's networks where it has any.

        Raises `ValueError` where these need a model and none is given.
        """
        return CriticObjective(self, self.critic(model))


class CriticSelf(_Critic):
    """ELBO + lambda c with f0 = ln q(z|x) / temperature, which has no parameters of its own.

    At temperature 1, c + ln B is the mutual information that He et al. (2019) measure in batches,
    but for the entropy of q(z|x), which is sampled here.
    """

    name: Literal["critic_self"]
    temperature: PositiveFloat = 1.0

    def critic(self, model: Model | None) -> SelfCritic:  # noqa: ARG002
        """Build f0."""
        return SelfCritic(self.temperature)


class _Separable(_Critic, HeadsConfig):
    """What critics with networks share: the heads' sizes and the temperature.

    The paper's text gives neither; these are the sizes of the re-implementation, and the
    temperature at which its scale starts. Here the scale is learnt as a logarithm.
    """

    hybrid: ClassVar[bool]

    name: str
    temperature: PositiveFloat = 0.07
    learn_temperature: bool = True

    def critic(self, model: Model | None) -> SeparableCritic:
        """Build f0."""
        if model is None:
            raise ValueError(
                f"{self.name} has an encoder of its model's kind; create it for a model"
            )
        return SeparableCritic(
            model,
            self,
            hybrid=self.hybrid,
            temperature=self.temperature,
            learn_temperature=self.learn_temperature,
        )


class CriticNeural(_Separable):
    """ELBO + lambda c with f0 = a(x).b(z) / temperature from networks of its own."""

    hybrid: ClassVar[bool] = False

    name: Literal["critic_neural"]


class CriticHybrid(_Separable):
    """As critic_neural, but on the early features of the model's encoder, which c trains too."""

    hybrid: ClassVar[bool] = True

    name: Literal["critic_hybrid"]


class CriticObjective(WeightedElboObjective):
    """The weighted ELBO and a critic's contrast, from one sample of z for each observation."""

    def __init__(self, config: _Critic, critic: nn.Module) -> None:
        super().__init__(config)
        self.config, self.critic = config, critic

    def forward(self, model: Model, x: Tensor) -> ObjectiveOutput:
        """Estimate -L, averaged over the batch, from one pass of the encoder.

        Beside those of the ELBO, metrics are `critic`, c; `information_bound`, c + ln B, which
        says little once it is near `information_ceiling`, ln B; and `temperature`.
        """
        encoding = model.encode(x)
        q = model.latents.posterior(encoding.parameters)
        z = q.rsample((1,))
        elbo, metrics = self.weighted_elbo(model, x, q, z)
        c = contrast(self.critic(model, x, encoding, z[0]), self.config.over)
        value = elbo + self.config.lambda_ * c
        ceiling = math.log(len(x))
        metrics |= {
            "critic": c.detach(),
            "information_bound": c.detach() + ceiling,
            "information_ceiling": c.new_full((), ceiling),
            "temperature": torch.as_tensor(self.critic.temperature).detach(),
        }
        return ObjectiveOutput(-value, {"objective": value.detach(), **metrics})
