"""Clips and captions as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from common.sending import sent
from multimodal_ssl.model.encoders.video import as_video

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import ComposedClips


@dataclass(frozen=True)
class ClipBatch:
    """Clip i with text i, its own caption or a wrong one."""

    frames: UInt8[Tensor, "clip time height width 3"]
    text: Int[Tensor, "clip word"]  # ids of words, 0 for padding

    @property
    def video(self) -> Float[Tensor, "clip time 3 height width"]:
        return as_video(self.frames)

    def to(self, device: Any) -> ClipBatch:
        return replace(self, frames=sent(self.frames, device), text=sent(self.text, device))


def train_batch(composed: ComposedClips, wrong: tuple[Any, Any], places: Sequence[int]) -> ClipBatch:
    """Training clips with the captions that they are given, right or wrong."""
    captioned_as, _ = wrong
    scenes = composed.scenes("train")
    frames = np.stack([composed.train_clip(place).frames for place in places])
    return ClipBatch(
        torch.from_numpy(frames),
        encode(composed, [scenes[int(captioned_as[place])].caption for place in places]),
    )


def encode(composed: ComposedClips, texts: Sequence[str]) -> Int[Tensor, "text word"]:
    """Ids of the words of some texts."""
    return torch.from_numpy(np.stack([composed.words.encode(text) for text in texts]))
