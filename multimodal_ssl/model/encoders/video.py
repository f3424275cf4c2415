"""Clips to units, one a place of the last feature map: a small network, and torchvision's S3D and R(2+1)D.

Batch norms take their statistics over all places of all clips in this process's batch; ranks do not share them.
(MMV's are shared by all replicas [Alayrac20]; MIL-NCE's public code has one set a rank, as here.)

All keep channels last in memory: on one AVX-512 core the small network's step, forward and backward, then took
0.13 s instead of 0.20 s (48 clips of 4 frames of 64x64), 2-D convolutions over folded axes 0.13 to 0.14 s. Clips
that lie in memory as "batch time height width channel" are taken without a copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from multimodal_ssl.model.units import Units

Grid = tuple[int, int, int]  # places in time, height and width


def as_video(frames: UInt8[Tensor, "clip time height width 3"]) -> Float[Tensor, "clip time 3 height width"]:
    """Pixels in [0, 1]; the memory stays as it is, channels last."""
    return (frames.float() / 255).permute(0, 1, 4, 2, 3)


class VideoEncoder(nn.Module, ABC):
    """A network over frames, and where on a clip its units lie.

    Units come in the order of `grid`, width fastest; all are valid.

    Attributes:
        width: channels of a unit.
    """

    width: int

    def __init__(self, trunk: nn.Module, width: int):
        super().__init__()
        self.trunk = trunk
        self.width = width

    @abstractmethod
    def grid(self, time: int, height: int, width: int) -> Grid:
        """Places that a clip of so many frames and pixels gives."""

    def forward(self, video: Float[Tensor, "batch time 3 height width"]) -> Units:
        """Units of clips with pixels in [0, 1].

        Raises:
            ValueError: a clip too small to leave one place.
        """
        time, _, height, width = video.shape[1:]
        if min(self.grid(time, height, width)) < 1:
            name = type(self).__name__.removesuffix("Encoder")
            raise ValueError(
                f"{name} leaves no place of {time} frames of {height}x{width} pixels; "
                "give it more or larger frames"
            )
        x = video.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
        # batch channel time height width -> batch (time height width) channel, which copies nothing
        vectors = self.trunk(x).permute(0, 2, 3, 4, 1).flatten(1, 3)
        return Units(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device))


class SmallVideoEncoder(VideoEncoder):
    """1x5x5/2, 1x3x3/2, 3x1x1, 1x3x3/2, 3x1x1, 1x3x3, each with batch norm and ReLU: space and time in turn.

    An 8th of the height and width; time as `time_strides` say.
    """

    def __init__(self, widths: tuple[int, int, int], time_strides: tuple[int, int]):
        first, second, third = widths
        early, late = time_strides
        super().__init__(
            _channels_last(
                _layer(3, first, (1, 5, 5), (1, 2, 2)),
                _layer(first, second, (1, 3, 3), (1, 2, 2)),
                _layer(second, second, (3, 1, 1), (early, 1, 1)),
                _layer(second, third, (1, 3, 3), (1, 2, 2)),
                _layer(third, third, (3, 1, 1), (late, 1, 1)),
                _layer(third, third, (1, 3, 3), (1, 1, 1)),
            ),
            width=third,
        )
        self.time_strides = time_strides

    def grid(self, time: int, height: int, width: int) -> Grid:
        for stride in self.time_strides:
            time = -(-time // stride)
        return time, _halved(height, 3), _halved(width, 3)


class S3DEncoder(VideoEncoder):
    """Separable 3-D Inception up to its last map, 1024 channels  [Xie18 S3D], as torchvision has it.

    16 frames of 224x224 make 2x7x7 places. Without the gates of S3D-G, which MIL-NCE and MMV used. torchvision's
    batch norms forget at 0.001 a step, so that after 1,000 steps a third of the statistics at test would still be
    those of the start; here it is 0.1, as in MMV. Numbers at test are torchvision's on equal weights.
    """

    def __init__(self) -> None:
        from torchvision.models.video import s3d

        norm = partial(nn.BatchNorm3d, eps=1e-3, momentum=0.1)
        super().__init__(_channels_last(*s3d(weights=None, norm_layer=norm).features), width=1024)

    def grid(self, time: int, height: int, width: int) -> Grid:
        # The last pooling layer has no padding and drops an odd place.
        return _halved(time, 2) // 2, _halved(height, 4) // 2, _halved(width, 4) // 2


class R2Plus1DEncoder(VideoEncoder):
    """R(2+1)D-18 up to its last map, 512 channels  [Tran18], as torchvision has it.

    16 frames of 112x112 make 2x7x7 places.
    """

    def __init__(self) -> None:
        from torchvision.models.video import r2plus1d_18

        net = r2plus1d_18(weights=None)
        layers = (net.stem, net.layer1, net.layer2, net.layer3, net.layer4)
        super().__init__(_channels_last(*layers), width=512)

    def grid(self, time: int, height: int, width: int) -> Grid:
        return _halved(time, 3), _halved(height, 4), _halved(width, 4)


def _channels_last(*layers: nn.Module) -> nn.Module:
    stack: nn.Module = nn.Sequential(*layers).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return stack


def _layer(channels_in: int, channels: int, kernel: Grid, stride: Grid) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Sequential(
        nn.Conv3d(channels_in, channels, kernel, stride, padding, bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def _halved(size: int, times: int) -> int:
    """Size after so many strides of 2, each of which keeps an odd place."""
    return -(-size // 2**times)
