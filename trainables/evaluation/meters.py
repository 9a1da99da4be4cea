"""The meters that an experiment asks for: collapse, probes and a map of the latents.

All work on q(z|x) of the observations that are evaluated, and on its means. They come after the
figures that every evaluation has, and change nothing of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainables.data.corpus import PAD, Corpus
from trainables.evaluation.collapse import collapse_steps, collapsed_share, dimension_kls
from trainables.evaluation.config import CollapseConfig, EvaluationConfig, ProbesConfig, TsneConfig
from trainables.evaluation.embedding import allowed_perplexity, tsne
from trainables.evaluation.importance import encode
from trainables.evaluation.metrics import Metrics, chosen
from trainables.evaluation.probes import accuracy, commonest, linear_probe, nearest_neighbours
from trainables.models import Model
from trainables.models.latents import GaussianLatents, Latents

Table = dict[str, list[Any]]  # equally long columns of plain values


class Meters(NamedTuple):
    """What was measured: figures for the row of the evaluation, and tables that do not fit there.

    `tables` may hold "curves", a row for each dimension of z, and "embeddings", a row for each
    observation on the map.
    """

    figures: Metrics
    tables: dict[str, Table]


class _Encoded(NamedTuple):
    """Observations by their numbers in their split, with their q(z|x); all in one order."""

    numbers: Tensor
    parameters: Tensor  # on the CPU, float64
    labels: Tensor | None


def measure(model: Model, corpus: Corpus, config: EvaluationConfig, seed: int) -> Meters:
    """Measure a model in evaluation mode with the meters of `config`, of which there must be some.

    Probes say nothing where the data have no labels, nor does collapse where q(z|x) is certain of
    one z. Leaves all global random states and the
    model's mode as they were, and does not depend on them. Raises ModuleNotFoundError where
    scikit-learn is missing, for probes and t-SNE.
    """
    meters = config.meters
    assert meters is not None
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # for models that infer q(z|x) with samples
            evaluated = _encode(model, corpus, config.split, config.limit, config.mi_batch_size)
            known = None
            if meters.probes is not None and {config.split, "train"} <= set(corpus.labels or ()):
                n = meters.probes.train
                known = _encode(model, corpus, "train", n, config.mi_batch_size)
    finally:
        model.train(was_training)
    figures: Metrics = {}
    tables: dict[str, Table] = {}
    with _one_thread(meters.probes is not None or meters.tsne is not None):
        # A q(z|x) that is certain of one z has the same KL for every x, collapsed or not.
        if meters.collapse is not None and not model.latents.deterministic:
            some, tables["curves"] = _collapse(
                model.latents, evaluated.parameters, meters.collapse
            )
            figures |= some
        if meters.probes is not None and known is not None:
            figures |= _probes(model.latents, known, evaluated, meters.probes)
        if meters.tsne is not None:
            embedded = _embedding(model.latents, evaluated, meters.tsne, config.seed)
            tables |= {"embeddings": embedded} if embedded else {}
    return Meters(figures, tables)


def posterior_means(latents: Latents, parameters: Tensor) -> Tensor:
    """Give E_q[z|x], `[N, width]`; of one-hot latents these are the probabilities."""
    return latents.posterior(parameters).mean.flatten(1)


def _encode(model: Model, corpus: Corpus, split: str, limit: int | None, size: int) -> _Encoded:
    """Encode the observations of a split that an evaluation takes, in its order."""
    x = corpus.splits[split]
    numbers = chosen(len(x), limit)
    if len(numbers) < len(x):
        x = x[numbers]
    if x.dim() == 2:  # sentences of like length waste no padding
        order = (x != PAD).sum(dim=1).argsort(stable=True)
        x, numbers = x[order], numbers[order]
    labels = corpus.labels.get(split) if corpus.labels else None
    parameters = encode(model, x, size).double().cpu()
    return _Encoded(numbers, parameters, None if labels is None else labels[numbers].long())


def _collapse(
    latents: Latents, parameters: Tensor, config: CollapseConfig
) -> tuple[Metrics, Table]:
    kl = dimension_kls(latents, parameters)
    steps, order = collapse_steps(kl, config.delta).sort(stable=True)
    n = len(steps)
    share = torch.searchsorted(steps, steps, right=True).double() / n
    variance: list[float | None] = [None] * n
    if isinstance(latents, GaussianLatents) and len(parameters) > 1:
        means = posterior_means(latents, parameters)
        variance = list(means.var(dim=0)[order].tolist())
    table: Table = {
        "epsilon": steps.tolist(),
        "share": share.tolist(),
        "delta": [config.delta] * n,
        "dimension": order.tolist(),
        "kl": kl.mean(dim=0)[order].tolist(),
        "mean_variance": variance,
        "observations": [len(kl)] * n,
    }
    return {"collapsed_share": collapsed_share(steps, config.epsilon)}, table


def _probes(
    latents: Latents, known: _Encoded, evaluated: _Encoded, config: ProbesConfig
) -> Metrics:
    assert known.labels is not None
    assert evaluated.labels is not None
    means, others = (posterior_means(latents, some.parameters) for some in (known, evaluated))
    k = min(config.k, len(means))
    probe = accuracy(linear_probe(means, known.labels, others), evaluated.labels)
    voted = accuracy(nearest_neighbours(means, known.labels, others, k), evaluated.labels)
    blind = torch.full_like(evaluated.labels, commonest(known.labels))
    return {
        "probe_accuracy": probe.value,
        "probe_accuracy_se": probe.error,
        "knn_accuracy": voted.value,
        "knn_accuracy_se": voted.error,
        "knn_k": k,
        "probe_chance": accuracy(blind, evaluated.labels).value,
        "probe_train": len(means),
    }


def _embedding(
    latents: Latents, evaluated: _Encoded, config: TsneConfig, seed: int
) -> Table | None:
    numbers, order = evaluated.numbers.sort()  # whatever order it was encoded in
    shown = order[chosen(len(numbers), config.points)]
    places = tsne(posterior_means(latents, evaluated.parameters[shown]), config.perplexity, seed)
    if places is None:
        return None
    n = len(shown)
    return {
        "observation": evaluated.numbers[shown].tolist(),
        "class": [None] * n if evaluated.labels is None else evaluated.labels[shown].tolist(),
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "perplexity": [allowed_perplexity(config.perplexity, n)] * n,
    }


@contextmanager
def _one_thread(needed: bool) -> Iterator[None]:
    """Keep scikit-learn to one thread: sums in another order differ, and other trials work too."""
    if not needed:
        yield
        return
    from threadpoolctl import threadpool_limits  # which scikit-learn brings

    with threadpool_limits(limits=1):
        yield
