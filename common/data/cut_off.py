"""Whether a media file is shorter than its container's own sizes say: decoders read what is left without a word."""

from __future__ import annotations

from io import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

TS_PACKETS = (
    (188, 0),
    (192, 4),
    (204, 0),
)  # bytes of an MPEG-TS packet, and where in it the first sync byte is
TS_SYNC = 0x47
EBML, SEGMENT = (
    b"\x1a\x45\xdf\xa3",
    b"\x18\x53\x80\x67",
)  # what a Matroska file begins with, and what holds all else
BOXES = (b"moov", b"mdat", b"moof")  # of ISO base media files (mp4, mov): what must be whole


def missing_end(path: Path) -> str:
    """Why a file cannot be whole; "" where its sizes speak for it, or it names none.

    Looks at sizes of transport streams, Matroska and ISO base media files alone; of others the demuxer marks the
    packet in which they end.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        begin = file.read(2 * max(packet for packet, _ in TS_PACKETS))
        file.seek(0)
        for packet, first in TS_PACKETS:
            if len(begin) > first + packet and begin[first] == begin[first + packet] == TS_SYNC:
                rest = size % packet
                return f"ends inside a packet, {rest} of {packet} bytes of which are there" if rest else ""
        end = _matroska_end(file) if begin.startswith(EBML) else _boxes_end(file, size)
    return f"promises {end} bytes, has {size}" if end > size else ""


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment ends; 0 where its size is not known, as of what was recorded live."""
    file.seek(len(EBML))
    file.seek(_ebml_size(file) or 0, SEEK_CUR)
    if file.read(len(SEGMENT)) != SEGMENT:
        return 0
    length = _ebml_size(file)
    return 0 if length is None else file.tell() + length


def _ebml_size(file: BinaryIO) -> int | None:
    """A number of 1 to 8 bytes, the first of which begins with one zero less than there are bytes; None: not known."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    number = int.from_bytes(first + file.read(more), "big") & ((1 << 7 * (more + 1)) - 1)
    return None if number == (1 << 7 * (more + 1)) - 1 else number


def _boxes_end(file: BinaryIO, size: int) -> int:
    """The end of the last box that must be whole; 0 of what holds none."""
    at, end = 0, 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:  # the size follows, in 64 bits
            length = int.from_bytes(file.read(8), "big")
        if length < 8 or (at == 0 and kind not in (b"ftyp", b"wide", b"skip", b"free", *BOXES)):
            break
        at += length
        if kind in BOXES:
            end = at
    return end
