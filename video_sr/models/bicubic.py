"""Bicubic enlargement, the baseline every claim of the paper is measured against."""

from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import upscale


class Bicubic(nn.Module):
    """Enlarges the centre frame by Keys' cubic (a = -0.5) as MATLAB's imresize does; nothing is learned.

    Args:
        factor: 16, or less as a control of what less extreme super-resolution loses.
    """

    num_frames = 1

    def __init__(self, factor: int = 16):
        super().__init__()
        self.factor = factor

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 out_height out_width"]:
        return upscale(frames[:, frames.shape[1] // 2], self.factor)
