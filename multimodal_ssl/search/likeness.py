"""A picture as a question: what looks like it in an index.

A picture is seen as a clip in which nothing moves. Its places take the part of a sentence's phrases: each finds its own
in a window, by the similarity that the model was trained with. Nothing was trained to compare pictures with windows;
they lie in one space because both are compared with the same words.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from common.data.pictures import read_image
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.similarity import mean_pooled
from multimodal_ssl.search.query import Question
from multimodal_ssl.search.weights import Trained
from multimodal_ssl.search.windows import size_of


def ask_like(trained: Trained, picture: Path) -> tuple[Matcher, Question]:
    """A model and what it sees of a picture.

    Raises:
        MediaError: no picture, or one that cannot be decoded.
    """
    matcher, matching = trained.matcher(), trained.matching
    still = _small(picture, matching.size_px)[None].repeat(matching.num_frames, axis=0)
    with torch.inference_mode():
        units = matcher.clips(as_video(torch.from_numpy(still[None])))
    return matcher, Question(str(picture), units, (), (), (), (), (), pooled=mean_pooled)


def _small(path: Path, size_px: int) -> UInt8[ndarray, "height width 3"]:
    """As an index would make it of a frame."""
    from PIL import Image

    upright = Image.fromarray(read_image(path))
    height, width = size_of(*upright.size, size_px)
    return np.asarray(upright.resize((width, height), Image.Resampling.BOX))
