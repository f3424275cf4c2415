"""Pictures come as 8-bit RGB and upright, or not at all."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from common.data.media import MediaError
from common.data.pictures import has_transparency, read_image


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


def test_colours_of_16_bits_are_refused_rather_than_cut(tmp_path):
    av = pytest.importorskip("av")
    deep = np.full((4, 4, 3), 0x80FF, np.uint16)
    coder = av.CodecContext.create("png", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = 4, 4, "rgb48be", Fraction(1, 25)
    (packet, *_) = coder.encode(av.VideoFrame.from_ndarray(deep, format="rgb48be")) + coder.encode(None)
    (tmp_path / "deep.png").write_bytes(bytes(packet))
    with pytest.raises(MediaError, match=r"deep.png: pictures must have 8 bits a channel, got mode \S*16"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("suffix", [".webp", ".png", ".tif"])
def test_a_picture_that_moves_is_no_picture(tmp_path, suffix):
    pictures = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (0, 90, 200)]
    pictures[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pictures[1:])
    with pytest.raises(MediaError, match="moves: it holds 3 pictures"):
        read_image(tmp_path / f"a{suffix}")


def test_transparency_is_seen(tmp_path):
    for mode in ("RGBA", "RGB", "LA"):
        Image.new(mode, (4, 4)).save(tmp_path / f"{mode}.png")
    assert [has_transparency(tmp_path / f"{mode}.png") for mode in ("RGBA", "RGB", "LA")] == [
        True,
        False,
        True,
    ]
