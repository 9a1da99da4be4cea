"""What a training run is fed: batches to train on, and batches to validate on meanwhile."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from trainables.data.corpus import PAD, Corpus
from trainables.data.order import DataOrder, ExactLengthOrder, Order, exact_length_batches
from trainables.evaluation.importance import batches, score, trim
from trainables.evaluation.metrics import subset
from trainables.models import Model

Batching = Literal["shuffled", "exact_length"]
Measure = Callable[[Model, Iterable[Tensor]], float]
"""A figure of a model in evaluation mode, in nats, from batches of observations."""


class TrainingData:
    """The training split in batches, on `device`.

    Where the corpus has grey values, every batch is a fresh draw of Bernoulli(grey / 255) from
    torch's global generator, as He et al. (2019) train on images.
    """

    def __init__(
        self, corpus: Corpus, batching: Batching, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self.corpus, self.device = corpus, device
        x = corpus.splits["train"]
        self.order: Order = (
            ExactLengthOrder((x != PAD).sum(dim=1), batch_size, seed)
            if batching == "exact_length"
            else DataOrder(len(x), batch_size, seed)
        )

    def batch(self, step: int) -> Tensor:
        """Give the observations of training step `step`, from 0."""
        return self._take(self.order.batch(step))

    def random(self) -> Tensor:
        """Draw a batch from torch's global generator, all being equally likely."""
        return self._take(self.order.random())

    def _take(self, indices: Tensor) -> Tensor:
        if self.corpus.grey is None:
            x = trim(self.corpus.splits["train"][indices])
        else:
            x = torch.bernoulli(self.corpus.grey[indices] / 255).to(torch.uint8)
        return x.to(self.device, non_blocking=True)


class Validation:
    """The validation split in batches, for what is measured on it during training.

    Batches are made as training makes them: of one length each where it does, of like length for
    other sentences. The noise is the same at every call, so that two figures differ by the model
    alone, and comes from a generator of its own.
    """

    def __init__(
        self, corpus: Corpus, batching: Batching, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self.corpus, self.batching, self.batch_size = corpus, batching, batch_size
        self.seed, self.device = seed, device

    def measure(self, model: Model, figure: Measure, limit: int | None = None) -> float:
        """Measure a model in evaluation mode, on all or `limit` of the observations.

        Leaves torch's global generators and the model's mode as they were.
        """
        was_training = model.training
        model.eval()
        try:
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(self.seed)
                return figure(model, self._batches(limit))
        finally:
            model.train(was_training)

    def _batches(self, limit: int | None) -> Iterator[Tensor]:
        x, _ = subset(self.corpus.splits["validation"], limit)
        if x.dim() == 2:
            lengths = (x != PAD).sum(dim=1)
            if self.batching == "exact_length":
                for indices in exact_length_batches(lengths, self.batch_size):
                    yield trim(x[indices]).to(self.device)
                return
            x = x[lengths.argsort(stable=True)]
        else:  # a file may be in the order of its classes, whose members would meet in batches
            x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(self.seed))]
        for batch in batches(x, self.batch_size):
            yield batch.to(self.device)


def elbo_loss(model: Model, batches: Iterable[Tensor]) -> float:
    """Give -ELBO in nats per observation, from one sample of z and the KL in closed form.

    The loss by which He et al. (2019) choose their models, with the KL's weight at 1 whatever the
    objective says.
    """
    total, n = 0.0, 0
    prior = model.prior()
    for x in batches:
        posterior = model.posterior(x)
        likelihood = model.log_likelihood(x, posterior.sample((1,)))[0].double()
        total += (kl_divergence(posterior, prior).double() - likelihood).sum().item()
        n += len(x)
    return total / n


def importance_loss(samples: int) -> Measure:
    """Give a figure: the NLL in nats per observation, by importance sampling with K `samples`."""

    def nll(model: Model, batches: Iterable[Tensor]) -> float:
        total, n = 0.0, 0
        for x in batches:
            total -= score(model, x, samples).log_p.sum().item()
            n += len(x)
        return total / n

    return nll
