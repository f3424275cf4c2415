"""ImageNet's 1,000 classes by name: what each is called, and what it is one of, as `class_names.json` lists them.

The list was made by `multimodal_ssl.films.wordnet` out of WordNet 3.0 (Princeton University, free
to use and pass on with its notice, which the list carries).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("class_names.json")


@dataclass(frozen=True)
class ClassNames:
    """All names once, and which class bears which.

    Attributes:
        names: in the order of the alphabet, lower case.
        classes, places, depths: one entry for each name of each class: the class's number, the name's place in `names`,
            and how many steps up from the class it names something (0: the class itself).
    """

    names: tuple[str, ...]
    classes: tuple[int, ...]
    places: tuple[int, ...]
    depths: tuple[int, ...]


def unfolded(synsets: Sequence[Sequence[str]], chains: Sequence[Sequence[int]]) -> ClassNames:
    """Of the names of each thing, and of each class the numbers of the things that it is, itself first."""
    names = tuple(sorted({name for words in synsets for name in words}))
    at = {name: place for place, name in enumerate(names)}
    rows = [
        (number, at[name], depth)
        for number, chain in enumerate(chains)
        for depth, thing in enumerate(chain)
        for name in synsets[thing]
    ]
    classes, places, depths = zip(*rows, strict=True)
    return ClassNames(names, classes, places, depths)


@cache
def names_of_classes() -> ClassNames:
    """The list that is here."""
    listed = json.loads(FILE.read_text(encoding="utf-8"))
    return unfolded(listed["synsets"], listed["classes"])
