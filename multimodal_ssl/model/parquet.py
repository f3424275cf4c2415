"""One column of texts out of a Parquet file: word lists come in this form, and no reader of it is installed.

Only what such a file needs: version 1 pages, Snappy or no compression, plain or dictionary encoding, no nulls
[Apache Parquet format, "Data Pages", "Encodings"; Snappy format description].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

MAGIC = b"PAR1"
DATA_PAGE, DICTIONARY_PAGE = 0, 2
PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY = 0, 2, 8
PAGE_TYPE, UNPACKED, PACKED, DATA_HEADER, DICTIONARY_HEADER = 1, 2, 3, 5, 7  # fields of a page's header
NUM_ROWS = 3  # field of the footer


class ParquetError(ValueError):
    """A file that is damaged, or of a form that is not read here."""


def read_texts(path: Path) -> list[str]:
    """Every value of the file's only column, in order.

    Raises:
        ParquetError: `PATH: reason`.
    """
    content = path.read_bytes()
    if content[:4] != MAGIC or content[-4:] != MAGIC:
        raise ParquetError(
            f"{path}: must begin and end with {MAGIC.decode()}; it is damaged or no Parquet file"
        )
    try:
        size = int.from_bytes(content[-8:-4], "little")
        footer, _ = _struct(content, len(content) - 8 - size)
        values = _column(content, footer[NUM_ROWS])
        return [value.decode("utf-8") for value in values]
    except (IndexError, KeyError, UnicodeDecodeError, AssertionError) as error:
        raise ParquetError(f"{path}: is damaged or of a form that is not read ({error!r})") from error


def _column(content: bytes, num_rows: int) -> list[bytes]:
    at, values, dictionary = 4, list[bytes](), list[bytes]()
    while len(values) < num_rows:
        header, at = _struct(content, at)
        packed = content[at : at + header[PACKED]]
        page = packed if header[PACKED] == header[UNPACKED] else unsnap(packed)
        assert len(page) == header[UNPACKED], f"a page of {len(page)} bytes, promised {header[UNPACKED]}"
        at += header[PACKED]
        if header[PAGE_TYPE] == DICTIONARY_PAGE:
            dictionary = _plain(page, 0, header[DICTIONARY_HEADER][1])
        elif header[PAGE_TYPE] == DATA_PAGE:
            count, encoding = header[DATA_HEADER][1], header[DATA_HEADER][2]
            start = 4 + int.from_bytes(page[:4], "little")  # past the levels, which say that nothing is null
            if encoding == PLAIN:
                values += _plain(page, start, count)
            else:
                assert encoding in (PLAIN_DICTIONARY, RLE_DICTIONARY), f"encoding {encoding}"
                values += [dictionary[i] for i in _indices(page, start + 1, page[start], count)]
    return values


def _plain(page: bytes, at: int, count: int) -> list[bytes]:
    """Four bytes of length, then the text, `count` times."""
    values = []
    for _ in range(count):
        size = int.from_bytes(page[at : at + 4], "little")
        assert at + 4 + size <= len(page), "a text is longer than its page"
        values.append(page[at + 4 : at + 4 + size])
        at += 4 + size
    return values


def _indices(page: bytes, at: int, bits: int, count: int) -> list[int]:
    """Runs of one index, or groups of eight of `bits` bits each, lowest bit first."""
    found: list[int] = []
    while len(found) < count:
        run, at = _varint(page, at)
        if run & 1:
            size = (run >> 1) * bits
            mask = (1 << bits) - 1
            # Eight at a time: shifting the whole group would take time quadratic in its length.
            for group in range(run >> 1):
                eight = int.from_bytes(page[at + group * bits : at + (group + 1) * bits], "little")
                found += [eight >> (bits * i) & mask for i in range(8)]
        else:
            size = (bits + 7) // 8
            found += [int.from_bytes(page[at : at + size], "little")] * (run >> 1)
        at += size
    return found[:count]


def unsnap(packed: bytes) -> bytes:
    """Undoes Snappy: literals, and copies of what was already written."""
    size, at = _varint(packed, 0)
    out = bytearray()
    while at < len(packed):
        tag = packed[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(packed[at : at + extra], "little")
                at += extra
            out += packed[at : at + length + 1]
            at += length + 1
            continue
        if kind == 1:
            length, back = 4 + (tag >> 2 & 7), (tag >> 5) << 8 | packed[at]
            at += 1
        else:
            width = 2 if kind == 2 else 4
            length, back = 1 + (tag >> 2), int.from_bytes(packed[at : at + width], "little")
            at += width
        assert 0 < back <= len(out), f"a copy from {back} bytes back, of {len(out)}"
        start = len(out) - back
        if back >= length:
            out += out[start : start + length]
        else:  # the copy reads what it writes
            out += (out[start:] * (length // back + 1))[:length]
    assert len(out) == size, f"{len(out)} bytes unpacked, promised {size}"
    return bytes(out)


# ---- Thrift's compact protocol


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _struct(content: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Field number to value, and where the structure ends."""
    fields: dict[int, Any] = {}
    number = 0
    while content[at]:
        head = content[at]
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            zigzag, at = _varint(content, at)
            number = zigzag >> 1 ^ -(zigzag & 1)
        fields[number], at = _value(content, at, head & 15)
    return fields, at + 1


def _value(content: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false: no bytes of their own
        return kind == 1, at
    if kind == 3:
        return content[at], at + 1
    if kind in (4, 5, 6):
        zigzag, at = _varint(content, at)
        return zigzag >> 1 ^ -(zigzag & 1), at
    if kind == 7:
        return content[at : at + 8], at + 8
    if kind == 8:
        size, at = _varint(content, at)
        return content[at : at + size], at + size
    if kind == 9:
        head = content[at]
        size, at = (head >> 4, at + 1) if head >> 4 < 15 else _varint(content, at + 1)
        items = []
        for _ in range(size):
            item, at = _value(content, at, head & 15)
            items.append(item)
        return items, at
    assert kind == 12, f"a field of type {kind}"
    return _struct(content, at)
