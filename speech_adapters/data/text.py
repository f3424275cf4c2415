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
from functools import cached_property

from common.strict_json import parsed

NORMALISER = "letters-1"
BLANK, BOUNDARY = "<blank>", "|"  # the second stands between words, as in fairseq's dictionaries
NO_LETTERS = re.compile(
    r"<.*>|\[.*\]|\s*"
)  # symbols of a head that are never written, such as <unk> or [PAD]
_LATIN = "abcdefghijklmnopqrstuvwxyz'"
ALPHABETS = {
    "en": _LATIN,
    "fr": _LATIN,
    "es": _LATIN,
    "it": _LATIN,
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
}
_APOSTROPHES = str.maketrans("’‘ʼ`´′", "''''''")
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
    text = _decomposed(text, letters)
    text = "".join(c if c in letters else " " for c in text)
    # An apostrophe outside a word is a quotation mark.
    text = re.sub(r"(?<!\w)'+|'+(?!\w)", " ", re.sub(r"'{2,}", "'", text))
    return " ".join(text.split())


def _decomposed(text: str, letters: str) -> str:
    """Lower case, without accents; what only formats a text, such as a soft hyphen, stands inside words and goes."""
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = unicodedata.normalize("NFC", text.lower().translate(_APOSTROPHES)).translate(_SPELLED)
    return "".join(c if c in letters else _without_accents(c) for c in text)


def foreign(text: str, language: str) -> str:
    """The letters of a text that the language's alphabet does not spell, though they are read aloud; "" of none."""
    letters = alphabet(language)
    found = (
        c for c in _decomposed(text, letters) if c not in letters and unicodedata.category(c).startswith("L")
    )
    return "".join(dict.fromkeys(found))


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
        """Numbers of a normalised text; no boundary at its ends. Symbols may be of several letters.

        Raises:
            ValueError: a character that is no symbol; normalise the text first.
        """
        written, ids = text.replace(" ", BOUNDARY), self._ids
        unknown = sorted(
            c for c in set(written) if c not in ids and not any(c in name for name in self._long)
        )
        labels = None if unknown else self._spelled(written) if self._long else [ids[c] for c in written]
        if labels is None:
            raise ValueError(f"no symbols for {unknown or [text]} in {text!r}; normalise the text first")
        return labels

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols) if symbol != BLANK}

    @cached_property
    def _long(self) -> tuple[str, ...]:
        return tuple(symbol for symbol in self._ids if len(symbol) > 1)

    def _spelled(self, written: str) -> list[int] | None:
        """The fewest symbols that spell a text, as "t" "ʃ" and "tʃ" may both; None where none do."""
        best: list[list[int] | None] = [[]]
        for stop in range(1, len(written) + 1):
            ways = [
                [*before, i]
                for symbol, i in self._ids.items()
                if written.endswith(symbol, 0, stop) and (before := best[stop - len(symbol)]) is not None
            ]
            best.append(min(ways, key=len, default=None))
        return best[-1]

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
        fields = parsed(content)
        if fields["normaliser"] != NORMALISER:
            raise ValueError(f"vocabulary must be of normaliser {NORMALISER!r}, got {fields['normaliser']!r}")
        return cls(tuple(fields["symbols"]))
