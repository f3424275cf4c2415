"""The baseline enlarges the centre frame and nothing else."""

import torch

from common.data.resize import upscale
from video_sr.models.bicubic import Bicubic


def test_bicubic_is_the_enlarged_centre_frame_without_weights():
    torch.manual_seed(0)
    frames = torch.rand(2, 5, 3, 6, 7)
    assert torch.equal(Bicubic()(frames), upscale(frames[:, 2], 16))
    assert Bicubic()(frames).shape == (2, 3, 96, 112)
    assert not list(Bicubic().parameters())
