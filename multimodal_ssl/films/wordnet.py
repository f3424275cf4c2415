"""ImageNet's classes as WordNet names them: `python -m multimodal_ssl.films.wordnet` writes their list again.

A class of ImageNet is a noun of WordNet 3.0, given by its place in WordNet's file. The places of the 1,000 come from
timm, which lists them in the order of every network's classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.data.packages import Package, fetch
from common.files import write_atomically
from multimodal_ssl.model.class_names import FILE

WORDNET = Package(
    manager="apt",
    name="wordnet-base",
    version="1:3.0-37",
    sha256="61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    size_bytes=6_467_132,
    licence="WordNet-3.0",
    files=("usr/share/wordnet/data.noun", "usr/share/doc/wordnet-base/copyright"),
)
TIMM = Package(
    manager="pip",
    name="timm",
    version="1.0.20",
    sha256="f6e62f780358476691996c47aa49de87b95cc507edf923c3042f74a07e45b7fe",
    size_bytes=2_504_047,
    licence="Apache-2.0",
    files=("timm/data/_info/imagenet_synsets.txt", "*/licenses/LICENSE"),
)
NOTICE = (
    "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. THIS SOFTWARE AND DATABASE IS PROVIDED "
    '"AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES, EXPRESS OR IMPLIED.'
)
# What is above hundreds of classes tells nothing apart.
TOO_GENERAL = frozenset(
    """entity, physical entity, object, whole, living thing, organism, instrumentality, artifact, matter, abstraction,
    chordate, placental, unit""".replace("\n    ", " ").split(", ")
)


@dataclass(frozen=True)
class Noun:
    """One thing that has names.

    Args:
        above: places of what it is one of, the first being what WordNet's own tree shows.
    """

    names: tuple[str, ...]
    above: tuple[int, ...]


def nouns(lines: Iterable[str]) -> dict[int, Noun]:
    """By place. Of a line: place, file, kind, number of names (hexadecimal), a name and a digit each, pointers."""
    found = {}
    for line in lines:
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition("|")[0].split()
        first = 4 + 2 * int(fields[3], 16)
        names = tuple(name.replace("_", " ").lower() for name in fields[4:first:2])
        pointers = zip(fields[first + 1 :: 4], fields[first + 2 :: 4], strict=False)
        found[int(fields[0])] = Noun(names, tuple(int(to) for kind, to in pointers if kind in ("@", "@i")))
    return found


def chain(known: Mapping[int, Noun], place: int) -> Iterator[int]:
    """A thing, what it is one of, what that is one of, and so on; without what is too general."""
    while True:
        if not TOO_GENERAL.intersection(known[place].names):
            yield place
        if not known[place].above:
            return
        place = known[place].above[0]


def listed(known: Mapping[int, Noun], classes: Iterable[int]) -> dict[str, Any]:
    """As the list of names keeps it."""
    chains = [list(chain(known, place)) for place in classes]
    places = sorted({place for one in chains for place in one})
    at = {place: number for number, place in enumerate(places)}
    return {
        "synsets": [list(dict.fromkeys(known[place].names)) for place in places],
        "classes": [[at[place] for place in one] for one in chains],
    }


def made() -> bytes:
    """The list, out of the packages.

    Raises:
        FetchError: they cannot be had.
    """
    text = (fetch(WORDNET) / WORDNET.files[0]).read_text(encoding="utf-8")
    classes = (fetch(TIMM) / TIMM.files[0]).read_text(encoding="utf-8").split()
    found = listed(nouns(text.splitlines()), (int(one.removeprefix("n")) for one in classes))
    parts = [f'"notice": {json.dumps(NOTICE)}']
    for key, rows in found.items():
        parts.append(
            f'"{key}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
        )
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


if __name__ == "__main__":
    write_atomically(Path(FILE), made())
