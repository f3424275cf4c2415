"""The light single-frame network: wide-activation blocks with channel attention, enlarged in stages.

The paper's text on it was not available; block sizes are those of WDSR's public code, with channel
attention added.

Departures: the skip over the whole network is the bicubic enlargement, where WDSR has a 5x5 convolution and
pixel shuffle; the last convolution starts at zero and has no weight normalisation, whose direction is
undefined at zero. A new network is therefore the bicubic enlargement. 0.5 is subtracted, where WDSR
subtracts the mean of its corpus.
"""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from common.data.resize import upscale
from video_sr.models.blocks import ChannelAttention, conv3x3, start_small

FACTOR = 16


class WideActivationBlock(nn.Module):
    """`x + attention(conv3x3(conv1x1(relu(conv1x1(x)))))`, wide at the ReLU only  [Yu18 WDSR-B].

    Args:
        channels: n, of input and output.
        expansion: the ReLU sees `expansion * n` channels.
        linear_ratio: the 3x3 convolution reads `int(linear_ratio * n)` channels, 0..1.
        squeeze: of the channel attention.
    """

    def __init__(self, channels: int, expansion: int, linear_ratio: float, squeeze: int):
        super().__init__()
        narrow = int(channels * linear_ratio)
        if not 1 <= narrow <= channels:
            raise ValueError(
                f"linear_ratio must leave 1..{channels} channels, got {linear_ratio} ({narrow} channels)"
            )
        self.widen = weight_norm(nn.Conv2d(channels, channels * expansion, 1))
        self.narrow = weight_norm(nn.Conv2d(channels * expansion, narrow, 1))
        self.spread = weight_norm(conv3x3(narrow, channels))
        self.attention = ChannelAttention(channels, squeeze)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return x + self.attention(self.spread(self.narrow(F.relu(self.widen(x), inplace=True))))


class WideActivation(nn.Module):
    """Enlarges one frame x16: wide-activation blocks at LR size, then stages  [Fuoli20, team CET CVLab].

    Given several frames it reads the centre one alone. A new network returns the bicubic enlargement
    exactly.

    Args:
        channels: width at LR size and after every stage but the last, whose output is the picture.
        blocks: wide-activation blocks.
        expansion, linear_ratio, squeeze: see `WideActivationBlock`.
        stages: enlargement of each stage; their product must be 16.
    """

    num_frames = 1

    def __init__(
        self,
        channels: int = 64,
        blocks: int = 16,
        expansion: int = 6,
        linear_ratio: float = 0.8,
        squeeze: int = 16,
        stages: tuple[int, ...] = (4, 4),
    ):
        super().__init__()
        if math.prod(stages) != FACTOR:
            raise ValueError(f"the product of stages must be {FACTOR}, got {stages}")
        self.enter = weight_norm(conv3x3(3, channels))
        self.blocks = nn.Sequential(
            *(WideActivationBlock(channels, expansion, linear_ratio, squeeze) for _ in range(blocks))
        )
        *inner, last = stages
        self.tail = nn.Sequential()
        for factor in inner:
            self.tail.append(weight_norm(conv3x3(channels, channels * factor**2)))
            self.tail.append(nn.PixelShuffle(factor))
        self.leave = conv3x3(channels, 3 * last**2)
        start_small(self.leave, gain=0.0)
        self.shuffle = nn.PixelShuffle(last)

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        centre = frames[:, frames.shape[1] // 2]
        features = self.blocks(self.enter(centre - 0.5))
        return upscale(centre, FACTOR) + self.shuffle(self.leave(self.tail(features)))
