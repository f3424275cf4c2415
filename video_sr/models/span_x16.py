"""SPAN's two steps as one network of x16, with an x4 picture between them that agrees with its neighbours too.

The centre frame is enlarged x4. How each neighbour moved is told by the small frames (`registration.py`). Moved alike
and made small again, the x4 picture should be that neighbour; what it lacks is brought back onto it, some rounds long:
iterated back-projection  [Irani91]. Neighbours that moved by parts of a pixel tell of detail that one frame cannot
hold. Where a neighbour shows something else, it is not believed. The second SPAN enlarges the result.

All weights but the rounds' steps are SPAN's: untrained it is SPAN twice over a better x4 picture, and training goes
through both.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.resize import downscale, upscale
from video_sr.models.blocks import check_frames
from video_sr.models.registration import Registration, inside, shifts, warp
from video_sr.models.span import STEP, SPANTwice

FIRST_STEP = 1.5  # of a round, over the number of frames: two would not settle
DOUBT = 0.02  # mean difference, of values in 0..1, at which a neighbour counts a quarter
PLACE_PX = 5  # a side, over which that is taken


class Agreement(nn.Module):
    """Changes an enlarged picture until it agrees, made small, with its own frame and with neighbours that moved.

    Args:
        rounds: of back-projection, each with a step of its own that is learned; 0 changes nothing.
        registration_rounds: see `Registration`.
    """

    def __init__(self, rounds: int, registration_rounds: int):
        super().__init__()
        self.registration = Registration(registration_rounds)
        self.step = nn.Parameter(torch.full((rounds,), FIRST_STEP))

    def forward(
        self,
        picture: Float[Tensor, "batch 3 x4_height x4_width"],
        frames: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch 3 x4_height x4_width"]:
        time, size = frames.shape[1], (frames.shape[-2], frames.shape[-1])
        centre = frames[:, time // 2].float()
        others = [frames[:, index].float() for index in range(time) if index != time // 2]
        motions = [self.registration(centre, other) for other in others]
        picture = picture.float()
        for step in self.step / time:
            change = upscale(centre - downscale(picture, STEP), STEP)
            for other, motion in zip(others, motions, strict=True):
                there = downscale(warp(picture, shifts(motion, size, STEP)), STEP)
                lacking = _believed((other - there) * inside(shifts(motion, size)))
                change = change + warp(upscale(lacking, STEP), shifts(-motion, size, STEP))
            picture = picture + step * change
        return picture


def _believed(lacking: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """The less, the more a place lacks: there the neighbour shows something else."""
    with torch.no_grad():
        size = lacking.abs().mean(1, keepdim=True)
        around = F.avg_pool2d(size, PLACE_PX, stride=1, padding=PLACE_PX // 2, count_include_pad=False)
        belief = (1 + (around / DOUBT).square()).pow(-2)
    return lacking * belief


class SPANx16(SPANTwice):
    """Enlarges the middle one of `num_frames` frames x16.

    Args: see `networks.SPANx16Sizes`.
    """

    def __init__(self, *, num_frames: int, channels: int, blocks: int, rounds: int, registration_rounds: int):
        super().__init__(channels=channels, blocks=blocks)
        self.num_frames = num_frames
        self.agreement = Agreement(rounds, registration_rounds)

    def x4(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 4*height 4*width"]:
        """The picture between the two steps."""
        check_frames(frames, self.num_frames)
        picture = self.first(frames[:, self.num_frames // 2]).clamp(0, 1)
        return self.agreement(picture, frames).clamp(0, 1)
