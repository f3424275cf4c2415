"""Losses of the x16 networks: of fidelity, from picture and truth, and of what a critic makes of both."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


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


def relativistic(better: Float[Tensor, "*shape"], worse: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """`mean(log(1 + exp(worse - better)))`: log 2 where a critic cannot tell the two  [Jolicoeur-Martineau18].

    A critic minimises it with the truth as the better one, a generator with its own picture.
    """
    return F.softplus(worse - better).mean()


def feature_matching(made: Sequence[Tensor], truth: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Mean distance of a critic's features, over layers; the truth's are held still  [Wang18 pix2pixHD]."""
    return torch.stack([l1(ours, theirs.detach()) for ours, theirs in zip(made, truth, strict=True)]).mean()


def offset_error(
    offset_px: Float[Tensor, "batch time two_groups_taps height width"],
    truth_px: Float[Tensor, "batch time 2 height width"],
    known: Float[Tensor, "batch time height width"],
) -> Float[Tensor, ""]:
    """Mean distance of every group's and tap's offset (down, right) from the true motion, in pixels; 0 at the truth.

    Places of which nothing is known add nothing, and are counted, so that means of parts of a batch average.
    As the offset-fidelity loss [Chan21, Understanding Deformable Alignment], without its threshold of 10 pixels, which
    is more than anything moves here.
    """
    error = (offset_px.unflatten(2, (-1, 2)) - truth_px[:, :, None]).abs().mean((2, 3))
    return (error * known).mean()


def pooled_motion(
    offset_px: Float[Tensor, "batch time 2 height width"],
    known: Float[Tensor, "batch time height width"],
    times: int,
) -> tuple[Float[Tensor, "batch time 2 lower narrower"], Float[Tensor, "batch time lower narrower"]]:
    """Mean motion of the known ones of `times` x `times` pixels, in pixels so large, and the share that is known."""
    share = F.avg_pool2d(known, times)
    total = F.avg_pool2d((offset_px * known[:, :, None]).flatten(1, 2), times).unflatten(1, (-1, 2))
    return total / share.clamp(min=1e-6)[:, :, None] / times, share
