"""English lines of "Flight of the Amazon Queen", a voiced adventure game of 1995, cut out of its one archive file.

The archive (big-endian): "QTBL" and a version, at 12 the compression (1: MP3), at 13 the number of entries (2 bytes),
from 15 on an entry every 21 bytes: name (12), bundle (1), offset (4), size (4). Speech lies in .SB
entries, MP3 frames of 16 kbit/s, mono, 11,025 Hz, without any header of their own.

A dialogue (.DOG) lists what others say and what Joe, the hero, says. A line is cut into segments at its commands
(`*03`, `*FL`, `*XY00(112,80)`), and every segment is one clip. Joe's remarks on things are lines of QUEEN2.JAS.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common.data.packages import Package
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.raw import RawUtterance, text_key
from speech_adapters.data.splits import PRETRAINING_SPLIT
from speech_adapters.data.text import normalise

PACKAGE = Package(
    manager="apt",
    name="flight-of-the-amazon-queen",
    version="1.0.0-9",
    sha256="40c08fd258d6fe95c46c1eaf5e9137f84ba330657995a281bd887c94a560a0f1",
    size_bytes=34_859_620,
    licence="own, as BSD: free to distribute and modify with its notice, modified versions marked, no fee",
    files=(
        "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c",
        "usr/share/doc/flight-of-the-amazon-queen/copyright",
    ),
)
ARCHIVE = f"{PACKAGE.folder}/{PACKAGE.files[0]}"
MP3 = 1
BANK_HEADER, LEVEL_BYTES, TREE_AT, PERSON_AT = 20, 96, 32, 22
LAST_VERBS = ["on", "to"]  # after the verbs of the game come the remarks on what cannot be done
NUM_REFUSALS = 40  # clips 1 to 40; remarks on things are numbered on from there
COMMAND = re.compile(r"\*(?:XY\d\d\(\d+,\d+\)|[A-Z]{2}|\d\d)")
GLYPHS = re.compile(r"\^_|@@")  # a trade mark's sign, a heart
GROWLS = ("DOG.DOG",)  # a dog, whose lines are spelled growls


class Line(NamedTuple):
    """One clip that the scripts name."""

    entry: str
    dialogue: str
    speaker: str  # "joe" or "other": the scripts do not tell the others apart
    text: str


@dataclass(frozen=True)
class AmazonQueen(PackagedSpeech):
    """4,319 lines by many actors, 3.0 h: the speech to pre-train on."""

    language = "en"
    name = "fotaq-en"
    SPLIT = PRETRAINING_SPLIT

    @property
    def packages(self) -> tuple[Package, ...]:
        return (PACKAGE,)

    def read(self, root: Path) -> list[RawUtterance]:
        return utterances(root)


def utterances(root: Path) -> list[RawUtterance]:
    """Every line of the scripts that has a clip, sorted by id."""
    content = (root / ARCHIVE).read_bytes()
    entries = read_entries(content)
    found = [
        RawUtterance(
            id=line.entry.removesuffix(".SB"),
            source=AmazonQueen.name,
            language="en",
            text=(text := normalise(line.text, "en")),
            raw_text=line.text,
            keys=(f"dialogue:{line.dialogue}", text_key("en", text)),
            speaker=line.speaker,
            path=ARCHIVE,
            offset=entries[line.entry][0],
            bytes=entries[line.entry][1],
            format="mp3",
            flaw="growls, no words" if line.dialogue in GROWLS and line.speaker == "other" else "",
        )
        for line in lines(content, entries)
        if line.entry in entries and line.text.strip()
    ]
    return sorted(found, key=lambda utterance: utterance.id)


def read_entries(content: bytes) -> dict[str, tuple[int, int]]:
    """Name to (offset, size).

    Raises:
        ValueError: no such archive, not compressed as MP3, or an entry that reaches beyond its end.
    """
    if content[:4] != b"QTBL" or len(content) < 15:
        raise ValueError(f"the archive must begin with 'QTBL', got {content[:4]!r}")
    compression, number = struct.unpack_from(">BH", content, 12)
    if compression != MP3:
        raise ValueError(f"the archive's speech must be MP3 (compression 1), got {compression}")
    entries = {}
    for at in range(15, 15 + 21 * number, 21):
        name, offset, size = struct.unpack_from(">12sxII", content, at)
        name = name.rstrip(b"\0 ").decode("ascii")
        if offset + size > len(content):
            raise ValueError(f"entry {name} must end within {len(content)} bytes, got {offset + size}")
        entries[name] = offset, size
    return entries


def lines(content: bytes, entries: dict[str, tuple[int, int]]) -> Iterator[Line]:
    """Every segment of every script, whether or not there is a clip of it."""
    for name, (offset, size) in sorted(entries.items()):
        if name.endswith(".DOG"):
            yield from _dialogue(name, content[offset + BANK_HEADER : offset + size])
    offset, size = entries["QUEEN2.JAS"]
    yield from _remarks(content[offset : offset + size].decode("latin-1").split("\r\n"))


def _dialogue(name: str, script: bytes) -> Iterator[Line]:
    levels, _, talk_key, num_joe, num_person = struct.unpack_from(">5h", script)
    (person_at,) = struct.unpack_from(">H", script, PERSON_AT)
    for speaker, at, number in (
        ("other", person_at, num_person),
        ("joe", TREE_AT + LEVEL_BYTES * abs(levels), num_joe),
    ):
        for id_, text in _strings(script, at, number):
            clip = f"{talk_key:2d}{id_:4X}".replace(" ", "0") + ("J" if speaker == "joe" else "P")
            for place, segment in _segments(text):
                yield Line(f"{clip}{place:X}.SB", name, speaker, segment)


def _strings(script: bytes, at: int, number: int) -> Iterator[tuple[int, str]]:
    """Records of two bytes, id (2), length (1) and text, padded to four bytes unless the text is empty."""
    seen = set()
    for _ in range(number):
        id_, length = struct.unpack_from(">2xHB", script, at)
        text = script[at + 5 : at + 5 + length].decode("latin-1")
        at += 5 + length
        at += -at % 4 if length else 0
        if id_ not in seen:  # the game takes the first
            seen.add(id_)
            yield id_, text


def _remarks(script: list[str]) -> Iterator[Line]:
    """What Joe says of things (line i, counted from 1, is clip i + 40), then of what cannot be done (1 to 40)."""
    numbered = [(i + NUM_REFUSALS, text) for i, text in enumerate(script, 1)]
    after = (i + 2 for i in range(len(script)) if script[i : i + 2] == LAST_VERBS)
    refusals = next(after, len(script))
    numbered += enumerate(script[refusals : refusals + NUM_REFUSALS], 1)
    for number, text in numbered:
        for place, segment in _segments(text):
            yield Line(f"JOE{number:04d}{place:X}.SB", f"joe-{number:04d}", "joe", segment)


def _segments(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text); numbers run on over segments without text."""
    return enumerate(COMMAND.split(GLYPHS.sub("", text)), 1)
