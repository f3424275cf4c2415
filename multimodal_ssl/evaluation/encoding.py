"""Composed clips and captions through a model, some at a time, without gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from multimodal_ssl.composed.batches import encode
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.units import Units

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import ComposedClip, ComposedClips
    from multimodal_ssl.model.matcher import Matcher

AT_ONCE = 48  # clips


# Not on the generators: what runs between two of their items is none of it.
@torch.inference_mode()
def clip_units(model: Matcher, clips: Sequence[ComposedClip], num_frames: int) -> Units:
    """Units of clips; a still is shown for as many frames as a clip has, since encoders expect one."""
    device, found = device_of(model), []
    for first in range(0, len(clips), AT_ONCE):
        frames = [as_long(np.array(clip.frames), num_frames) for clip in clips[first : first + AT_ONCE]]
        found.append(model.clips(as_video(torch.from_numpy(np.stack(frames)).to(device))))
    return Units(torch.cat([units.vectors for units in found]), torch.cat([units.valid for units in found]))


@torch.inference_mode()
def text_units(model: Matcher, composed: ComposedClips, captions: Sequence[str]) -> Units:
    return model.texts(encode(composed, captions).to(device_of(model)))


@torch.inference_mode()
def scores_of(model: Matcher, clips: Units, texts: Units) -> Float[Tensor, "clip text"]:
    return model.scores(clips, texts)


def as_long(frames: ndarray, count: int) -> ndarray:
    return np.repeat(frames, count, axis=0) if len(frames) == 1 else frames


def device_of(model: Matcher) -> torch.device:
    weight: Tensor = next(model.parameters())
    return weight.device
