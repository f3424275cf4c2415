"""How steady a clip is along its motion: what a pixel showed, followed by the truth's flow, against what it shows now.

The flow is the truth's, the same for every method, estimated by iterated Lucas-Kanade at a quarter of its size. A
blurred clip is steady, so the number says nothing without PSNR beside it [Lai18 calls it warping error].
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from common.metrics.image_quality import luma
from video_sr.models.registration import inside, warp
from video_sr.protocol import degrade

REDUCED = 4  # times, before flow is estimated
RADIUS_PX = 7  # of the windows within which motion is one shift, reduced pixels
SMALLEST_FLOW_PX = 4 * (2 * RADIUS_PX + 1)  # a side of a frame, that a window fits into
HIDDEN_LEVELS = 10.0  # of difference to the truth itself, beyond which a pixel is new or lost: not followed


def flow(
    before: UInt8[ndarray, "height width 3"], now: UInt8[ndarray, "height width 3"]
) -> Float[Tensor, "1 2 height width"]:
    """Shift (right, down) in pixels from each pixel of `now` to where it was in `before`."""
    from skimage.registration import optical_flow_ilk

    small = [luma(degrade(frame, REDUCED)).astype(np.float32) / 255 for frame in (now, before)]
    down, right = optical_flow_ilk(*small, radius=RADIUS_PX)
    shift = torch.from_numpy(np.stack((right, down))).float()[None]
    size = now.shape[:2]
    return REDUCED * F.interpolate(shift, size=size, mode="bilinear", align_corners=False)


def warped_errors(
    sr: UInt8[ndarray, "2 height width 3"], hr: UInt8[ndarray, "2 height width 3"]
) -> tuple[float, float]:
    """rms(sr[1] - sr[0] moved by the truth's flow) in 8-bit levels over the pixels that can be followed, and the same
    of the truth, which no method need be below; NaN where no pixel can be."""
    shift = flow(hr[0], hr[1])
    differences = [_planes(clip[1]) - warp(_planes(clip[0]), shift) for clip in (sr, hr)]
    seen = (differences[1].square().mean(1, keepdim=True).sqrt() < HIDDEN_LEVELS) & (inside(shift) > 0)
    if not bool(seen.any()):
        return math.nan, math.nan
    of_sr, of_truth = (math.sqrt(float(d.square().mean(1, keepdim=True)[seen].mean())) for d in differences)
    return of_sr, of_truth


def _planes(frame: UInt8[ndarray, "height width 3"]) -> Float[Tensor, "1 3 height width"]:
    return torch.from_numpy(np.ascontiguousarray(frame)).movedim(-1, 0)[None].float()
