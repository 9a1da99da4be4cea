"""Pre-training of an encoder on a share of the training data that is kept for it alone.

Before training proper, q(z|x) learns to tell labels apart, by a linear layer on its mean, or,
where there are none, to be of use to a decoder while nothing draws it to the prior:

    classification: -ln softmax(W E_q[z] + b)[label]        reconstruction: -E_q ln p(x|z)

Both layers are thrown away in the end, the decoder too: training proper starts with the encoder
that was learnt, everything else as it would be without.
"""

import copy
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn
from torch.nn import functional

from trainables.config import Config, Count
from trainables.data.corpus import Corpus
from trainables.data.files import DataError
from trainables.data.splitting import divide
from trainables.feeding import TrainingData
from trainables.learner import Learner
from trainables.models import Model
from trainables.models.latents import Latents
from trainables.models.semi_amortised import SemiAmortisedModel
from trainables.passes import differentiated

Task = Literal["classification", "reconstruction"]


class Pretraining(Config):
    """How an encoder is trained beforehand, on a `share` of the training observations.

    The share is a fixed random choice, the same for every trial, and training proper sees the
    others alone. The length is either `steps` or `epochs`, passes over the share; these steps come
    before those of training and are counted with them. Left out, `task` is classification where
    the data have labels, else reconstruction, and the learning rate that of training.

    Batches, optimiser, penalty and clipping are as in training, the optimiser starting anew then.
    """

    share: float = Field(gt=0, lt=1)
    steps: Count | None = None
    epochs: Count | None = None
    task: Task | None = None
    learning_rate: PositiveFloat | None = None

    @model_validator(mode="after")
    def _has_one_length(self) -> "Pretraining":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give how long it lasts, either in steps or in epochs")
        return self

    def task_for(self, *, labelled: bool) -> Task:
        """Give the task for data with or without labels."""
        return self.task or ("classification" if labelled else "reconstruction")

    def refuses(self, latents: Latents, *, labelled: bool) -> str | None:
        """Say why q(z|x) cannot be trained like this, if it cannot."""
        if latents.kind == "vq":
            return (
                "vq latents have no gradient but that of objective vq_vae; remove it, or use "
                "gaussian latents"
            )
        task = self.task_for(labelled=labelled)
        if task == "classification" and not labelled:
            return "classification needs labels, which these data do not have; use reconstruction"
        if task == "reconstruction" and latents.kind == "categorical":
            return (
                "reconstruction differentiates through z, which categorical latents do not allow; "
                "use classification of data with labels, or gaussian latents"
            )
        return None


class Shares(NamedTuple):
    """The two parts of a corpus, without an observation in common in "train"."""

    training: Corpus
    reserved: Corpus


def reserve(corpus: Corpus, share: float) -> Shares:
    """Divide the training observations at random, the same way every time; all else is shared.

    Raises `DataError` where that leaves one part empty.
    """
    n = len(corpus.splits["train"])
    n_reserved = round(share * n)
    if not 0 < n_reserved < n:
        raise DataError(
            f"a share of {share:g} of {n} training observations for pre-training is {n_reserved}; "
            "choose another training.pretraining.share."
        )
    return Shares(*(_part(corpus, torch.from_numpy(i)) for i in divide(n, n - n_reserved)))


def _part(corpus: Corpus, indices: Tensor) -> Corpus:
    labels = corpus.labels
    if labels is not None and "train" in labels:
        labels = {**labels, "train": labels["train"][indices]}
    return corpus._replace(
        splits={**corpus.splits, "train": corpus.splits["train"][indices]},
        grey=None if corpus.grey is None else corpus.grey[indices],
        labels=labels,
    )


class Pretrainer:
    """Trains the encoder of a learner's model, and a layer or a decoder that it works for."""

    def __init__(self, config: Pretraining, learner: Learner, data: TrainingData) -> None:
        """`data` are the reserved observations. Draws from torch's global generator.

        Raises `DataError` where they have no labels to tell apart.
        """
        model = learner.model
        self.model = model.base if isinstance(model, SemiAmortisedModel) else model
        self.learner, self.data = learner, data
        self.n_steps = config.steps or data.order.steps(config.epochs or 0)
        labels = (data.corpus.labels or {}).get("train")
        self.labels: Tensor | None = None
        self.against: nn.Module
        if config.task_for(labelled=labels is not None) == "classification":
            if labels is None:
                raise DataError(
                    "there are no labels to train on; set training.pretraining.task to "
                    "reconstruction."
                )
            classes = torch.tensor(sorted(set(labels.tolist())))
            self.labels = torch.searchsorted(classes, labels)
            self.against = nn.Linear(model.latents.width, len(classes)).to(data.device)
            learns = list(self.against.parameters())
        else:
            # Another decoder from the same first values; the one of the model stays as it is.
            self.against = copy.deepcopy(self.model)
            of_inference = {id(p) for p in self.against.inference_parameters()}
            learns = [p for p in self.against.parameters() if id(p) not in of_inference]
        self.parameters = [*model.inference_parameters(), *learns]
        rate = learner.learning_rate if config.learning_rate is None else config.learning_rate
        self.optimizer = learner.new_optimizer(self.parameters, rate)

    def take_step(self, step: int) -> Tensor:
        """Take step `step`, from 0, and give its loss; the learner counts the update."""
        self.optimizer.zero_grad()
        loss = self._loss(step)
        torch.autograd.backward(loss)
        if self.learner.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.learner.clip_norm)
        self.optimizer.step()
        self.learner.updates += 1
        return loss.detach()

    def _loss(self, step: int) -> Tensor:
        x = self.data.batch(step)
        q = self.model.posterior(x)
        if self.labels is not None:
            differentiated(len(x))
            labels = self.labels[self.data.order.batch(step)].to(x.device)
            return functional.cross_entropy(self.against(q.mean.flatten(1)), labels)
        assert isinstance(self.against, Model)
        return -self.against.log_likelihood(x, q.rsample((1,))).mean()

    def state_dict(self) -> dict[str, Any]:
        """Give the state of what is its own; the model's is elsewhere. No copies."""
        return {"against": self.against.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave, whose tensors the optimiser may take over."""
        self.against.load_state_dict(state["against"])
        self.optimizer.load_state_dict(state["optimizer"])
