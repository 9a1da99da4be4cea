"""A map of latents in the plane: t-SNE, van der Maaten and Hinton (2008).

It shows which observations are neighbours. Distances between groups, and their sizes, mean little,
and a map has no scale: the means of collapsed latents, which barely move, fill it as well.
"""

import torch
from jaxtyping import Float
from torch import Tensor

FEWEST = 4  # points of which each has three others, for a perplexity of one


def allowed_perplexity(perplexity: float, n: int) -> float:
    """Bound a perplexity by a third of the other points, beyond which nothing is near or far."""
    return min(perplexity, (n - 1) / 3)


def tsne(
    latents: Float[Tensor, "N width"], perplexity: float, seed: int
) -> Float[Tensor, "N 2"] | None:
    """Give each of N latents its place in the plane; none for fewer than four.

    By scikit-learn, beginning with the principal components; where all latents are one, with
    random places. One seed gives one map on the same machine. Raises ModuleNotFoundError where
    scikit-learn is missing.
    """
    if len(latents) < FEWEST:
        return None
    from sklearn.manifold import TSNE

    # The perplexity sets its own scale, and squares of small differences must not be lost.
    centred = latents - latents.mean(dim=0)
    spread = centred.std(dim=0, correction=0).max()
    all_one = bool(spread <= 1e-12 * latents.abs().max())
    made = TSNE(
        perplexity=allowed_perplexity(perplexity, len(latents)),
        init="random" if all_one else "pca",
        random_state=seed,
        n_jobs=1,
    ).fit_transform((torch.zeros_like(centred) if all_one else centred / spread).float().numpy())
    return torch.from_numpy(made).double()
