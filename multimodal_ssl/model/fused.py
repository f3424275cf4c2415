"""`similarity.log_mean_exp` with one array of products, which the reduction overwrites: less memory, less time.

What torch makes of the formula keeps the products, their masked copy and what the logarithm needs, each as large as
all pairs' positions times phrases. Here they become their exponentials in place, and these, divided by their sums, are
the attention that the way back multiplies by. Equal but for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable


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
        shares = ((a / g).flatten(0, 1) @ b.flatten(0, 1).T).unflatten(0, a.shape[:2])
        hidden = torch.zeros_like(a_valid, dtype=a.dtype).masked_fill(~a_valid, torch.finfo(a.dtype).min)
        shares += hidden[:, :, None]
        most = shares.amax(dim=1, keepdim=True)
        sums = shares.sub_(most).exp_().sum(dim=1, keepdim=True)
        ctx.save_for_backward(a, b, shares, sums)
        ctx.g = g
        result: Tensor = (sums.log() + most)[:, 0]
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, shares, sums = ctx.saved_tensors
        asked = (shares * (grad[:, None] / sums / ctx.g)).flatten(0, 1)
        of_a = (asked @ b.flatten(0, 1)).view_as(a) if ctx.needs_input_grad[0] else None
        of_b = (asked.T @ a.flatten(0, 1)).view_as(b) if ctx.needs_input_grad[1] else None
        return of_a, of_b, None, None
