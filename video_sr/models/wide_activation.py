"""The light single-frame network: wide-activation blocks with channel attention, enlarged in stages.

The paper's text on it was not available; block sizes are those of WDSR's public code, with channel
attention added.

Departures: the skip over the whole network is the bicubic enlargement, where WDSR has a 5x5 convolution and
pixel shuffle; the last convolution starts at zero and has no weight normalisation, whose direction is
undefined at zero. A new network is therefore the bicubic enlargement. 0.5 is subtracted, where WDSR
subtracts the mean of its corpus.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.blocks import ChannelAttention, conv3x3, start_small


class WideActivationBlock(nn.Module):
    """`x + attention(conv3x3(conv1x1(relu(conv1x1(x)))))`, wide at the ReLU only  [Yu18 WDSR-B].

    `channels` come and go; the ReLU sees `wide` of them, the 3x3 convolution reads `narrow`.
    """

    def __init__(self, channels: int, wide: int, narrow: int, squeeze: int):
        super().__init__()
        self.widen = weight_norm(nn.Conv2d(channels, wide, 1))
        self.narrow = weight_norm(nn.Conv2d(wide, narrow, 1))
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

    Args: see `networks.WideActivationSizes`, which checks them; `wide` and `narrow` are channels in a block.
    """

    num_frames = 1

    def __init__(
        self, *, channels: int, blocks: int, wide: int, narrow: int, squeeze: int, stages: tuple[int, ...]
    ):
        super().__init__()
        self.enter = weight_norm(conv3x3(3, channels))
        self.blocks = nn.Sequential(
            *(WideActivationBlock(channels, wide, narrow, squeeze) for _ in range(blocks))
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
