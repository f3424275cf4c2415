"""Readable figures of other papers that bear on a claim: shown beside the verdicts, deciding nothing.

They lie in `anchors.json` of a paper's folder. None of them is the reproduced paper's own number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

AGREEMENT = ("yes", "no", "bears on it")
READ = ("read", "second-hand")
URL = re.compile(r"https://[a-z0-9.-]+\.[a-z]+(/[\w./~%-]*)?")


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A figure of somebody else.

    Args:
        claim: id of the claim that it bears on.
        agrees: "yes" or "no" where it speaks for or against the claim, "bears on it" where conditions differ too much.
        figure: what stands there, with its conditions.
        place: where, for people.
        url: of the place.
        read: "read" there by somebody, or "second-hand".
    """

    claim: str
    agrees: str
    figure: str
    place: str
    url: str
    read: str

    def __post_init__(self) -> None:
        if self.agrees not in AGREEMENT or self.read not in READ:
            raise ValueError(
                f"{self.place}: agrees must be of {', '.join(AGREEMENT)} and read of {', '.join(READ)}, "
                f"got {self.agrees!r} and {self.read!r}"
            )
        if not URL.fullmatch(self.url):
            raise ValueError(f"{self.place}: url must be a plain https address, got {self.url!r}")


def anchors(folder: Path, claims: Collection[str]) -> list[Anchor]:
    """Those of a paper's folder, in the order of its claims; none where there is no file.

    Raises:
        ValueError: not of this form, or a claim that the paper does not have.
    """
    path = folder / "anchors.json"
    if not path.exists():
        return []
    try:
        found = [Anchor(**row) for row in json.loads(path.read_bytes())]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    order = list(claims)
    if unknown := sorted({anchor.claim for anchor in found} - set(order)):
        raise ValueError(f"{path}: no such claim: {', '.join(unknown)}")
    return sorted(found, key=lambda anchor: order.index(anchor.claim))
