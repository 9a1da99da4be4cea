"""The softmax over a vocabulary, where almost all the arithmetic of a text model is spent."""

import weakref
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.data.corpus import PAD

ROWS = 512  # rows of logits made at a time
RETAINED_BYTES = 2**29  # beyond this the backward pass makes the exponentials again


class VocabularySoftmax(nn.Module):
    """p(token | features) = softmax(W features + b)."""

    def __init__(self, n_features: int, vocabulary: int) -> None:
        super().__init__()
        self.logits = nn.Linear(n_features, vocabulary)

    def forward(
        self, features: Float[Tensor, "*shape features"], tokens: Int[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        """Give ln p(token | features); 0 where the token is `PAD`."""
        rows, targets = features.flatten(0, -2), tokens.flatten()
        real = targets != PAD
        if rows.is_cuda:  # selecting rows would wait for the device
            log_p = self._log_p(rows, targets.clamp(min=0)).where(real, 0.0)
        else:
            selected = real.nonzero()[:, 0]
            log_p = rows.new_zeros(len(rows)).index_put(
                (selected,), self._log_p(rows[selected], targets[selected])
            )
        return log_p.view(tokens.shape)

    def log_probabilities(
        self, features: Float[Tensor, "*shape features"]
    ) -> Float[Tensor, "*shape vocabulary"]:
        """Give ln p of every token."""
        return self.logits(features).log_softmax(dim=-1)

    def _log_p(self, rows: Tensor, targets: Tensor) -> Tensor:
        differentiable = torch.is_grad_enabled()
        weight, bias = self.logits.weight, self.logits.bias
        return _LogSoftmaxAt.apply(rows, weight, bias, targets, differentiable)  # type: ignore[no-untyped-call]


class _LogSoftmaxAt(torch.autograd.Function):
    """ln softmax(W h + b)[target] with three matrix products and one pass over the logits.

    The forward pass keeps e = exp(logits - max) and its row sums Z. The gradient needs nothing
    else: its softmax part is e / Z, and dividing the narrow factor of each product by Z spares
    passes over the wide e. The row gradients are kept unscaled, so that a second backward pass
    through the same graph costs no product.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, differentiable: bool
    ) -> Tensor:
        n_rows, n_tokens = len(rows), len(weight)
        retain = differentiable and n_rows * n_tokens * rows.element_size() <= RETAINED_BYTES
        buffer = _borrow(rows, n_rows if retain else min(ROWS, n_rows), n_tokens)
        highest, total, target = (rows.new_empty(n_rows, 1) for _ in range(3))
        for start in range(0, n_rows, ROWS):
            here = slice(start, start + ROWS)
            e = buffer[here] if retain else buffer[: len(rows[here])]
            torch.addmm(bias, rows[here], weight.T, out=e)
            torch.gather(e, 1, targets[here, None], out=target[here])
            torch.amax(e, 1, keepdim=True, out=highest[here])
            e.sub_(highest[here]).exp_()
            torch.sum(e, 1, keepdim=True, out=total[here])
        if differentiable:
            ctx.save_for_backward(rows, weight, bias, targets, highest, total)
            ctx.retained = buffer if retain else None
            ctx.slope = None
        return (target - highest - total.log())[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, bias, targets, highest, total = ctx.saved_tensors
        wants_rows, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        wants_rows &= ctx.slope is None
        slope = torch.empty_like(rows) if wants_rows else None
        softmax_rows = rows * (upstream[:, None] / total)
        softmax_one = upstream / total[:, 0]
        weight_gradient = torch.zeros_like(weight) if wants_weight else None
        bias_gradient = torch.zeros_like(bias) if wants_bias else None
        for start in range(0, len(rows), ROWS):
            here = slice(start, start + ROWS)
            if ctx.retained is not None:
                e = ctx.retained[here]
            elif wants_rows or wants_weight or wants_bias:
                e = torch.addmm(bias, rows[here], weight.T).sub_(highest[here]).exp_()
            else:
                break
            if slope is not None:
                torch.mm(e, weight, out=slope[here])
            if weight_gradient is not None:
                weight_gradient.addmm_(e.T, softmax_rows[here], alpha=-1)
            if bias_gradient is not None:
                bias_gradient.addmv_(e.T, softmax_one[here], alpha=-1)
        if slope is not None:
            ctx.slope = weight[targets].sub_(slope.div_(total))
        if weight_gradient is not None:
            weight_gradient.index_add_(0, targets, rows * upstream[:, None])
        if bias_gradient is not None:
            bias_gradient.index_add_(0, targets, upstream)
        row_gradient = ctx.slope * upstream[:, None] if ctx.needs_input_grad[0] else None
        return row_gradient, weight_gradient, bias_gradient, None, None


# The largest buffer so far of each type, and who has it. Half a gigabyte of fresh memory takes as
# long to page in as one of the matrix products that fill it.
_workspaces: dict[torch.dtype, tuple[Tensor, weakref.ref[Tensor]]] = {}


def _borrow(like: Tensor, n_rows: int, n_columns: int) -> Tensor:
    """Give uninitialised memory, the same as last time unless somebody still holds that."""
    if like.is_cuda:  # whose allocator keeps freed memory anyway
        return like.new_empty(n_rows, n_columns)
    base, borrowed = _workspaces.get(like.dtype, (like.new_empty(0), None))
    if borrowed is not None and borrowed() is not None:
        return like.new_empty(n_rows, n_columns)
    if base.numel() < n_rows * n_columns:
        base = like.new_empty(n_rows * n_columns)
    lent = base[: n_rows * n_columns].view(n_rows, n_columns)
    _workspaces[like.dtype] = base, weakref.ref(lent)
    return lent
