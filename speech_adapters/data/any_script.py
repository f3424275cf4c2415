"""Texts of any language to letters, for recordings that somebody brings: accents are kept, no alphabet is built in.

`any-script-1`: composed (NFC) and lower case; letters with their marks stay, apostrophes stay inside words, everything
else is a space. What a recogniser can write is then what its training texts hold.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

from speech_adapters.data.text import BLANK, BOUNDARY, Vocabulary

NORMALISER = "any-script-1"
RARE = 0.01  # of all letters: a script below it is foreign to the texts
_APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")


def normalise(text: str) -> str:
    """Words of letters with single spaces between them. Normalising twice changes nothing."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower()).translate(_APOSTROPHES)
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LM" else " " for c in text)
    kept = re.sub(r"'{2,}", "'", kept)
    words = (word.strip("'") for word in kept.split())  # an apostrophe outside a word is a quotation mark
    return " ".join(word for word in words if word)


def vocabulary(texts: Iterable[str]) -> Vocabulary:
    """Blank, word boundary and every character of normalised texts, sorted.

    Raises:
        ValueError: the texts hold no letters.
    """
    letters = sorted(set("".join(texts)) - {" "})
    if not letters:
        raise ValueError("texts must hold letters to make an alphabet of, got none")
    return Vocabulary((BLANK, BOUNDARY, *letters))


@cache
def script(letter: str) -> str:
    """Such as LATIN or CYRILLIC, as Unicode's name of the letter begins; "" of marks and apostrophes."""
    if unicodedata.category(letter)[0] != "L" or unicodedata.category(letter) == "Lm":
        return ""
    return unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0]


def foreign_letters(texts: Iterable[str]) -> frozenset[str]:
    """Letters of scripts that are rare in the texts, such as one Cyrillic o among Latin words."""
    counts = Counter(letter for text in texts for letter in text if script(letter))
    by_script: Counter[str] = Counter()
    for letter, count in counts.items():
        by_script[script(letter)] += count
    total = sum(counts.values())
    return frozenset(letter for letter in counts if by_script[script(letter)] < RARE * total)
