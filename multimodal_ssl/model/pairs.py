"""Scores of all pairs of a batch without holding what they are made of, on one rank or on many.

98 positions against 20 words are 1,960 products a pair, and 256 items make 65,536 pairs: 0.5 GB for the
products, and several times that for what a backward pass keeps. In chunks of rows only one chunk's products
live at a time, in both passes; the backward pass computes them again, so gradients are those of the whole and
memory grows with the batch instead of its square.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from multimodal_ssl.model.similarity import Compare
from multimodal_ssl.model.units import Units


def score_pairs(a: Units, b: Units, similarity: Compare, chunk: int | None = None) -> Float[Tensor, "a b"]:
    """`similarity(a, b)`, some rows at a time.

    Args:
        similarity: must give the same twice: no dropout in it.
        chunk: rows of a at a time, so products of `chunk * len(b)` pairs are held. None is all at once.

    Raises:
        ValueError: a chunk below 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1 row, or None for all at once, got {chunk}")
    a, b = a.trimmed(), b.trimmed()
    if chunk is None or chunk >= len(a):
        return similarity(a, b)
    weights = tuple(similarity.parameters()) if isinstance(similarity, nn.Module) else ()
    return _InChunks.apply(similarity, chunk, a, b, a.vectors, b.vectors, *weights)


class _InChunks(torch.autograd.Function):
    """Rows of scores, chunk by chunk; the backward pass makes each chunk's graph again and drops it at once.

    `torch.utils.checkpoint` does the same, but its first call imports torch's compiler: 3.5 s and 0.15 GB.
    """

    @staticmethod
    def forward(
        ctx: Any, similarity: Compare, chunk: int, a: Units, b: Units, *inputs: Tensor
    ) -> Float[Tensor, "a b"]:
        device = inputs[0].device.type
        ctx.similarity, ctx.chunk, ctx.valid = similarity, chunk, (a.valid, b.valid)
        ctx.autocast = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
        ctx.save_for_backward(*inputs)  # the weights too, so that autograd sees it if they change meanwhile
        return torch.cat([similarity(a[i : i + chunk], b) for i in range(0, len(a), chunk)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "a b"]) -> tuple[Tensor | None, ...]:
        a, b, *weights = ctx.saved_tensors
        a_valid, b_valid = ctx.valid
        b = b.detach().requires_grad_()
        trained = [weight for weight in weights if weight.requires_grad]
        of_a, of_others = torch.empty_like(a), [torch.zeros_like(x) for x in (b, *trained)]
        for first in range(0, len(a), ctx.chunk):
            rows = slice(first, first + ctx.chunk)
            some_a = a[rows].detach().requires_grad_()
            with torch.enable_grad(), torch.autocast(*ctx.autocast):
                scores = ctx.similarity(Units(some_a, a_valid[rows]), Units(b, b_valid))
                asked = (scores * grad[rows]).sum()  # `grad_outputs` below would import sympy: 2 s, 35 MB
            of_a[rows], *others = torch.autograd.grad(asked, [some_a, b, *trained])
            for total, other in zip(of_others, others, strict=True):
                total += other
        of_b, *of_trained = of_others
        found = iter(of_trained)
        of_weights = [next(found) if weight.requires_grad else None for weight in weights]
        return None, None, None, None, of_a, of_b, *of_weights


# ---- many ranks


def score_global_pairs(
    a: Units, b: Units, similarity: Compare, chunk: int | None = None
) -> Float[Tensor, "all_a all_b"]:
    """Scores of all pairs of the global batch, on every rank, each pair computed on one rank alone.

    A rank scores its own rows against everybody's columns, then rows are exchanged, which are small. A loss
    of these scores is the same on all ranks, and the mean over ranks of the weights' gradients, which DDP
    takes, is that of one process with the global batch. Without ranks it is `score_pairs`.
    """
    return gather_rows(score_pairs(a, gather(b), similarity, chunk))


def gather(units: Units) -> Units:
    """The units of all ranks, in the order of ranks, with gradient; padded to the most places of any rank."""
    if _num_ranks() == 1:
        return units
    most = torch.tensor(units.valid.shape[1], device=units.valid.device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    lacking = int(most) - units.valid.shape[1]
    vectors = F.pad(units.vectors, (0, 0, 0, lacking))
    return Units(gather_rows(vectors), gather_rows(F.pad(units.valid, (0, lacking))))


def gather_rows(rows: Shaped[Tensor, "row ..."]) -> Shaped[Tensor, "all_rows ..."]:
    """The rows of all ranks, in the order of ranks; a row's gradient is the sum of what all ranks ask of it.

    So if the mean over ranks of what they compute is the loss, the mean over ranks of their gradients is its
    gradient. (MIL-NCE's code keeps its own rank's share instead, which makes gradients smaller by the number
    of ranks.)

    Raises:
        ValueError: ranks have different numbers of rows.
    """
    if _num_ranks() == 1:
        return rows
    if rows.dtype == torch.bool:
        return gather_rows(rows.byte()).bool()  # gloo knows no bool
    return _GatherRows.apply(rows)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        _refuse_unequal(rows)
        ctx.num = len(rows)
        everywhere = [torch.empty_like(rows) for _ in range(_num_ranks())]
        dist.all_gather(everywhere, rows.contiguous())
        return torch.cat(everywhere)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.contiguous().clone()  # autograd may still need what it handed out
        dist.all_reduce(grad)
        return grad[dist.get_rank() * ctx.num :][: ctx.num]


def _refuse_unequal(rows: Tensor) -> None:
    num = torch.tensor([len(rows)], device=rows.device)
    nums = [torch.empty_like(num) for _ in range(_num_ranks())]
    dist.all_gather(nums, num)
    if len(set(found := [int(n) for n in nums])) > 1:
        raise ValueError(
            f"every rank must bring as many items, got {found}; let the ranks divide the batch size"
        )


def _num_ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
