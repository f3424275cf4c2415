"""Pictures come as 8-bit RGB and upright, or not at all."""

import numpy as np
import pytest
from PIL import Image

from common.data.media import MediaError
from common.data.pictures import read_image


def quadrants(height=48, width=64):
    """Red and green above, blue and grey below: shows colour, order of channels and turning."""
    frame = np.full((height, width, 3), 128, np.uint8)
    top, left = slice(height // 2), slice(width // 2)
    frame[top], frame[top, left], frame[height // 2 :, left] = (30, 200, 40), (220, 30, 30), (40, 50, 210)
    return frame


def test_pictures_are_read_as_rgb_and_upright(tmp_path):
    picture = Image.fromarray(quadrants())
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), quadrants())
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), np.rot90(quadrants(), -1))


def test_broken_and_deep_pictures_are_refused(tmp_path):
    Image.fromarray(quadrants()).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) - 60])
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, words in [
        ("cut", "truncated"),
        ("deep", "8 bits"),
        ("text", "cannot identify"),
        ("no", "no such"),
    ]:
        with pytest.raises(MediaError, match=words):
            read_image(tmp_path / f"{name}.png")
