"""Picture files to RGB, upright."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from common.data.media import MediaError, fault_of

MOVING = ("WEBP", "PNG", "GIF", "AVIF", "TIFF")  # a camera's JPEG may hold its preview too, and does not move


def read_image(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """An 8-bit picture as RGB, turned as its EXIF says; transparency is dropped.

    Raises:
        MediaError: no such file, nothing in it, no picture, a broken one, one that moves, or more than 8 bits a
            channel.
    """
    from PIL import Image, ImageOps

    if fault := fault_of(path):
        raise MediaError(path, fault)
    try:
        with Image.open(path) as image:
            # Of 16-bit colours Pillow would hand out the upper halves; only the tile's layout names them.
            deep = re.search(r"\b(16|32)", " ".join(str(tile[3]) for tile in getattr(image, "tile", [])))
            if image.mode.startswith(("I", "F")) or deep:
                layout = deep.string if deep else image.mode
                raise MediaError(path, f"pictures must have 8 bits a channel, got mode {layout}")
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format in MOVING:
                raise MediaError(
                    path,
                    f"moves: it holds {frames} pictures; write them out as a video or as a folder of pictures",
                )
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).copy()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's names for a broken file
        raise MediaError(path, f"cannot be read as a picture: {error}") from error


def has_transparency(path: Path) -> bool:
    """Whether `read_image` drops some."""
    from PIL import Image

    with Image.open(path) as image:
        return "A" in image.getbands() or "transparency" in image.info
