"""What a file's own sizes say of its end, at every place where it may be cut, and what only looks like a size."""

import pytest
from odd_films import film, noisy, regular

from common.data.cut_off import missing_end, missing_sound

PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # of ASF


def page(kind, length):
    """A page of Ogg with one segment: kind 2 begins a stream, 4 ends it."""
    return b"OggS\0" + bytes([kind]) + bytes(20) + bytes([1, length]) + bytes(length)


def written(path, content):
    path.write_bytes(content)
    return path


def test_ogg_is_named_wherever_it_is_cut(tmp_path):
    whole = page(2, 30) + page(0, 200) + page(4, 40)
    assert missing_end(written(tmp_path / "a.ogg", whole)) == ""
    for length in range(58, len(whole)):
        assert missing_end(written(tmp_path / "a.ogg", whole[:length])), length
        assert missing_sound(tmp_path / "a.ogg"), length


@pytest.mark.parametrize("more", [b"TAG" + bytes(125), bytes(70_000), page(2, 9) + page(4, 9)])
def test_what_follows_the_last_page_is_no_cut(tmp_path, more):
    """A tag of ID3v1, zeros, a second recording."""
    assert missing_end(written(tmp_path / "a.ogg", page(2, 30) + page(4, 40) + more)) == ""


def test_a_picture_of_which_a_byte_is_as_of_a_packet_is_no_transport_stream(tmp_path):
    gif = bytearray(b"GIF89a" + bytes(range(64)) * 40)
    gif[188] = gif[0]
    assert missing_end(written(tmp_path / "a.gif", gif)) == ""


def test_the_size_of_a_broadcast_is_not_believed(tmp_path):
    properties = bytearray(PROPERTIES + bytes(88))
    properties[40:48] = (10**9).to_bytes(8, "little")
    header = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(14)
    assert missing_end(written(tmp_path / "a.wmv", header + properties)).startswith(
        "promises 1000000000 bytes"
    )
    properties[88] = 1
    assert missing_end(written(tmp_path / "a.wmv", header + properties)) == ""


def test_an_mp3_that_ends_in_its_first_frame_tells_no_size(tmp_path):
    frame = b"\xff\xfb\x90\x00" + bytes(32) + b"Xing" + bytes([0, 0, 0, 3]) + bytes(8)
    for length in range(len(frame)):
        assert missing_sound(written(tmp_path / "a.mp3", frame[:length])) == ""


@pytest.mark.parametrize("zeros", [1, 2, 3, 100])
def test_zeros_may_fill_up_a_program_stream(tmp_path, zeros):
    path = film(tmp_path / "a.mpg", regular(10), "mpeg2video", pixels=noisy)
    assert missing_end(written(path, path.read_bytes() + bytes(zeros))) == ""
