"""Bicubic enlargement, the baseline every claim of the paper is measured against."""

from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import upscale


class Bicubic(nn.Module):
    """Enlarges the centre frame by Keys' cubic (a = -0.5) as MATLAB's imresize does; nothing is learned."""

    num_frames = 1

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        return upscale(frames[:, frames.shape[1] // 2], 16)
