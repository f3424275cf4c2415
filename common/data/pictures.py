"""Picture files to RGB, upright."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from common.data.media import MediaError, fault_of


def read_image(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """An 8-bit picture as RGB, turned as its EXIF says; transparency is dropped.

    Raises:
        MediaError: no such file, nothing in it, no picture, a broken one, or more than 8 bits a channel.
    """
    from PIL import Image, ImageOps

    if fault := fault_of(path):
        raise MediaError(path, fault)
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise MediaError(path, f"pictures must have 8 bits a channel, got mode {image.mode}")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).copy()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's names for a broken file
        raise MediaError(path, f"cannot be read as a picture: {error}") from error
