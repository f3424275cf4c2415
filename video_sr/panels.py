"""Example pictures that a scoring run keeps for the report: the middle of a frame, as JPEG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from video_sr.challenge import FACTOR

WINDOW_PX = (352, 512)  # of the middle, that are kept


def save(
    folder: Path,
    item_id: str,
    low: UInt8[ndarray, "height width 3"],
    output: UInt8[ndarray, "sr_height sr_width 3"],
    truth: UInt8[ndarray, "sr_height sr_width 3"],
) -> None:
    """Writes `ITEM.{low,output,truth}.jpg`; the input is enlarged so that its pixels show."""
    height, width = (min(wanted, side) for wanted, side in zip(WINDOW_PX, truth.shape[:2], strict=True))
    top, left = (
        (truth.shape[0] - height) // 2 // FACTOR * FACTOR,
        (truth.shape[1] - width) // 2 // FACTOR * FACTOR,
    )
    inside = np.s_[top : top + height, left : left + width]
    enlarged = low.repeat(FACTOR, 0).repeat(FACTOR, 1)
    for name, picture in {"low": enlarged, "output": output, "truth": truth}.items():
        path = folder / f"{item_id.replace('/', '--')}.{name}.jpg"
        Image.fromarray(np.ascontiguousarray(picture[inside])).save(path, quality=90)
