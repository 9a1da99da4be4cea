"""The order in which training sees its data: a function of the step and the seed alone.

A run that continues needs no memory of it. `random` draws from torch's global generator instead,
whose state a run keeps.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Order(ABC):
    """Which observations each training step sees, and where an epoch ends.

    `steps_per_epoch` is rounded up where steps do not divide an epoch.
    """

    steps_per_epoch: int

    @abstractmethod
    def batch(self, step: int) -> Tensor:
        """Give the indices of the observations of training step `step`, from 0."""

    @abstractmethod
    def random(self) -> Tensor:
        """Draw the indices of some batch, all being equally likely."""

    @abstractmethod
    def passes(self, step: int) -> float:
        """Give how often `step` steps have gone through the data."""

    @abstractmethod
    def epochs_over(self, step: int) -> int:
        """Give how many epochs are over after `step` steps."""

    @abstractmethod
    def steps(self, epochs: int) -> int:
        """Give the number of steps after which `epochs` epochs are over."""

    def ends_epoch(self, step: int) -> bool:
        """Say whether an epoch is over with the last of `step` steps."""
        return step > 0 and self.epochs_over(step) > self.epochs_over(step - 1)


class DataOrder(Order):
    """One permutation after another, cut into batches of one size, which may span two epochs."""

    def __init__(self, n_observations: int, batch_size: int, seed: int) -> None:
        self.n_observations, self.batch_size = n_observations, batch_size
        self.steps_per_epoch = self.steps(1)
        self._permutations = _Permutations(n_observations, seed)

    def batch(self, step: int) -> Tensor:
        """Give the indices of one batch, `[batch_size]`."""
        position, end = step * self.batch_size, (step + 1) * self.batch_size
        pieces = []
        while position < end:
            epoch, start = divmod(position, self.n_observations)
            stop = min(self.n_observations, start + end - position)
            pieces.append(self._permutations[epoch][start:stop])
            position += stop - start
        return torch.cat(pieces)

    def random(self) -> Tensor:
        """Draw `batch_size` indices, or all where there are fewer, without replacement."""
        return torch.randperm(self.n_observations)[: self.batch_size]

    def passes(self, step: int) -> float:
        """Give how often `step` steps have gone through the data."""
        return step * self.batch_size / self.n_observations

    def epochs_over(self, step: int) -> int:
        """Give how many epochs are over after `step` steps."""
        return step * self.batch_size // self.n_observations

    def steps(self, epochs: int) -> int:
        """Give the number of steps after which `epochs` epochs are over."""
        return -(-epochs * self.n_observations // self.batch_size)


class ExactLengthOrder(Order):
    """Batches of sentences of one length each, built once; an epoch is one order of them all.

    A batch has `batch_size` sentences in the order of the file, the last one of a length what is
    left. With text this is how He et al. (2019) train: no batch has padding.
    """

    def __init__(self, lengths: Tensor, batch_size: int, seed: int) -> None:
        self.batches = exact_length_batches(lengths, batch_size)
        self.steps_per_epoch = len(self.batches)
        self._permutations = _Permutations(len(self.batches), seed)

    def batch(self, step: int) -> Tensor:
        """Give the indices of one batch, `[at most batch_size]`."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self.batches[int(self._permutations[epoch][position])]

    def random(self) -> Tensor:
        """Draw one of the batches, however small it is."""
        return self.batches[int(torch.randint(len(self.batches), ()))]

    def passes(self, step: int) -> float:
        """Give how often `step` steps have gone through the batches."""
        return step / self.steps_per_epoch

    def epochs_over(self, step: int) -> int:
        """Give how many epochs are over after `step` steps."""
        return step // self.steps_per_epoch

    def steps(self, epochs: int) -> int:
        """Give the number of steps after which `epochs` epochs are over."""
        return epochs * self.steps_per_epoch


def exact_length_batches(lengths: Tensor, batch_size: int) -> list[Tensor]:
    """Cut sentences of `lengths`, `[N]`, into batches of one length, by rising length.

    Gives the indices of each batch. Sentences of a length stay in their order, and the last batch
    of a length may be smaller than the rest.
    """
    order, counts = lengths.argsort(stable=True), torch.bincount(lengths)
    of_one_length = torch.tensor_split(order, counts.cumsum(dim=0)[:-1].tolist())
    return [
        indices[start : start + batch_size]
        for indices in of_one_length
        for start in range(0, len(indices), batch_size)
    ]


class _Permutations:
    """The permutation of every epoch; the last one asked for is kept."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed = n, seed
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed)
            generator.manual_seed(int(torch.randint(2**62, (), generator=generator)) + epoch)
            self._permutation = torch.randperm(self.n, generator=generator)
            self._epoch = epoch
        return self._permutation
