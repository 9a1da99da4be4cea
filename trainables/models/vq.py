"""Vector quantisation: q(z|x) is certain of the code nearest to what the encoder puts out.

    k_v = argmin_j ||z_e,v - e_j||^2,    z_q,v = e_{k_v}      for each latent variable v

Van den Oord, Vinyals and Kavukcuoglu (2017), "Neural Discrete Representation Learning",
https://arxiv.org/abs/1711.00937, Eqs. 1 and 2, with the moving averages of its Appendix A.1.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.data.corpus import Corpus
from trainables.models.encoder import Encoder
from trainables.models.latents import VqLatents
from trainables.models.model import Encoding, Model


class Codebook(nn.Module):
    """The codes of all variables, `[books, categories, dimension]`: one book where all share it.

    At first they are uniform between -1/J and 1/J, for J categories. `follow` makes them moving
    averages of what is quantised to them. What an average is made of is kept as it is counted, in
    buffers: `counts` is N and `sums` is m, both from zero, and `weight` what an average of ones
    has come to by now. A gradient reaches the codes where they are read with one; an objective
    that lets them follow reads them without.
    """

    counts: Tensor
    sums: Tensor
    weight: Tensor

    def __init__(self, latents: VqLatents) -> None:
        super().__init__()
        self.variables = latents.variables
        books, categories = 1 if latents.shared else latents.variables, latents.categories
        uniform = 2 * torch.rand(books, categories, latents.dimension) - 1
        self.codes = nn.Parameter(uniform / categories)
        self.register_buffer("counts", torch.zeros(books, categories))
        self.register_buffer("sums", torch.zeros_like(uniform))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def nearest(
        self, vectors: Float[Tensor, "batch variables dimension"]
    ) -> Int[Tensor, "batch variables"]:
        """Give the category of each variable whose code is nearest, the first of equals."""
        # Differences, not products: these would lose the digits that tell close codes apart.
        distance = torch.cdist(
            vectors.transpose(0, 1),
            self.codes.expand(self.variables, -1, -1),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        return distance.argmin(dim=-1).T

    def look_up(
        self, index: Int[Tensor, "batch variables"]
    ) -> Float[Tensor, "batch variables dimension"]:
        """Give the codes of categories."""
        book = torch.arange(self.variables, device=index.device) % len(self.codes)
        return self.codes[book, index]

    def read(
        self, z: Float[Tensor, "K rows variables categories"]
    ) -> Float[Tensor, "K rows variables dimension"]:
        """Give the codes that one-hot z selects."""
        return torch.einsum("kbvc,vcd->kbvd", z, self.codes.expand(self.variables, -1, -1))

    def usage(self, index: Int[Tensor, "batch variables"]) -> Float[Tensor, "books categories"]:
        """Count how often each code of each book is among these."""
        one_hot = nn.functional.one_hot(index, self.codes.shape[1]).to(self.codes.dtype)
        return one_hot.sum(dim=0).view(-1, *self.codes.shape[:2]).sum(dim=0)

    @torch.no_grad()
    def follow(
        self,
        vectors: Float[Tensor, "batch variables dimension"],
        index: Int[Tensor, "batch variables"],
        decay: float,
        smoothing: float,
    ) -> None:
        """Move the codes towards the mean of the vectors that were quantised to them.

            N_j <- d N_j + (1 - d) n_j,    m_j <- d m_j + (1 - d) sum of z_e,    e_j = m_j / N~_j

        with N~_j = (N_j + eps) / (N + J eps) N for N the sum of the book's N_j. Both averages
        start at zero, which is corrected for where they are read, as is the smoothing: neither
        finds its way into what is kept. A code that no vector has come to yet has no mean, and
        stays where it started. One that vectors came to once, but no more, keeps its mean until
        N_j is about eps, and then is drawn to the origin, where eps outweighs m_j.
        """
        one_hot = nn.functional.one_hot(index, self.codes.shape[1]).to(vectors.dtype)
        sums = torch.einsum("bvc,bvd->vcd", one_hot, vectors)
        sums = sums.view(-1, *self.codes.shape).sum(dim=0)  # of all variables of a book
        # An average as a step towards the new value keeps a constant to the bit.
        self.counts.lerp_(self.usage(index), 1 - decay)
        self.sums.lerp_(sums, 1 - decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - decay)
        counts, sums = self.counts / self.weight, self.sums / self.weight
        total = counts.sum(dim=-1, keepdim=True)
        smoothed = (counts + smoothing) / (total + counts.shape[-1] * smoothing) * total
        means = sums / smoothed[..., None]
        self.codes.copy_(means.where(counts[..., None] > 0, self.codes))


class VqModel(Model):
    """A model whose encoder's vectors are quantised, and whose decoder reads the codes.

    `base` is the model proper: what its encoder gives for x are the vectors, and the z that its
    decoder reads are codes, `[K, batch, variables, dimension]`. The z of this model is one-hot.
    """

    def __init__(self, base: Model, latents: VqLatents) -> None:
        super().__init__(latents)
        self.base = base
        self.decodes_once = base.decodes_once
        self.vq = latents
        self.codebook = Codebook(latents)

    def vectors(self, x: Tensor) -> Float[Tensor, "batch variables dimension"]:
        """Give what is quantised, z_e."""
        return self._vectors(self.base.encode(x))

    def encode(self, x: Tensor) -> Encoding:
        """Give the logits of q(z|x), of which all but the nearest code's are as good as -inf.

        They have no gradient. The early features are the base's.
        """
        encoding = self.base.encode(x)
        vectors = self._vectors(encoding)
        return Encoding(encoding.early, self.vq.choose(self.codebook.nearest(vectors), vectors))

    def log_likelihood(self, x: Tensor, z: Float[Tensor, "K rows variables categories"]) -> Tensor:
        """Give ln p(x|z) for one-hot z."""
        return self.base.log_likelihood(x, self.codebook.read(z))

    def log_likelihood_of_codes(
        self, x: Tensor, codes: Float[Tensor, "K rows variables dimension"]
    ) -> Tensor:
        """Give the same where the codes are known."""
        return self.base.log_likelihood(x, codes)

    def start_from(self, corpus: Corpus) -> None:
        """Let the base's parameters start at what the training data say."""
        self.base.start_from(corpus)

    def new_encoder(self) -> Encoder:
        """Build another encoder of the base's kind, with parameters of its own."""
        return self.base.new_encoder()

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of the encoder; codes are the decoder's as well."""
        return self.base.inference_parameters()

    def _vectors(self, encoding: Encoding) -> Tensor:
        return encoding.parameters.reshape(-1, self.vq.variables, self.vq.dimension)
