"""CR-VAE: the ELBO and a contrast between two augmented views of an image.

    L = ELBO - gamma InfoNCE,
    InfoNCE = -mean_i ln( exp(q_i.k_i / T) / (exp(q_i.k_i / T) + sum_n exp(q_i.k_n / T)) )

q_i is the normalised z of a view of x_i, k_i that of another view by the key encoder, and k_n are
K negatives: the keys of the other images of the batch, or those of a queue. ln(K+1) - InfoNCE is a
lower bound of the information that the z of one view has of the z of the other, hence of what z
has of its view. It is none of I_q(x; z): that is of the images themselves, and larger or smaller.
With a queue it holds as far as the keys of earlier encoders are like those of now.

Lygerakis and Rueckert (2023), "CR-VAE: Contrastive Regularization on Variational Autoencoders for
Preventing Posterior Collapse"; the first author's code is https://github.com/ligerfotis/crvae.
"""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional

from trainables.augmentation import DEFAULT, AnyAugmentation, view
from trainables.config import Config, Count, Momentum
from trainables.models import Model, ModelConfig
from trainables.models.model import AmortisedModel
from trainables.models.statistics import statistics_kept
from trainables.objectives.critics import contrast
from trainables.objectives.key_encoders import KeyEncoder, KeyQueue
from trainables.objectives.objective import ObjectiveOutput
from trainables.objectives.vae import WeightedElboConfig, WeightedElboObjective


class Ema(Config):
    """Keys come from a moving average of the encoder, moved just before each use of it."""

    kind: Literal["ema"]
    momentum: Momentum = 0.99


class Shared(Config):
    """Keys come from the encoder itself, which learns through queries and keys alike."""

    kind: Literal["shared"]


class Frozen(Config):
    """Keys come from the encoder as it was drawn at random, for good."""

    kind: Literal["frozen"]


class FromBatch(Config):
    """Negatives are the keys of the other images of the batch: K = B - 1."""

    kind: Literal["batch"]


class FromQueue(Config):
    """Negatives are the keys of the last batches before this one: K = `length`."""

    kind: Literal["queue"]
    length: Count = 4096


Key = Annotated[Ema | Shared | Frozen, Field(discriminator="kind")]
Negatives = Annotated[FromBatch | FromQueue, Field(discriminator="kind")]


class CrVae(WeightedElboConfig):
    """ELBO - gamma InfoNCE between two augmented views of each image.

    Gamma, temperature and momentum default to those of the authors' code. Its negatives are a
    queue of 4096, which not every batch size divides; here they are the batch's unless a queue is
    asked for. Its crops are as small as 8 % and it mirrors, which makes other digits and letters.

    `target` is the image that the ELBO is of. The code has the first view, `augmented`, so that
    the decoder learns the distribution of views. Here it is the `clean` image unless the file says
    otherwise: NLL is measured on such, and gamma = 0 is the plain VAE. Either way the contrast is
    between two views. `contrast_on` tells whether it is on a `sample` of z, as in that code, or on
    the `mean` of q; there is no projection head.
    """

    least_batch: ClassVar[int] = 2
    augments: ClassVar[bool] = True

    name: Literal["cr_vae"]
    gamma: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 0.1
    key: Key = Ema(kind="ema")
    negatives: Negatives = FromBatch(kind="batch")
    target: Literal["clean", "augmented"] = "clean"
    contrast_on: Literal["sample", "mean"] = "sample"
    augmentations: Annotated[tuple[AnyAugmentation, ...], Field(strict=False)] = DEFAULT

    def refuses_model(self, model: ModelConfig) -> str | None:
        """Say that only images are augmented, and that a key encoder cannot refine its q(z|x)."""
        if model.reads != "images":
            return (
                f"objective {self.name} augments images, but model {model.name} reads "
                f"{model.reads}; use objective vae or a critic"
            )
        if model.inference is not None:
            return (
                f"objective {self.name} has a key encoder without a decoder to refine its "
                "q(z|x) by; remove inference from the model"
            )
        return super().refuses_model(model)

    def refuses_batches(self, batch_size: int, n_observations: int | None) -> str | None:
        """Say that a queue does not go with batches of this size, or with so little data."""
        if not isinstance(self.negatives, FromQueue):
            return None
        length = self.negatives.length
        if length % batch_size:
            fits = max(1, round(length / batch_size)) * batch_size
            return (
                f"a queue of {length} keys is not filled by whole batches of {batch_size}; use "
                f"a length of {fits}"
            )
        if n_observations is not None and length > n_observations:
            return (
                f"a queue of {length} keys holds each of {n_observations} training images more "
                "than once, so that images become their own negatives; use a length of "
                f"{n_observations // batch_size * batch_size or batch_size}, or negatives: batch"
            )
        return None

    def create(self, model: Model | None = None) -> "CrVaeObjective":
        """Build the objective, with the key encoder as the model's is now.

        Raises `ValueError` without a model, and for one whose q(z|x) is not an encoder's alone.
        """
        if not isinstance(model, AmortisedModel):
            raise ValueError(
                f"{self.name} has a key encoder of its model's kind; create it for a model whose "
                "q(z|x) comes from an encoder alone"
            )
        return CrVaeObjective(self, model)


class CrVaeObjective(WeightedElboObjective):
    """The weighted ELBO and the contrast of two views, from one sample of z for each image.

    The moving average, the queue and its position are module state that nothing trains; they move
    in training mode alone. Batches of views are normalised by their own statistics, but where the
    ELBO is of clean images the running ones, which evaluation uses, are of those alone.
    """

    def __init__(self, config: CrVae, model: AmortisedModel) -> None:
        super().__init__(config)
        self.config = config
        self.key_encoder = None if isinstance(config.key, Shared) else KeyEncoder(model)
        self.queue = (
            KeyQueue(config.negatives.length, model.latents.width)
            if isinstance(config.negatives, FromQueue)
            else None
        )

    def forward(self, model: Model, x: Tensor) -> ObjectiveOutput:
        """Estimate -L, averaged over the batch.

        Where the ELBO is of the first view, one z of it serves both terms; the code draws two.

        Beside those of the ELBO, metrics are `contrast`, InfoNCE; the same as a critic's are
        `critic`, c = -InfoNCE; `information_bound`, ln(K+1) - InfoNCE, of the information between
        the views; `information_ceiling`, ln(K+1); and `temperature`.
        """
        assert isinstance(model, AmortisedModel)
        seen = x if self.config.target == "clean" else self._view(x)
        q = model.posterior(seen)
        z = q.rsample((1,))
        elbo, metrics = self.weighted_elbo(model, seen, q, z)
        with statistics_kept(model.encoder):
            queries = (
                self._of_view(model, self._view(x))
                if self.config.target == "clean"
                else self._normalised(q, z[0])
            )
            keys = self._keys(model, self._view(x))
        c, n_candidates = self._contrast(queries, keys)
        if self.queue is not None and self.training:
            self.queue.push(keys)
        value = elbo + self.config.gamma * c
        ceiling = math.log(n_candidates)
        metrics |= {
            "contrast": -c.detach(),
            "critic": c.detach(),
            "information_bound": c.detach() + ceiling,
            "information_ceiling": c.new_full((), ceiling),
            "temperature": c.new_full((), self.config.temperature),
        }
        return ObjectiveOutput(-value, {"objective": value.detach(), **metrics})

    def _view(self, x: Tensor) -> Tensor:
        return view(x, self.config.augmentations)

    def _keys(self, model: AmortisedModel, x: Tensor) -> Tensor:
        """Give the normalised keys of a view; only a shared encoder's have gradients.

        The code shuffles the batch before the keys' pass, so that no batch normalisation on one of
        several devices sees a query and its key together. Here a batch is normalised as a whole,
        whatever its order.
        """
        if self.key_encoder is None:
            return self._of_view(model, x)
        if isinstance(self.config.key, Ema) and self.training:
            self.key_encoder.follow(model, self.config.key.momentum)
        q = model.latents.posterior(self.key_encoder(x))
        return self._normalised(q, q.sample())

    def _of_view(self, model: AmortisedModel, x: Tensor) -> Tensor:
        q = model.posterior(x)
        return self._normalised(q, q.rsample())

    def _normalised(self, q: Distribution, z: Tensor) -> Tensor:
        chosen = z if self.config.contrast_on == "sample" else q.mean
        return functional.normalize(chosen.flatten(1), dim=-1)

    def _contrast(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, int]:
        """Give c = -InfoNCE, and among how many keys the right one was to be found, K + 1."""
        queries = queries / self.config.temperature
        if self.queue is None:
            return contrast(queries @ keys.T), len(keys)
        # A copy, for the queue moves on before the gradient is taken.
        negatives = queries @ self.queue.keys.clone().T
        positive = (queries * keys).sum(dim=-1, keepdim=True)
        scores = torch.cat([positive, negatives], dim=1)
        return scores.log_softmax(dim=1)[:, 0].mean(), scores.shape[1]
