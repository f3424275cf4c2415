"""Timed captions out of the files that lie beside videos: WebVTT, SubRip, JSON, and the CSV of HowTo100M.

A faulty cue costs that cue alone and is told by its line. Formatting is dropped where a format has any, letters
stay as they are.

    .vtt    WebVTT, the rolling captions of YouTube included (see `_unrolled`)
    .srt    SubRip
    .json   {"start": [...], "end": [...], "text": [...]}   HowTo100M
            {"segments": [{"start", "end", "text"}, ...]}   speech recognisers; or that list alone
    .csv    columns start, end, text; seconds               HowTo100M as MIL-NCE reads it
"""

from __future__ import annotations

import codecs
import csv
import html
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.data.media import MediaError, fault_of
from common.strict_json import parsed

SUFFIXES = (".vtt", ".srt", ".json", ".csv")
_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
# Of WebVTT (W3C, section 4.2.2) and what players take in SubRip; other angle brackets are a speaker's own signs.
_TAG = re.compile(
    r"</?(?:b|i|u|s|c|v|lang|ruby|rt|font)(?:\.[^\s<>]*)?(?:\s[^<>]*)?>|<(?:\d+:)?\d\d:\d\d\.\d{3}>|\{\\[^}]*\}",
    re.I,
)
_ARROW = re.compile(r"\s*\d+:[\d:.,]+\s*-+>")  # what means to be times, well written or not
_TIMED_WORD = re.compile(r"<(?:\d+:)?\d\d:\d\d\.\d{3}>")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")  # blocks of WebVTT that say nothing


class CaptionError(MediaError):
    """`PATH: reason`, for a file without usable captions."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What is said, or shown, from `start_s` to `stop_s`."""

    start_s: float
    stop_s: float
    text: str


def read_captions(path: Path) -> tuple[list[Caption], list[str]]:
    """Captions in the order of their starts, and the faults: a sentence for each cue that could not be used.

    Cues without letters in them are neither.

    Raises:
        CaptionError: no such file, a pipe, no known suffix, UTF-16 that breaks off, no table, or no caption in it.
    """
    if fault := fault_of(path):
        raise CaptionError(path, fault)
    return parse_captions(path.read_bytes(), path.suffix.lower(), path)


def parse_captions(content: bytes, kind: str, name: Path) -> tuple[list[Caption], list[str]]:
    """As `read_captions`, of bytes; `kind` is one of `SUFFIXES`, errors call them `name`."""
    if kind not in SUFFIXES:
        raise CaptionError(name, f"captions must end in {', '.join(SUFFIXES)}, got {kind!r}")
    text = _decoded(content, name)
    if kind in (".vtt", ".srt"):
        found, faults = _cues(re.split(r"\r\n|\r|\n", text), kind)  # U+2028 and the like are letters
    else:
        found, faults = _rows(_json_rows(text, name) if kind == ".json" else _csv_rows(text, name))
    if not found:
        raise CaptionError(name, "; ".join(["holds no caption", *faults[:3]]))
    return sorted(found, key=lambda caption: (caption.start_s, caption.stop_s)), faults


def _decoded(content: bytes, name: Path) -> str:
    if not content:
        raise CaptionError(name, "is empty (0 bytes)")
    if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-8-sig", "surrogateescape")  # so that a bad byte costs its own cue alone
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError as error:
        raise CaptionError(name, f"begins as UTF-16 and has {error.reason} at byte {error.start}") from error


def _bad_bytes(text: str) -> str | None:
    """A fault where a text holds what is no UTF-8."""
    escaped = [char for char in text if "\ud800" <= char <= "\udfff"]
    if not escaped:
        return None
    shown = ", ".join(sorted({f"0x{ord(char) & 0xFF:02x}" for char in escaped}))
    return f"must be UTF-8, has {shown}; convert the file, as with iconv"


def _fault(start_s: float, stop_s: float) -> str | None:
    if not (math.isfinite(start_s) and math.isfinite(stop_s)):
        return f"times must be numbers, got {start_s} to {stop_s}"
    if not 0 <= start_s < stop_s:
        return f"must start at 0 s or later and end after its start, got {start_s:g} to {stop_s:g} s"
    return None


# ---- cues of WebVTT and SubRip


def _cues(lines: list[str], kind: str) -> tuple[list[Caption], list[str]]:
    found, faults = [], []
    rolling = kind == ".vtt" and any(_TIMED_WORD.search(line) for line in lines)
    before: list[str] = []
    for number, block in _blocks(lines, kind):
        # A cue may have a name or a number on the line above its times.
        at = next((i for i, line in enumerate(block[:2]) if "-->" in line), None)
        times = None if at is None else _TIMES.fullmatch(block[at])
        if at is None or times is None:
            if not (kind == ".vtt" and (_NO_CUE.match(block[0]) or (number == 1 and _is_header(block)))):
                odd = at or 0
                faults.append(
                    f"line {number + odd}: must have times as 00:00:01.000 --> 00:00:02.000, got {block[odd]!r}"
                )
            continue
        start_s, stop_s = _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:])
        if fault := _fault(start_s, stop_s):
            faults.append(f"line {number + at}: {fault}")
            continue
        if fault := _bad_bytes("".join(block[at + 1 :])):
            faults.append(f"line {number + at}: {fault}")
            continue
        said = [clean for line in block[at + 1 :] if (clean := _unmarked(line))]
        new, before = (_unrolled(said, before) if rolling else said), said
        if new:
            found.append(Caption(start_s, stop_s, " ".join(new)))
    return found, faults


def _blocks(lines: list[str], kind: str) -> list[tuple[int, list[str]]]:
    """(number of the first line, lines) between blank lines. WebVTT's are empty: a cue may hold a space.

    Times inside a cue begin the next one, as WebVTT has it (W3C, section 6.1), and so do times that are ill written:
    they are nobody's words. So does the number above them.
    """
    blocks: list[tuple[int, list[str]]] = []
    inside = timed = False
    for number, line in enumerate(lines, start=1):
        blank = not (line if kind == ".vtt" else line.strip())
        times = not blank and bool(_ARROW.match(line) or (kind == ".vtt" and "-->" in line))
        if blank:
            inside = timed = False
        elif not inside:
            blocks.append((number, [line]))
            inside, timed = True, times
        elif times and timed:
            above = blocks[-1][1]
            named = [above.pop()] if len(above) > 1 and above[-1].strip().isdecimal() else []
            blocks.append((number - len(named), [*named, line]))
        else:
            blocks[-1][1].append(line)
            timed = timed or times
    return blocks


def _is_header(block: list[str]) -> bool:
    return block[0].startswith("WEBVTT")


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + int(fraction) / 10 ** len(fraction)


def _unmarked(line: str) -> str:
    """A line without the tags and with the letters of the names that WebVTT and SubRip write, `&amp;` and the like."""
    return _clean(html.unescape(_TAG.sub("", line)))


def _clean(line: str) -> str:
    return " ".join(line.split())


def _unrolled(lines: list[str], before: list[str]) -> list[str]:
    """Lines that the cue before did not show yet.

    YouTube's recognised captions roll: each cue shows its last line again above a new one, and between two of
    them stands a short cue with the old line alone. Only such files time single words.
    """
    for shared in range(min(len(lines), len(before)), 0, -1):
        if lines[:shared] == before[-shared:]:
            return lines[shared:]
    return lines


# ---- rows of JSON and CSV


def _rows(rows: Iterable[tuple[str, Any, Any, Any]]) -> tuple[list[Caption], list[str]]:
    found, faults = [], []
    for where, start, stop, text in rows:
        try:
            start_s, stop_s = float(start), float(stop)
        except (TypeError, ValueError, OverflowError):
            faults.append(f"{where}: times must be seconds, got {start!r:.80} to {stop!r:.80}")
            continue
        # Tables made by pandas write a caption without words as NaN.
        said = _clean(text) if isinstance(text, str) else ""
        if fault := _fault(start_s, stop_s) or _bad_bytes(said):
            faults.append(f"{where}: {fault}")
        elif said:
            found.append(Caption(start_s, stop_s, said))
    return found, faults


def _json_rows(text: str, name: Path) -> list[tuple[str, Any, Any, Any]]:
    try:
        content = parsed(text)
    except ValueError as error:
        raise CaptionError(name, f"is no JSON: {error}") from error
    if isinstance(content, dict) and all(isinstance(content.get(k), list) for k in ("start", "end", "text")):
        columns = [content[key] for key in ("start", "end", "text")]
        if len({len(column) for column in columns}) > 1:
            raise CaptionError(
                name, f"start, end and text must be of one length, got {[len(c) for c in columns]}"
            )
        return [(f"entry {i}", *row) for i, row in enumerate(zip(*columns, strict=True))]
    entries = content.get("segments") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise CaptionError(
            name, 'must be {"start": [], "end": [], "text": []} or a list of {start, end, text}'
        )
    fields = [entry if isinstance(entry, dict) else {} for entry in entries]
    return [(f"entry {i}", f.get("start"), f.get("end"), f.get("text")) for i, f in enumerate(fields)]


def _csv_rows(text: str, name: Path) -> list[tuple[str, Any, Any, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := {"start", "end", "text"} - set(reader.fieldnames or ()):
        raise CaptionError(name, f"needs the columns start, end, text; lacks {', '.join(sorted(missing))}")
    try:
        return [(f"line {reader.line_num}", row["start"], row["end"], row["text"]) for row in reader]
    except csv.Error as error:
        raise CaptionError(name, f"breaks off at line {reader.line_num}: {error}") from error
