"""A recurrent network after BasicVSR++: features run through the window twice each way. Ours, no entry.

Every pass aligns the features of the two frames before it by deformable convolutions that start from the frames' motion
(second-order, flow-guided), and reads what the passes before it made. BasicSR's public code is the reference.

Departures from BasicVSR++: motion is one affine map a pair of frames, estimated without weights (`registration.py`),
for SPyNet's weights come in no package; four stages of x2 instead of two; the skip is MATLAB's bicubic and the last
layer starts at zero, so a new network is bicubic; it sees a window and gives its middle frame.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from common.data.resize import upscale
from video_sr.challenge import FACTOR
from video_sr.models.blocks import (
    TAPS,
    ResidualBlock,
    check_frames,
    conv3x3,
    deform_conv2d,
    leaky,
    pixel_shuffle_tail,
    start_small,
)
from video_sr.models.registration import Registration, shifts, warp

PASSES = ("backward_1", "forward_1", "backward_2", "forward_2")
Shift = Float[Tensor, "batch 2 height width"]  # (right, down) in pixels


class SecondOrderAlignment(nn.Module):
    """Features of the last two frames of a pass, sampled where motion and a learned rest of it point  [Chan22].

    Args:
        channels: of a frame's features.
        groups: sets of offsets over both frames' features, even; the first half looks at the nearer frame.
        farthest_px: of the learned rest.
    """

    def __init__(self, channels: int, groups: int, farthest_px: float):
        super().__init__()
        self.farthest_px = farthest_px
        self.weight = conv3x3(2 * channels, channels).weight
        self.bias = nn.Parameter(torch.zeros(channels))
        layers = [conv3x3(3 * channels + 4, channels), leaky()]
        for _ in range(2):
            layers += [conv3x3(channels, channels), leaky()]
        self.steer = nn.Sequential(*layers, conv3x3(channels, 3 * TAPS * groups))
        start_small(cast(nn.Conv2d, self.steer[-1]), gain=0.0)
        self.mean_offset_px = torch.zeros(())

    def forward(
        self,
        before: Float[Tensor, "batch two_channels height width"],
        seen: Float[Tensor, "batch three_channels height width"],
        shift: Shift,
        shift_twice: Shift,
    ) -> Float[Tensor, "batch channels height width"]:
        """`seen`: both frames' features moved by their shifts, around those of the frame itself."""
        nearer, farther, mask = self.steer(torch.cat((seen, shift, shift_twice), 1)).chunk(3, 1)
        rest = self.farthest_px * torch.tanh(torch.cat((nearer, farther), 1))
        self.mean_offset_px = rest.detach().abs().mean()
        # Offsets are (down, right) for every group and tap.
        times = rest.shape[1] // 4
        motion = torch.cat([each.flip(1).repeat(1, times, 1, 1) for each in (shift, shift_twice)], 1)
        return deform_conv2d(before, rest + motion, torch.sigmoid(mask), self.weight, self.bias)


class Pass(nn.Module):
    """Features handed on from frame to frame.

    Args:
        num_inputs: features of a frame that it reads, its own among them.
    """

    def __init__(self, channels: int, num_inputs: int, blocks: int, groups: int, farthest_px: float):
        super().__init__()
        self.align = SecondOrderAlignment(channels, groups, farthest_px)
        self.trunk = _residual((1 + num_inputs) * channels, channels, blocks)

    def forward(self, inputs: list[list[Tensor]], motion: list[Shift]) -> list[Tensor]:
        """One result a frame.

        Args:
            inputs: of each frame, in the pass's order: its own features, then those of earlier passes.
            motion: from each frame but the first to the one before it in the pass.
        """
        made: list[Tensor] = []
        for index, (own, *earlier) in enumerate(inputs):
            held = torch.zeros_like(own)
            if index:
                held = self._aligned(made, own, motion[:index])
            made.append(held + self.trunk(torch.cat((own, *earlier, held), 1)))
        return made

    def _aligned(self, made: list[Tensor], own: Tensor, motion: list[Shift]) -> Tensor:
        shift, last = motion[-1], made[-1]
        second, shift_twice = torch.zeros_like(last), torch.zeros_like(shift)
        seen_twice = torch.zeros_like(last)
        if len(made) > 1:
            second, shift_twice = made[-2], shift + _moved(motion[-2], shift)
            seen_twice = _moved(second, shift_twice)
        seen = torch.cat((_moved(last, shift), own, seen_twice), 1)
        return cast(Tensor, self.align(torch.cat((last, second), 1), seen, shift, shift_twice))


def _moved(x: Tensor, shift: Shift) -> Tensor:
    """What lies outside is 0."""
    return warp(x.float(), shift.float(), padding="zeros")


def _residual(channels_in: int, channels: int, blocks: int) -> nn.Sequential:
    inside = (ResidualBlock(channels) for _ in range(blocks))
    return nn.Sequential(conv3x3(channels_in, channels), leaky(), *inside)


class Propagation(nn.Module):
    """The four passes, and all that they made of one frame brought together.

    Args: see `networks.BasicVSRSizes`.
    """

    def __init__(self, *, channels: int, blocks: int, front_blocks: int, groups: int, farthest_px: float):
        super().__init__()
        self.passes = nn.ModuleDict(
            {
                name: Pass(channels, 1 + place, blocks, groups, farthest_px)
                for place, name in enumerate(PASSES)
            }
        )
        self.join = _residual((1 + len(PASSES)) * channels, channels, front_blocks)

    def forward(
        self, features: list[Tensor], to_next: list[Shift], to_last: list[Shift]
    ) -> Float[Tensor, "batch channels height width"]:
        """Of the middle frame.

        Args:
            features: of every frame.
            to_next: motion from each frame but the last to the next.
            to_last: from each frame but the first to the one before.
        """
        held, middle = [[each] for each in features], len(features) // 2
        for name in PASSES:
            if name.startswith("backward"):
                made = self.passes[name](held[::-1], to_next[::-1])[::-1]
            else:  # what the last pass makes of frames after the middle one, nobody reads
                until = middle + 1 if name == PASSES[-1] else len(held)
                made = self.passes[name](held[:until], to_last[: until - 1])
            for of_frame, one in zip(held, made, strict=False):
                of_frame.append(one)
        return cast(Tensor, self.join(torch.cat(held[middle], 1)))


class BasicVSR(nn.Module):
    """Enlarges the middle of `num_frames` frames x16  [Chan22 BasicVSR++].

    Args: see `networks.BasicVSRSizes`, which checks them.
    """

    def __init__(
        self, *, num_frames: int, channels: int, blocks: int, front_blocks: int, groups: int, farthest_px: float,
        registration_rounds: int, tail_channels: tuple[int, ...],
    ):  # fmt: skip
        super().__init__()
        self.num_frames = num_frames
        self.register = Registration(registration_rounds)
        self.front = _residual(3, channels, front_blocks)
        self.propagate = Propagation(
            channels=channels,
            blocks=blocks,
            front_blocks=front_blocks,
            groups=groups,
            farthest_px=farthest_px,
        )
        self.tail = pixel_shuffle_tail(channels, tail_channels)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def mean_offset_px(self) -> Float[Tensor, ""]:
        """Largest mean |learned offset| of the passes in the last forward, in LR pixels; detached."""
        return torch.stack(
            [cast(Pass, each).align.mean_offset_px for each in self.propagate.passes.values()]
        ).max()

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch 3 16*height 16*width"]:
        batch, time = frames.shape[:2]
        check_frames(frames, self.num_frames)
        features = self.front((frames - 0.5).flatten(0, 1)).unflatten(0, (batch, time))
        to_next = self._motion(frames[:, 1:], frames[:, :-1])
        to_last = self._motion(frames[:, :-1], frames[:, 1:])
        made = self.propagate(list(features.unbind(1)), to_next, to_last)
        return upscale(frames[:, time // 2], FACTOR) + cast(Tensor, self.tail(made))

    def _motion(self, others: Tensor, frames: Tensor) -> list[Shift]:
        """From each frame to the one beside it; in single precision, for half cannot tell pixel 100 from 100.4."""
        size = (frames.shape[-2], frames.shape[-1])
        with torch.autocast(frames.device.type, enabled=False):
            affine = self.register(others.flatten(0, 1).float(), frames.flatten(0, 1).float())
            return list(shifts(affine, size).unflatten(0, frames.shape[:2]).unbind(1))
