"""Composed clips and captions through a model, some at a time, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from multimodal_ssl.composed.batches import encode
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.similarities import LogMeanExp
from multimodal_ssl.model.units import Units

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import ComposedClip, ComposedClips
    from multimodal_ssl.model.matcher import Matcher

AT_ONCE = 48  # clips


# Not on the generators: what runs between two of their items is none of it.
@torch.inference_mode()
def clip_units(model: Matcher, clips: Sequence[ComposedClip], num_frames: int) -> Units:
    """Units of clips; a still is shown for as many frames as a clip has, since encoders expect one."""
    return _encoded(model.clips, clips, num_frames, device_of(model))


@torch.inference_mode()
def place_units(model: Matcher, clips: Sequence[ComposedClip], num_frames: int) -> Units:
    """The same of every place, where the network averages clips too."""
    return _encoded(model.places, clips, num_frames, device_of(model))


def _encoded(
    encode_clips: Callable[[Tensor], Units],
    clips: Sequence[ComposedClip],
    num_frames: int,
    device: torch.device,
) -> Units:
    found = []
    for first in range(0, len(clips), AT_ONCE):
        frames = [as_long(np.array(clip.frames), num_frames) for clip in clips[first : first + AT_ONCE]]
        found.append(encode_clips(as_video(torch.from_numpy(np.stack(frames)).to(device))))
    return Units(torch.cat([units.vectors for units in found]), torch.cat([units.valid for units in found]))


@torch.inference_mode()
def text_units(model: Matcher, composed: ComposedClips, captions: Sequence[str]) -> Units:
    return model.texts(encode(composed, captions).to(device_of(model)))


@torch.inference_mode()
def scores_of(model: Matcher, clips: Units, texts: Units) -> Float[Tensor, "clip text"]:
    return model.scores(clips, texts)


@torch.inference_mode()
def fine_scores_of(model: Matcher, places: Units, texts: Units) -> Float[Tensor, "clip text"]:
    """By the fine similarity that is compared, whatever the model's own is."""
    return model.scores_by(LogMeanExp().build(places.vectors.shape[-1]), places, texts)


def as_long(frames: ndarray, count: int) -> ndarray:
    return np.repeat(frames, count, axis=0) if len(frames) == 1 else frames


def device_of(model: Matcher) -> torch.device:
    weight: Tensor = next(model.parameters())
    return weight.device
