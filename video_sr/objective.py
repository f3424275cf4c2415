"""Fidelity losses of the x16 networks: predicted picture and truth in, one number out."""

from jaxtyping import Float
from torch import Tensor


def charbonnier(
    prediction: Float[Tensor, "*shape"], truth: Float[Tensor, "*shape"], eps: float = 1e-6
) -> Float[Tensor, ""]:
    """`mean(sqrt((prediction - truth)² + eps))`, a rounded L1  [Wang19 EDVR].

    Pictures are in [0, 1]. EDVR's eps of 1e-6 rounds the corner of L1 off below 0.001, a quarter of an
    8-bit step; the loss is at least `sqrt(eps)`, 0.001, even for a perfect prediction. EDVR's code sums
    over the picture; the mean leaves the learning rate independent of the patch size.
    """
    if eps <= 0:
        raise ValueError(f"eps must be positive or the gradient is undefined where pictures agree, got {eps}")
    return ((prediction - truth).square() + eps).sqrt().mean()


def l1(prediction: Float[Tensor, "*shape"], truth: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """`mean(|prediction - truth|)`, pictures in [0, 1]  [Zhang18 RCAN, Yu18 WDSR]."""
    return (prediction - truth).abs().mean()
