"""`similarity.log_mean_exp` with one array of products, which the reduction overwrites: less memory, less time.

What torch makes of the formula keeps the products, their masked copy and what the logarithm needs, each as large as
all pairs' positions times phrases. Here they become their exponentials in place, some items at a time while they are
in the processor's cache, and these, divided by their sums, are the attention that the way back multiplies by. Equal but
for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

IN_CACHE = 1 << 18  # products, of 4 bytes


def log_sum_of_products(
    a: Float[Tensor, "a a_unit width"],
    b: Float[Tensor, "b b_unit width"],
    a_valid: Bool[Tensor, "a a_unit"],
    g: float,
) -> Float[Tensor, "a b b_unit"]:
    """`log Σ_k exp(a_k · b_l / g)` over an item's valid units k, of all pairs."""
    found: Tensor = _LogSumOfProducts.apply(a, b, a_valid, g)
    return found.unflatten(1, b.shape[:2])


class _LogSumOfProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, a_valid: Tensor, g: float) -> Tensor:
        flat_b = b.flatten(0, 1)
        shares = a.new_empty(*a.shape[:2], len(flat_b))
        most, sums = (a.new_empty(len(a), 1, len(flat_b)) for _ in range(2))
        hidden = torch.zeros_like(a_valid, dtype=a.dtype).masked_fill(~a_valid, torch.finfo(a.dtype).min)
        for part in _parts(shares):
            own = shares[part]
            torch.mm((a[part] / g).flatten(0, 1), flat_b.T, out=own.flatten(0, 1))
            own += hidden[part, :, None]
            most[part] = own.amax(dim=1, keepdim=True)
            sums[part] = own.sub_(most[part]).exp_().sum(dim=1, keepdim=True)
        ctx.save_for_backward(a, b, shares, sums)
        ctx.g = g
        result: Tensor = (sums.log() + most)[:, 0]
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, shares, sums = ctx.saved_tensors
        flat_b = b.flatten(0, 1)
        of_a, of_b = torch.empty_like(a), torch.zeros_like(flat_b)
        wanted_a, wanted_b, *_ = ctx.needs_input_grad
        for part in _parts(shares):
            asked = (shares[part] * (grad[part, None] / sums[part] / ctx.g)).flatten(0, 1)
            if wanted_a:
                of_a[part] = (asked @ flat_b).view_as(a[part])
            if wanted_b:
                of_b.addmm_(asked.T, a[part].flatten(0, 1))
        return of_a if wanted_a else None, of_b.view_as(b) if wanted_b else None, None, None


def _parts(products: Tensor) -> list[slice]:
    """Items that are worked on at a time: on a CPU as many as its cache holds, else all."""
    if products.device.type != "cpu":
        return [slice(None)]
    size = max(1, IN_CACHE * len(products) // max(1, products.numel()))
    return [slice(start, start + size) for start in range(0, len(products), size)]
