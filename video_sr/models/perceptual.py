"""A generator and the critic that it is trained against; what enlarges is the generator alone.

The critic is a U-Net with spectral norm, which judges every pixel with its surroundings (Real-ESRGAN's, with a width to
choose). What comes out looks sharper and is less true: it is never chosen unasked, and says what it is.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2  # of negative inputs
HALVINGS = 3


class Critic(nn.Module):
    """An opinion on every pixel of a picture, and the features of its way down  [Wang21 Real-ESRGAN].

    Args:
        channels: at full size; they double at each of three halvings. Sides must be multiples of 8.
    """

    def __init__(self, channels: int):
        super().__init__()
        widths = [channels * 2**level for level in range(HALVINGS + 1)]
        self.enter = nn.Conv2d(3, channels, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(wide, 2 * wide, 4, stride=2, padding=1, bias=False))
            for wide in widths[:-1]
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(2 * wide, wide, 3, padding=1, bias=False))
            for wide in reversed(widths[:-1])
        )
        self.leave = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch 1 height width"], list[Tensor]]:
        x = F.leaky_relu(self.enter(pictures), SLOPE)
        held = [x]
        for layer in self.down:
            x = F.leaky_relu(layer(x), SLOPE)
            held.append(x)
        for layer, beside in zip(self.up, reversed(held[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), SLOPE) + beside
        return self.leave(x), held


class Perceptual(nn.Module):
    """Enlarges by its generator.

    Args: see `networks.PerceptualSizes`.
    """

    told = (
        "this model was trained for what looks right: it invents detail, and is less true than one of track 1"
    )

    def __init__(self, generator: nn.Module, critic_channels: int):
        super().__init__()
        self.generator, self.critic = generator, Critic(critic_channels)
        self.num_frames = generator.num_frames

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Of the generator's alignment, 0 where it has none."""
        return cast(Tensor, getattr(self.generator, "mean_offset_px", torch.zeros(())))

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 sr_height sr_width"]:
        return cast(Tensor, self.generator(frames))
