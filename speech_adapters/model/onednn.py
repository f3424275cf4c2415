"""Linear layers by oneDNN's matrix product, for training and recognition on a CPU.

torch multiplies float32 matrices on a CPU by MKL. On an EPYC oneDNN's product, which torch carries for convolutions,
takes less time, forth and back alike; how much of a step that is, is measured by `python -m benchmarks.speech_steps
--parts settings`. The sums are added up in another order, so losses differ by float32's rounding.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

AnyModule = TypeVar("AnyModule", bound=nn.Module)
CPU = Path("/proc/cpuinfo")


@cache
def pays() -> bool:
    """Whether this torch has the product, and a processor on which it was measured to be faster: AMD's, under Linux."""
    has_it = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_it and CPU.is_file() and "AuthenticAMD" in CPU.read_text()


def by_onednn(module: AnyModule) -> AnyModule:
    """Puts `OneDnnLinear` in the place of every plain linear layer, with the same weights under the same names."""
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            setattr(module, name, OneDnnLinear(child))
        else:
            by_onednn(child)
    return module


class OneDnnLinear(nn.Linear):
    """A linear layer that multiplies by oneDNN where it pays: float32 on a CPU, without autocast."""

    def __init__(self, linear: nn.Linear):
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        plain = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        if not plain or torch.is_autocast_enabled("cpu") or not pays():
            return super().forward(x)
        flat = x.reshape(-1, self.in_features)
        product: Tensor = _Linear.apply(flat, self.weight, self.bias)
        return product.view(*x.shape[:-1], self.out_features)


class _Linear(torch.autograd.Function):
    """`x weightᵀ + bias`; of what comes back only that is computed which somebody asks for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        wanted_x, wanted_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if wanted_weight else None, weight if wanted_x else None)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias = ctx.needs_input_grad
        return (
            _product(grad, weight.T) if wanted_x else None,
            _product(grad.T, x.T) if wanted_weight else None,
            grad.sum(dim=0) if wanted_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found
