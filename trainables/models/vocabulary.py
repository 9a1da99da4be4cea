"""The softmax over a vocabulary, where almost all the arithmetic of a text model is spent."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.corpus import PAD

ROWS = 512  # rows of logits made at a time on a CPU, whose cache holds them
GPU_BYTES = 2**27  # of logits made at a time on a GPU
RETAINED_BYTES = 2**29  # beyond this the backward pass makes the exponentials again

_second_derivatives = ContextVar("second_derivatives", default=False)


@contextmanager
def second_derivatives() -> Iterator[None]:
    """Let what is computed here be differentiated twice, which takes more memory and time."""
    before = _second_derivatives.set(True)
    try:
        yield
    finally:
        _second_derivatives.reset(before)


class VocabularySoftmax(nn.Module):
    """p(token | features) = softmax(W features + b), or without b.

    It can be differentiated once, or twice within `second_derivatives`.
    """

    def __init__(self, n_features: int, vocabulary: int, *, bias: bool = True) -> None:
        super().__init__()
        self.logits = nn.Linear(n_features, vocabulary, bias=bias)

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
        weight, bias = self.logits.weight, self.logits.bias
        differentiable = torch.is_grad_enabled()
        if differentiable and _second_derivatives.get():
            logits = functional.linear(rows, weight, bias)
            return -functional.cross_entropy(logits, targets, reduction="none")
        with torch.no_grad():
            done = _forward(rows, weight, bias, targets, differentiable)
        if not differentiable:
            return done.log_p
        # Two nodes, so that a gradient of the rows alone leaves out the parameters' product.
        through_rows = _ThroughRows.apply(rows, done)  # type: ignore[no-untyped-call]
        return through_rows + _ThroughParameters.apply(weight, bias, rows.detach(), done)  # type: ignore[no-untyped-call]


def rows_at_once(device: str, row_bytes: int) -> int:
    """Give how many rows of logits are made at a time.

    A GPU takes longer to be told of a small product than to compute it, so there they are more.
    """
    return ROWS if device == "cpu" else max(ROWS, GPU_BYTES // row_bytes)


class _Forward(NamedTuple):
    """What a pass over rows h of features leaves for the gradients of ln softmax(W h + b)[target].

    With e = exp(logits - highest) and its row sums, the softmax is e / total. Dividing the narrow
    factor of each product by `total` spares passes over the wide e.
    """

    targets: Tensor
    highest: Tensor  # of the logits of each row
    total: Tensor
    log_p: Tensor
    slope: Tensor | None  # d log_p / d h
    e: Tensor | None  # none where it is made again


def _forward(
    rows: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, differentiable: bool
) -> _Forward:
    n_rows, n_tokens = len(rows), len(weight)
    row_bytes = n_tokens * rows.element_size()
    retain = differentiable and n_rows * row_bytes <= RETAINED_BYTES
    at_once = rows_at_once(rows.device.type, row_bytes)
    buffer = _borrow(rows, n_rows if retain else min(at_once, n_rows), n_tokens)
    highest, total, target = (rows.new_empty(n_rows, 1) for _ in range(3))
    slope = torch.empty_like(rows) if differentiable else None
    for start in range(0, n_rows, at_once):
        here = slice(start, start + at_once)
        e = buffer[here] if retain else buffer[: len(rows[here])]
        _logits(rows[here], weight, bias, out=e)
        torch.gather(e, 1, targets[here, None], out=target[here])
        torch.amax(e, 1, keepdim=True, out=highest[here])
        e.sub_(highest[here]).exp_()
        torch.sum(e, 1, keepdim=True, out=total[here])
        if slope is not None:
            torch.mm(e, weight, out=slope[here])
    if slope is not None:
        slope = weight[targets].sub_(slope.div_(total))
    log_p = (target - highest - total.log())[:, 0]
    return _Forward(targets, highest, total, log_p, slope, buffer if retain else None)


def _logits(rows: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> Tensor:
    if bias is None:
        return torch.mm(rows, weight.T, out=out)
    return torch.addmm(bias, rows, weight.T, out=out)


class _ThroughRows(torch.autograd.Function):
    """ln p as a function of the rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, done: _Forward) -> Tensor:  # noqa: ARG004
        ctx.done = done
        return done.log_p.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        _refuse_second_derivatives()
        return ctx.done.slope * upstream[:, None], None


class _ThroughParameters(torch.autograd.Function):
    """Zero, with the gradient of ln p in the weights and biases."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, rows: Tensor, done: _Forward
    ) -> Tensor:
        ctx.save_for_backward(weight, bias, rows)
        ctx.done = done
        return torch.zeros_like(done.log_p)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        _refuse_second_derivatives()
        (weight, bias, rows), done = ctx.saved_tensors, ctx.done
        scale = upstream / done.total[:, 0]
        scaled = rows * scale[:, None]
        of_weight = torch.zeros_like(weight)
        of_bias = None if bias is None else torch.zeros_like(bias)
        at_once = rows_at_once(rows.device.type, len(weight) * rows.element_size())
        for start in range(0, len(rows), at_once):
            here = slice(start, start + at_once)
            if done.e is not None:
                e = done.e[here]
            else:
                e = rows.new_empty(len(rows[here]), len(weight))
                _logits(rows[here], weight, bias, out=e).sub_(done.highest[here]).exp_()
            of_weight.addmm_(e.T, scaled[here], alpha=-1)
            if of_bias is not None:
                of_bias.addmv_(e.T, scale[here], alpha=-1)
        of_weight.index_add_(0, done.targets, rows * upstream[:, None])
        if of_bias is not None:
            of_bias.index_add_(0, done.targets, upstream)
        return of_weight, of_bias, None, None


def _refuse_second_derivatives() -> None:
    # torch's `once_differentiable` leaves them out in silence where `upstream` is a constant.
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a graph of this gradient was asked for; make the softmax within `second_derivatives`"
        )


class _Workspaces(threading.local):
    """This thread's largest buffer so far of each type, and who has it.

    Half a gigabyte of fresh memory takes as long to page in as one of the matrix products that
    fill it.
    """

    def __init__(self) -> None:
        self.of: dict[torch.dtype, tuple[Tensor, weakref.ref[Tensor] | None]] = {}


_workspaces = _Workspaces()


def _borrow(like: Tensor, n_rows: int, n_columns: int) -> Tensor:
    """Give uninitialised memory, the same as last time unless somebody still holds that."""
    if like.is_cuda:  # whose allocator keeps freed memory anyway
        return like.new_empty(n_rows, n_columns)
    base, borrowed = _workspaces.of.get(like.dtype, (like.new_empty(0), None))
    if borrowed is not None and borrowed() is not None:
        return like.new_empty(n_rows, n_columns)
    if base.numel() < n_rows * n_columns:
        base = like.new_empty(n_rows * n_columns)
    lent = base[: n_rows * n_columns].view(n_rows, n_columns)
    _workspaces.of[like.dtype] = base, weakref.ref(lent)
    return lent
