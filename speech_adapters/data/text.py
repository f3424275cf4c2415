"""Texts to the letters that a recogniser writes, and those letters to numbers.

One normaliser serves training and scoring; its name and version go into every result. `letters-1`: lower case,
compatibility decomposition (NFKD), accents dropped, apostrophes kept inside words, everything else a space.

Accents are dropped because the French and Spanish prompt texts have partly lost theirs, so that a model would be
taught, and scored on, where a typist had a foreign keyboard. It costs real distinctions: Spanish "año" becomes
"ano", French "où" becomes "ou". Letters of other scripts stay as they are, only their lower case is taken: й and ё
are letters of the Russian alphabet, not и and е with an accent.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NORMALISER = "letters-1"
BLANK, BOUNDARY = "<blank>", "|"  # the second stands between words, as in fairseq's dictionaries
_LATIN = "abcdefghijklmnopqrstuvwxyz'"
ALPHABETS = {
    "en": _LATIN,
    "fr": _LATIN,
    "es": _LATIN,
    "it": _LATIN,
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
}
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")
# Ligatures and letters that have no decomposition.
_SPELLED = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "đ": "d", "ł": "l"})
# What is read aloud as a word, if at all: digits, signs, and brackets, which hold stage directions.
_UNSPOKEN = re.compile(r"[\d$€£¥%&@#*+=<>^_~|/\\()\[\]{}°º№§½¼¾]")


def normalise(text: str, language: str) -> str:
    """Words of letters with single spaces between them; nothing else is left. Normalising twice changes nothing.

    Raises:
        ValueError: a language without an alphabet, with those there are.
    """
    letters = alphabet(language)
    text = unicodedata.normalize("NFC", text.lower().translate(_APOSTROPHES)).translate(_SPELLED)
    text = "".join(c if c in letters else _without_accents(c) for c in text)
    text = "".join(c if c in letters else " " for c in text)
    # An apostrophe outside a word is a quotation mark.
    text = re.sub(r"(?<!\w)'+|'+(?!\w)", " ", re.sub(r"'{2,}", "'", text))
    return " ".join(text.split())


def _without_accents(character: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))


def unspoken(text: str) -> str:
    """The digits, signs and brackets of a text whose sound its letters do not tell; "" where there are none."""
    return "".join(dict.fromkeys(_UNSPOKEN.findall(text)))


def alphabet(language: str) -> str:
    """Letters that a normalised text of the language may hold."""
    check_language(language, sorted(ALPHABETS))
    return ALPHABETS[language]


def check_language(language: str, known: Iterable[str]) -> None:
    """Raises ValueError for a language that is not among those known, with the list."""
    if language not in known:
        raise ValueError(f"language must be among {', '.join(known)}, got {language!r}")


@dataclass(frozen=True)
class Vocabulary:
    """Output symbols of a recogniser; the blank of CTC is number 0."""

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.symbols[:2] != (BLANK, BOUNDARY) or len(set(self.symbols)) < len(self.symbols):
            raise ValueError(
                f"symbols must begin with {BLANK!r}, {BOUNDARY!r} and occur once, got {self.symbols}"
            )

    @classmethod
    def of(cls, language: str) -> Vocabulary:
        """Blank, word boundary and the language's alphabet: 29 symbols for Latin letters, 35 for Russian."""
        return cls((BLANK, BOUNDARY, *alphabet(language)))

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def blank(self) -> int:
        return 0

    @property
    def boundary(self) -> int:
        return 1

    def encode(self, text: str) -> list[int]:
        """Numbers of a normalised text; no boundary at its ends.

        Raises:
            ValueError: a character that is no symbol; normalise the text first.
        """
        written = text.replace(" ", BOUNDARY)
        unknown = sorted(set(written) - set(self.symbols))
        if unknown:
            raise ValueError(f"no symbols for {unknown} in {text!r}; normalise the text first")
        return [self.symbols.index(symbol) for symbol in written]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of numbers that are collapsed already: repeats are letters twice, blanks are dropped."""
        kept = (self.symbols[i] for i in ids if i != self.blank)
        return " ".join("".join(kept).replace(BOUNDARY, " ").split())

    def json(self) -> str:
        return json.dumps({"normaliser": NORMALISER, "symbols": self.symbols}, ensure_ascii=False)

    @classmethod
    def from_json(cls, content: str) -> Vocabulary:
        """
        Raises:
            ValueError: written for another normaliser, with both names.
        """
        fields = json.loads(content)
        if fields["normaliser"] != NORMALISER:
            raise ValueError(f"vocabulary must be of normaliser {NORMALISER!r}, got {fields['normaliser']!r}")
        return cls(tuple(fields["symbols"]))
