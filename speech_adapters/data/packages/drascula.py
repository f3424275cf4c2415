"""Lines of the hero of "Drascula", a voiced adventure game of 1996, in English and Spanish, parallel by number.

Clip k.ALS is record k of the language's texts: 8-bit unsigned samples at 11,025 Hz without a header. The texts lie in
`drascula.dat` one language after the other, English first: 501 records of a length (4 bytes, big-endian, counting
itself) and cp850 text padded with zeros, then four bytes with the size of the next language's texts. The script
differs by a word from what is said here and there. The Italian package carries the English voices.
"""

import struct
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common.data.packages import Package
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.raw import RawUtterance, group_names, text_key
from speech_adapters.data.text import check_language, normalise

_LICENCE = "own, as BSD: free to distribute and modify with its notice, modified versions marked, no fee"
ENGLISH = Package(
    manager="apt",
    name="drascula",
    version="1.0+ds4-2",
    sha256="ed4af8e2d41ad446e2f3b73533daa1804e2f13f62f596c0b02b8dc39544f22b4",
    size_bytes=26_302_044,
    licence=_LICENCE,
    files=(
        "usr/share/scummvm/drascula/en/drascula.dat",
        "usr/share/scummvm/drascula/en/[0-9]*.ALS",
        "usr/share/doc/drascula/copyright",
    ),
)
SPANISH = Package(
    manager="apt",
    name="drascula-spanish",
    version="1.0+ds4-2",
    sha256="87b5f12df3fcd7ca16097c802dff1ab55e40c9ebc21209fa3f031e1661b4b8e5",
    size_bytes=13_286_564,
    licence=_LICENCE,
    files=("usr/share/scummvm/drascula/es/[0-9]*.ALS", "usr/share/doc/drascula-spanish/copyright"),
)
AUDIO = {"en": ENGLISH, "es": SPANISH}
TEXTS_AT, NUM_TEXTS = 7257, 501
FORMAT = "u8:11025"


@dataclass(frozen=True)
class Drascula(PackagedSpeech):
    """443 to 446 lines of the hero."""

    language: str
    EDITION = 2

    def __post_init__(self) -> None:
        check_language(self.language, AUDIO)

    @property
    def name(self) -> str:
        return f"drascula-{self.language}"

    @property
    def packages(self) -> tuple[Package, ...]:
        """English for its texts too, which hold every language."""
        return tuple(dict.fromkeys((ENGLISH, AUDIO[self.language])))

    def read(self, root: Path) -> list[RawUtterance]:
        return utterances(root, self.language)


def utterances(root: Path, language: str) -> list[RawUtterance]:
    """Every numbered line with both text and clip, sorted by id."""
    raw, groups = _texts(root)[language], _groups(root)
    found = []
    for number, raw_text in enumerate(raw):
        path = f"{AUDIO[language].folder}/usr/share/scummvm/drascula/{language}/{number}.ALS"
        if not raw_text or not (root / path).is_file():
            continue
        text = normalise(raw_text, language)
        found.append(
            RawUtterance(
                id=f"{number:03d}",
                source=f"drascula-{language}",
                language=language,
                text=text,
                raw_text=raw_text,
                keys=(f"lines:{groups[str(number)]}", f"line:{number}", text_key(language, text)),
                speaker=f"hacker-{language}",
                path=path,
                format=FORMAT,
            )
        )
    return found


def read_texts(content: bytes, languages: tuple[str, ...] = ("en", "es")) -> dict[str, list[str]]:
    """Records of each language, in the order in which they lie.

    Raises:
        ValueError: a record that reaches beyond the file.
    """
    at = TEXTS_AT
    found: dict[str, list[str]] = {}
    for language in languages:
        found[language] = []
        for number in range(NUM_TEXTS):
            length = struct.unpack_from(">I", content, at)[0] if at + 4 <= len(content) else 0
            if length < 4 or at + length > len(content):
                raise ValueError(f"text {number} of {language!r} must end within {len(content)} bytes")
            text = content[at + 4 : at + length].partition(b"\0")[0].decode("cp850")
            found[language].append(text.replace("º", " "))  # a typist's hard space
            at += length
        at += 4
    return found


@cache
def _texts(root: Path) -> dict[str, list[str]]:
    return read_texts((root / ENGLISH.folder / ENGLISH.files[0]).read_bytes())


@cache
def _groups(root: Path) -> dict[str, str]:
    """Lines that share a text in either language: the languages split alike."""
    links: dict[str, list[str]] = defaultdict(list)
    for language, texts in _texts(root).items():
        for number, raw in enumerate(texts):
            text = normalise(raw, language)
            links[str(number)] += [text_key(language, text)] if text else []
    return group_names(links)
