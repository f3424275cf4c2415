"""Where the phrases of a caption attend to in its clip."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from multimodal_ssl.composed.batches import encode
from multimodal_ssl.evaluation.encoding import device_of
from multimodal_ssl.model.encoders.video import as_video

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import ComposedClip, ComposedClips
    from multimodal_ssl.model.matcher import Matcher

G = 0.1  # sharpness of what is drawn


@torch.inference_mode()
def attention(
    model: Matcher, composed: ComposedClips, clip: ComposedClip
) -> list[tuple[str, Float[ndarray, "time height width"]]]:
    """Where each phrase of a clip's caption attends to, by places of the feature map: `softmax_k(a_k · b_l / 0.1)`.

    The same for every arm, whatever its own similarity makes of a_k · b_l, so that arms can be looked at side by side.
    Each sums to 1. Empty where the network has no places (one vector a clip).
    """
    frames = as_video(torch.from_numpy(np.array(clip.frames))[None]).to(device_of(model))
    seen, told = model.clips(frames), model.texts(encode(composed, [clip.caption]).to(frames.device))
    video, text = model.encoders.video, model.encoders.text
    grid = video.grid(*(frames.shape[axis] for axis in (1, 3, 4)))
    if math.prod(grid) != seen.valid.shape[1]:
        return []
    shares = (seen.vectors[0] @ told.vectors[0].T / G).softmax(dim=0)
    words, _ = composed.words.read(clip.caption)
    maps = shares.T.double().cpu().numpy().reshape(-1, *grid)
    return list(zip(text.phrases(words), maps, strict=True))
