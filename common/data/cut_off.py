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
TS_SYNC, TS_AT_LEAST = 0x47, 8  # a packet's first byte, and in how many packets running it is looked for
EBML, SEGMENT = (
    b"\x1a\x45\xdf\xa3",
    b"\x18\x53\x80\x67",
)  # what a Matroska file begins with, and what holds all else
OGG, OGG_KIND, OGG_IS_LAST = (
    b"OggS",
    5,
    4,
)  # a page's first bytes, the place of its kind, and the bit of the last one
OGG_SEGMENTS = 26  # the place of the number of segments, whose lengths of a byte each follow (RFC 3533, 6)
LONGEST_OGG_PAGE = 65_307
MP3_LEAST_FRAME = 96  # bytes
PACK, END_OF_PACKS = b"\0\0\1\xba", 0xB9  # of an MPEG program stream
LATE_PACKS = 1 << 18  # bytes at the end in which a pack begins
ASF, ASF_PROPERTIES = (
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"),
)
ASF_HEADER_BYTES = 1 << 14
ASF_SIZE, ASF_FLAGS, ASF_BROADCAST = (
    40,
    88,
    1,
)  # places in the properties, and the bit of sizes that mean nothing
BOXES = (b"moov", b"mdat", b"moof")  # of ISO base media files (mp4, mov): what must be whole


def missing_end(path: Path) -> str:
    """Why a file cannot be whole; "" where its sizes speak for it, or it names none.

    Looks at sizes of transport and program streams, Matroska, ASF and ISO base media files, and at the last page of
    Ogg; of others the demuxer marks the packet in which they end.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        begin = file.read(TS_AT_LEAST * max(packet for packet, _ in TS_PACKETS))
        file.seek(0)
        for packet, first in TS_PACKETS:
            starts = begin[first : TS_AT_LEAST * packet : packet]
            if len(starts) > 1 and set(starts) == {TS_SYNC}:
                rest = size % packet
                return f"ends inside a packet, {rest} of {packet} bytes of which are there" if rest else ""
        if begin.startswith(OGG):
            return _ogg_fault(file, size)
        if begin.startswith(PACK):
            return _pack_fault(file, size)
        kind = next((kind for start, kind in ENDS.items() if begin.startswith(start)), _boxes_end)
        end = kind(file, size)
    return f"promises {end} bytes, has {size}" if end > size else ""


def missing_sound(path: Path) -> str:
    """As `missing_end`, of sound: RF64, mp3 whose first frame counts the others' bytes, and Ogg as well."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        begin = file.read(12)
        is_rf64 = begin[:4] == b"RF64" and begin[8:] == b"WAVE"
        end = _rf64_end(file, size) if is_rf64 else _mp3_end(file)
    return f"promises {end} bytes, has {size}" if end > size else missing_end(path)


def _rf64_end(file: BinaryIO, size: int) -> int:
    """Where the samples end; the chunk ds64 tells their bytes, as their own has but 32 bits."""
    at, promised = 12, 0
    while at + 8 <= size:
        file.seek(at)
        kind, length = file.read(4), int.from_bytes(file.read(4), "little")
        if kind == b"ds64":
            promised = int.from_bytes(file.read(16)[8:], "little")
        if kind == b"data":
            return at + 8 + promised
        at += 8 + length + length % 2
    return 0


def _mp3_end(file: BinaryIO) -> int:
    """Where the last frame ends, by the count in a first one that holds no sound; 0 where there is none."""
    file.seek(0)
    begin, at = file.read(10), 0
    if begin[:3] == b"ID3":
        at = 10 + sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(begin[6:10]))
    file.seek(at)
    frame = file.read(MP3_LEAST_FRAME)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    is_frame = len(frame) == MP3_LEAST_FRAME and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0
    if not is_frame or not 0 <= place < MP3_LEAST_FRAME - 16:
        return 0
    flags, fields = frame[place + 7], frame[place + 8 : place + 16]
    if not flags & 2:  # bytes are told, behind the number of frames if that is told too
        return 0
    skip = 4 if flags & 1 else 0
    return at + int.from_bytes(fields[skip : skip + 4], "big")


def _ogg_fault(file: BinaryIO, size: int) -> str:
    """Of Ogg, whose every stream ends with a page that says so; what follows the last page is not looked at."""
    file.seek(max(0, size - LONGEST_OGG_PAGE))
    rest = file.read()
    at = rest.rfind(OGG)
    if at < 0:
        return ""
    page = rest[at:]
    head = OGG_SEGMENTS + 1 + page[OGG_SEGMENTS] if len(page) > OGG_SEGMENTS else len(page) + 1
    if len(page) < head + sum(page[OGG_SEGMENTS + 1 : head]):
        return "ends inside a page"
    return "" if page[OGG_KIND] & OGG_IS_LAST else "its last page is not marked as the end"


def _pack_fault(file: BinaryIO, size: int) -> str:
    """Of an MPEG program stream (ISO 13818-1, 2.5.3): the packets from a late pack on must end with the file."""
    begin = max(0, size - LATE_PACKS)
    file.seek(begin)
    rest = file.read()
    at = rest.find(PACK)
    while 0 <= at < len(rest):
        if rest[at : at + 3] != PACK[:3] or at + 4 > len(rest):
            # Zeros may fill up the end, and what is no packet at all is for the decoder to say.
            filled = not rest[at:].strip(b"\0")
            return (
                ""
                if filled or rest[at : at + 3] != PACK[: len(rest[at : at + 3])]
                else "ends inside a packet"
            )
        if rest[at + 3] == END_OF_PACKS:
            return ""
        if rest[at + 3] == PACK[3]:
            of_mpeg_2 = at + 4 < len(rest) and rest[at + 4] >> 6 == 1
            at += (14 + (rest[at + 13] & 7) if at + 13 < len(rest) else 14) if of_mpeg_2 else 12
        else:
            at += 6 + int.from_bytes(rest[at + 4 : at + 6], "big")
    over = at - len(rest)
    return f"ends inside a packet, {over} bytes of which are missing" if at >= 0 and over > 0 else ""


def _asf_end(file: BinaryIO, size: int) -> int:
    """The size that the File Properties Object tells (ASF 1.2, 3.2); 0 where it tells none, as of a broadcast."""
    file.seek(0)
    header = file.read(ASF_HEADER_BYTES)
    at = header.find(ASF_PROPERTIES)
    if at < 0 or len(header) <= at + ASF_FLAGS or header[at + ASF_FLAGS] & ASF_BROADCAST:
        return 0
    return int.from_bytes(header[at + ASF_SIZE : at + ASF_SIZE + 8], "little")


def _matroska_end(file: BinaryIO, size: int) -> int:
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


ENDS = {EBML: _matroska_end, ASF: _asf_end}  # by what a file begins with
